"""`gateway explain`: what it says in full, and that a running gateway does exactly that."""

import hashlib
import json
import os
import re
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from harness.gateway import BINARY, run_command
from harness.ports import take_port
from harness.tokens import AUDIENCE, ISSUER, SigningKey, b64, bearer, claims_of, hmac_token, key_set, unsigned_token
from harness.waiting import wait_until

GOLDEN = Path(__file__).parent / "golden/explain"
NOW = 1_764_000_000
KEY = SigningKey("EdDSA", "ed-1", ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER_KEY = SigningKey("EdDSA", "ed-1", ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))

FIXED = f"""\
worker_processes 1;
auth_provider main jwt {{
    issuer          {ISSUER};
    audience        orders web;
    key_file        keys.json;
    algorithms      EdDSA;
    required_claims exp sub jti;
    leeway          10s;
}}
auth_provider partners jwt {{
    issuer   https://partners.example.com;
    audience off;
    jwks     https://partners.example.com/jwks.json;
}}
server {{
    listen 127.0.0.1:18080;
    listen 127.0.0.1:18081;
    server_name api.example.com *.api.example.com;
    auth main;
    require permission read:data;

    location /api/ {{
        proxy_pass http://127.0.0.1:18090;
        proxy_set_header X-Key ${{env:UPSTREAM_KEY}};
        location /api/admin/ {{
            require permission read:data;
            require permission read:admin_panel;
            proxy_pass http://127.0.0.1:18090;
        }}
    }}
    location /partner/ {{ auth any main partners; proxy_pass http://127.0.0.1:18090; }}
    location /public/  {{ auth off; return 200 "hello\\n"; }}
    location /shared/  {{
        auth off;
        cors {{ origins https://app.example.com; }}
        proxy_pass http://127.0.0.1:18090/;
    }}
    location ~ "^/tenant/(?<tenant>[a-z]+)/" {{
        require any role admin owner;
        require claim tenant = $tenant;
        require_policy strong;
        permissions {{ GET,HEAD read:data; POST write:data; }}
        proxy_pass http://127.0.0.1:18090;
    }}
    location /trial/ {{
        auth_mode report;
        revocation main;
        require not permission read:admin_panel;
        proxy_pass http://127.0.0.1:18090;
    }}
}}
policy strong {{ require claim amr contains mfa; require any {{ scope orders; claim level >= 2; }} }}
revocation main {{ feed http://127.0.0.1:18091/revocations; }}
"""


def fixed_token(key: SigningKey = KEY, header: dict | None = None, **claims) -> str:
    return key.token(header, **{"iat": NOW - 60, "exp": NOW + 600, "jti": "j-1", **claims})


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "gateway.conf").write_text(FIXED)
    (tmp_path / "keys.json").write_text(json.dumps(key_set(KEY)))
    return tmp_path


def explain(folder: Path, *arguments: str, token: str | None = None, now: int | str | None = NOW):
    """Runs the command in the folder; the token goes through a file."""
    options = ["--now", str(now)] if now is not None else []
    if token is not None:
        (folder / "token").write_text(token + "\n")
        options += ["--token-file", "token"]
    return run_command(
        "explain", *options, *arguments, cwd=folder, environment={"UPSTREAM_KEY": "upstream-key-of-the-house"}
    )


# -- whole outputs

GOLDEN_CASES = {
    "allowed": (["/api/orders?page=2"], fixed_token(permissions=["read:data", "write:data"])),
    "no_token": (["http://api.example.com:18081/api/orders"], None),
    "expired": (["/api/orders"], fixed_token(iat=NOW - 15_120, exp=NOW - 11_520)),
    "not_yet_valid": (["/api/orders"], fixed_token(nbf=NOW + 90)),
    "audience": (["/api/orders"], fixed_token(aud=["billing", "mail"])),
    "issuer": (["/api/orders"], fixed_token(iss=ISSUER + "/")),
    "forged": (["/api/orders"], fixed_token(OTHER_KEY)),
    "unknown_kid": (["/api/orders"], fixed_token(header={"kid": "ed-2"})),
    "algorithm": (["/api/orders"], unsigned_token({"alg": "none"}, iat=NOW, exp=NOW + 60)),
    "claim_missing": (["/api/orders"], fixed_token(jti=None)),
    "malformed": (["/api/orders"], "abc.def"),
    "permission": (["-X", "DELETE", "/api/admin/users"], fixed_token(permissions="read:data write:data")),
    "rules": (
        ["-X", "POST", "/tenant/acme/x"],
        fixed_token(roles=["owner"], tenant="acme", amr=["pwd", "mfa"], level=3, permissions=["write:data"]),
    ),
    "policy": (
        ["/tenant/acme/x"],
        fixed_token(roles=["owner"], tenant="acme", amr=["pwd", "mfa"], level=1, scope="mail"),
    ),
    "claim": (["/tenant/acme/x"], fixed_token(roles=["owner"], tenant="other")),
    "method": (["-X", "PUT", "/tenant/acme/x"], fixed_token(role="admin", tenant="acme", amr="mfa", scp="orders")),
    "report": (["/trial/x"], fixed_token(permissions=["read:admin_panel"])),
    "report_without_token": (["/trial/x"], None),
    "no_keys": (["/partner/x"], fixed_token(iss="https://partners.example.com")),
    "ambiguous_path": (["/public/..;/api/orders"], None),
    "invalid_path": (["/public/../../x"], None),
    "malformed_head": (["-H", "Content-Length: 5", "-H", "Transfer-Encoding: chunked", "/public/"], None),
    "public": (["/public/x"], None),
    "preflight": (
        ["-X", "OPTIONS", "-H", "Origin: https://evil.example.com", "-H", "Access-Control-Request-Method: PUT"]
        + ["/shared/x"],
        None,
    ),
    "unmatched": (["-H", "Host: other.example.net", "/nowhere"], fixed_token()),
    "control_characters": (["/api/orders"], fixed_token(iss="\u001b[2J\u202e", sub="x")),
}


@pytest.mark.parametrize("name", GOLDEN_CASES)
def test_golden(folder, name):
    arguments, token = GOLDEN_CASES[name]
    done = explain(folder, *arguments, token=token)
    text = f"{done.stdout}exit status {done.returncode}\n"
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text)
    assert done.stderr == ""
    assert text == file.read_text()


def test_every_golden_file_is_some_case():
    assert {file.stem for file in GOLDEN.iterdir()} == set(GOLDEN_CASES)


# -- the command itself


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION", "Authorization "])
def test_a_token_in_the_arguments_is_refused(folder, name):
    done = explain(folder, "-H", f"{name}: Bearer abc", "/public/")
    assert done.returncode == 2 and done.stdout == ""
    assert "--token-file or --token-stdin" in done.stderr


def test_the_token_from_standard_input(folder):
    done = subprocess.run(
        [BINARY, "explain", "--now", str(NOW), "--token-stdin", "--json", "/api/x"],
        input=fixed_token() + "\r\n",
        capture_output=True,
        text=True,
        timeout=20,
        cwd=folder,
        env=os.environ | {"UPSTREAM_KEY": "x"},
    )
    assert done.returncode == 0, done
    assert json.loads(done.stdout)["verdict"]["result"] == "forwarded"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-c", "nowhere.conf", "/"], "nowhere.conf"),
        (["--now", "yesterday", "/"], "--now yesterday"),
        (["--client-address", "host", "/"], "--client-address host"),
        (["-H", "no colon", "/"], '"Name: value" is expected'),
        (["-H", "A: b\r\nC: d", "/"], "one line"),
        (["/x\r\nC: d"], "one line"),
        (["--token-file", "nowhere", "/"], "nowhere"),
        (["--token-file", "keys.json", "--token-stdin", "/"], "exclude each other"),
        (["--jwks", "main", "/"], "PROVIDER=FILE"),
        (["--jwks", "nobody=keys.json", "/"], 'no provider "nobody"'),
        (["--jwks", "main=keys.json", "/"], "fetches no keys"),
        (["--jwks", "partners=gateway.conf", "/"], "gateway.conf"),
        (["https://api.example.com/"], "nothing listens for https"),
        (["http://api.example.com:9/"], "127.0.0.1:18080, 127.0.0.1:18081"),
        (["http:///x"], "the host is missing"),
    ],
)
def test_arguments_that_cannot_be_used(folder, arguments, words):
    done = explain(folder, *arguments, now=None)
    assert done.returncode == 2 and done.stdout == "", done
    assert words in done.stderr


def test_a_configuration_that_is_not_valid(folder):
    (folder / "gateway.conf").write_text(FIXED.replace("audience        orders", "audiense        orders"))
    done = explain(folder, "/public/")
    assert done.returncode == 2 and 'did you mean "audience"?' in done.stderr


@pytest.mark.parametrize("now", [NOW, "2025-11-24T16:00:00Z", "2025-11-24t17:00:00.5+01:00", "2025-11-24T14:30:00-01:30"])
def test_the_time_is_said(folder, now):
    done = explain(folder, "--json", "/api/x", token=fixed_token(), now=now)
    assert done.returncode == 0, done
    assert json.loads(done.stdout)["request"]["now"] == NOW


def test_a_saved_key_set(folder):
    (folder / "saved.json").write_text(json.dumps(key_set(OTHER_KEY)))
    token = fixed_token(OTHER_KEY, iss="https://partners.example.com")
    assert json.loads(explain(folder, "--json", "/partner/x", token=token).stdout)["verdict"]["code"] == "keys_unavailable"
    done = explain(folder, "--json", "--jwks", "partners=saved.json", "/partner/x", token=token)
    assert done.returncode == 0, done
    assert ["X-Auth-Provider", "partners"] in fields(json.loads(done.stdout)["forwarded"])


@pytest.mark.parametrize("options", [["-H", "x_api_key: k"], ["-H", "Cookie: a=b; session=k"], ["/x?a=b&access_token=k"]])
def test_other_credentials_in_the_arguments_are_refused(folder, options):
    kinds = (
        "auth_provider k api_key { url http://127.0.0.1:9/; from header X-API-Key; }"
        "auth_provider c jwt { issuer off; audience off; key_file keys.json; token_from cookie session; }"
        "auth_provider q jwt { issuer off; audience off; key_file keys.json; token_from query access_token; }"
    )
    (folder / "gateway.conf").write_text(FIXED + kinds)
    done = explain(folder, *options, *(["/public/"] if options[0] == "-H" else []))
    assert done.returncode == 2 and "--token-stdin" in done.stderr, done


def test_what_a_service_says_is_not_known(folder):
    kinds = "auth_provider opaque introspection { url http://127.0.0.1:9/; client_id g; client_secret ${env:UPSTREAM_KEY}; }"
    (folder / "gateway.conf").write_text(FIXED.replace("auth any main partners", "auth any main opaque") + kinds)
    done = explain(folder, "--json", "/partner/x", token="opaque-token")
    assert done.returncode == 3, done
    document = json.loads(done.stdout)
    assert document["verdict"]["result"] == "depends" and document["response"] is None
    assert {step["name"]: step["result"] for step in document["steps"]}["service"] == "not_checked"


@pytest.mark.parametrize(
    ("auth", "token", "status", "verdict", "code"),
    [
        ("device", False, 1, "refused", "certificate_missing"),
        ("all main device", True, 1, "refused", "certificate_missing"),
        ("any main device", True, 0, "answered", None),
        ("any main device", False, 1, "refused", "token_missing"),
        ("check", True, 3, "depends", None),
    ],
)
def test_what_needs_a_connection_or_a_service(folder, auth, token, status, verdict, code):
    files = Path(__file__).parents[1] / "ConfigurationTests/Golden/files"
    (folder / "gateway.conf").write_text(
        FIXED
        + f"""
        auth_provider device client_certificate {{ subject cn; }}
        auth_provider check request {{ url http://127.0.0.1:9/check; }}
        server {{
            listen 127.0.0.1:18443 ssl; ssl_certificate {files}/tls.crt; ssl_certificate_key {files}/tls.key;
            ssl_client_certificate {files}/tls.crt; ssl_verify_client optional;
            auth {auth}; location / {{ return 204; }}
        }}"""
    )
    done = explain(folder, "--json", "https://localhost:18443/x", token=fixed_token() if token else None)
    document = json.loads(done.stdout)
    check_schema(document)
    assert (done.returncode, document["verdict"]["result"], document["verdict"]["code"]) == (status, verdict, code)


def test_secrets_are_not_printed(folder):
    secret = "a-secret-of-32-bytes-that-nobody-sees"
    (folder / "gateway.conf").write_text(
        FIXED.replace("key_file        keys.json;", "secret ${env:SECRET} kid=hs;")
        .replace("algorithms      EdDSA;", "")
        .replace("location /public/ ", "forward_token on; add_header X-Add ${env:ADDED} always; location /public/ ")
    )
    environment = {"UPSTREAM_KEY": "upstream-key", "SECRET": secret, "ADDED": "added-secret"}
    token = hmac_token(
        secret.encode(), {"alg": "HS256", "kid": "hs"}, iat=NOW, exp=NOW + 60, jti="1", permissions="read:data"
    )
    (folder / "token").write_text(token)
    for options in ([], ["--json"]):
        for path, status in (("/api/x", 0), ("/api/admin/x", 1)):
            done = run_command(
                "explain", "--now", str(NOW), "--token-file", "token", *options, path, cwd=folder, environment=environment
            )
            assert done.returncode == status, done
            output = done.stdout + done.stderr
            for word in (secret, b64(secret.encode()), "upstream-key", "added-secret", token, token.split(".")[2]):
                assert word not in output
            assert "***" in output


# -- JSON


def fields(message: dict) -> list[list[str]]:
    return [[line["name"], line["value"]] for line in message["fields"]]


def check_schema(document: dict) -> None:
    """Every member of docs/explain.md with its type, and no other."""
    assert set(document) == {"version", "request", "route", "steps", "verdict", "forwarded", "response", "advice"}
    assert document["version"] == 1
    assert set(document["request"]) == {"method", "target", "host", "now", "time"}
    for step in document["steps"]:
        assert set(step) == {"name", "result", "demanded_by", "expected", "got"}
        assert re.fullmatch("[a-z_]+", step["name"])
        assert step["result"] in ("ok", "fail", "not_reached", "not_checked")
        for demand in step["demanded_by"]:
            assert set(demand) == {"directive", "file", "line", "column"}
            assert demand["line"] >= 1 and demand["column"] >= 1
        for name in ("expected", "got"):
            assert step[name] is None or isinstance(step[name], str)
    verdict = document["verdict"]
    assert set(verdict) == {"result", "code", "status", "would_refuse", "failed"}
    failed = [step["name"] for step in document["steps"] if step["result"] == "fail"]
    if verdict["result"] == "refused":
        assert failed == [verdict["failed"]]
        assert document["advice"] and all(isinstance(sentence, str) for sentence in document["advice"])
    else:
        assert verdict["code"] is verdict["status"] is None
        assert failed == ([verdict["failed"]] if verdict["would_refuse"] else [])
    assert (document["forwarded"] is None) == (verdict["result"] != "forwarded")
    assert (document["response"] is None) == (verdict["result"] in ("forwarded", "depends"))
    if document["response"]:
        assert set(document["response"]) == {"status", "fields", "body"}
    if document["forwarded"]:
        assert set(document["forwarded"]) == {"upstream", "endpoints", "request_line", "fields"}


@pytest.mark.parametrize("name", GOLDEN_CASES)
def test_json_has_its_schema(folder, name):
    arguments, token = GOLDEN_CASES[name]
    done = explain(folder, "--json", *arguments, token=token)
    check_schema(json.loads(done.stdout))


def test_a_demand_names_the_very_place(folder):
    document = json.loads(explain(folder, "--json", "/api/admin/x", token=fixed_token()).stdout)
    lines = FIXED.splitlines()
    found = {step["name"]: step["demanded_by"] for step in document["steps"]}
    for name in ("issuer", "audience", "required_claims", "algorithm", "key", "requirement", "credential", "location"):
        for demand in found[name]:
            assert lines[demand["line"] - 1][demand["column"] - 1 :].startswith(demand["directive"]), (name, demand)
    demanded = [step["demanded_by"][0]["line"] for step in document["steps"] if step["name"] == "requirement"]
    assert [lines[line - 1].strip() for line in demanded] == [
        "require permission read:data;",
        "require permission read:admin_panel;",
    ]


def test_the_page_lists_every_check():
    root = Path(__file__).parents[2]
    source = (root / "Sources/Policy/Explanation.swift").read_text()
    cases = re.search(r"enum Check: .*?\n(.*?)\n    }", source, re.DOTALL)[1]
    words = re.sub(r"//.*|\bcase\b", "", cases)
    names = {raw or name for name, raw in re.findall(r'(\w+)(?: = "(\w+)")?', words)}
    page = (root / "docs/explain.md").read_text().split("## The checks")[1].split("## JSON")[0]
    listed = {name for row in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert listed == names


# -- agreement with a running gateway

CONFIGURATION = f"""
worker_processes 1;
error_log stderr notice;
access_log @folder@/access.log json;
admin {{ listen 127.0.0.1:@admin_port@; }}
auth_provider main jwt {{
    issuer {ISSUER}; audience {AUDIENCE} web; key_file @keys@; leeway 1s; max_lifetime 1h;
    token_types at+jwt JWT;
}}
auth_provider other jwt {{ issuer https://other.example.com; audience off; key_file @keys@; }}
auth_provider open jwt {{ issuer off; audience off; key_file @keys@; required_claims none; max_lifetime off; }}
auth_provider far jwt {{
    issuer https://far.example.com; audience off; jwks http://127.0.0.1:@dead@/jwks;
}}
auth_provider keys api_key {{ file @apikeys@; from header X-API-Key; prefix gk_; }}
auth_provider spare api_key {{ file @sparekeys@; from header X-API-Key; }}
auth_provider cookie jwt {{ issuer {ISSUER}; audience off; key_file @keys@; token_from cookie session; }}
auth_provider query jwt {{ issuer {ISSUER}; audience off; key_file @keys@; token_from query access_token; }}
client_max_body_size 1k;
roles_file @roles@;
policy strong {{ require claim amr contains mfa; require any {{ scope orders; claim level >= 2; }} }}
server {{
    listen 127.0.0.1:@port@;
    server_name localhost;
    auth main;
    error_detail full;
    location / {{ proxy_pass http://@origin@; }}
    location /data/ {{ require permission read:data; require permission write:data; proxy_pass http://@origin@/inner/; }}
    location /kept/ {{ forward_token on; proxy_pass http://@origin@; proxy_set_header X-Client $remote_addr; proxy_set_header X-Token $http_authorization; }}
    location /stripped/ {{ proxy_set_header X-Token $http_authorization; proxy_pass http://@origin@; }}
    location /other/ {{ auth other; proxy_pass http://@origin@; }}
    location /any/ {{ auth any main other; proxy_pass http://@origin@; }}
    location /all/ {{ auth all main open; proxy_pass http://@origin@; }}
    location /far/ {{ auth far; proxy_pass http://@origin@; }}
    location /brief/ {{ error_detail none; proxy_pass http://@origin@; }}
    location /public/ {{ auth off; proxy_pass http://@origin@; }}
    location /return/ {{ auth off; return 200 "hello $host\\n"; add_header X-Added yes; }}
    location /redirect/ {{ auth off; return 301 https://$host$request_uri; }}
    location /gone/ {{ auth off; return 410; }}
    location /empty/ {{ auth off; }}
    location /shared/ {{ auth off; cors {{ origins https://app.example.com; methods GET PUT; }} proxy_pass http://@origin@; }}
    location /rules/ {{ require any role admin owner; require_policy strong; proxy_pass http://@origin@; }}
    location /roles/ {{ require permission read:roles; proxy_pass http://@origin@; }}
    location /methods/ {{ permissions {{ GET read:data; POST write:data; }} proxy_pass http://@origin@; }}
    location ~ "^/t/(?<tenant>[a-z]+)/" {{ require claim tenant = $tenant; proxy_pass http://@origin@; }}
    location /wild/ {{ grant_wildcards on; require all permission a:b c:d; proxy_pass http://@origin@; }}
    location /trial/ {{ auth_mode report; require permission x; proxy_pass http://@origin@; }}
    location /keys/ {{ auth keys; require permission read:data; proxy_pass http://@origin@; }}
    location /mixed/ {{ auth any main keys; proxy_pass http://@origin@; }}
    location /both/ {{ auth all main keys; proxy_pass http://@origin@; }}
    location /cookie/ {{ auth cookie; proxy_pass http://@origin@; }}
    location /query/ {{ auth query; return 200 "yes"; }}
    location /query/sent/ {{ auth query; proxy_set_header X-URI $request_uri; proxy_set_header X-Args $args; proxy_pass http://@origin@; }}
    location /several/ {{ auth any keys spare; proxy_pass http://@origin@; }}
    location /once/ {{ auth off; keepalive_timeout 0; return 204; }}
}}
"""


@dataclass
class Case:
    """A request, and the check and code that refuse it; no check: it is let in."""

    check: str | None = None
    code: str | None = None
    path: str = "/x"
    token: object = None
    method: str = "GET"
    fields: list[str] = field(default_factory=list)


def good(**claims) -> str:
    return KEY.token(**claims)


def of_documents(header: str, payload: str) -> str:
    return KEY.token_of(header, payload)


HEADER = json.dumps(KEY.header())
PREFLIGHT = ["Origin: https://app.example.com", "Access-Control-Request-Method: PUT"]
WEBSOCKET = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
CASES = {
    "good": Case(token=good),
    "good with a query": Case(path="/x?a=b&c", token=good),
    "uri": Case(path="/data/a/../b", token=lambda: good(permissions=["read:data", "write:data"])),
    "forward_token": Case(path="/kept/x", token=good),
    "a variable of a stripped token": Case(path="/stripped/x", token=good),
    "other": Case(path="/other/x", token=lambda: good(iss="https://other.example.com")),
    "any, the second": Case(path="/any/x", token=lambda: good(iss="https://other.example.com", sub="bob é,")),
    "all": Case(path="/all/x", token=good),
    "public": Case(path="/public/x"),
    "spoofed fields": Case(path="/public/x", fields=["X-Auth-Subject: root", "x_auth_subject: root", "Forwarded: for=x"]),
    "return": Case(path="/return/x"),
    "return to HEAD": Case(path="/return/x", method="HEAD"),
    "redirect": Case(path="/redirect/x?y"),
    "410": Case(path="/gone/x"),
    "410 as a page": Case(path="/gone/x", fields=["Accept: text/html"]),
    "no keep-alive": Case(path="/once/x"),
    "allowed preflight": Case(path="/shared/x", method="OPTIONS", fields=PREFLIGHT),
    "cors": Case(path="/shared/x", fields=["Origin: https://app.example.com"]),
    # the credential
    "no token": Case("credential", "token_missing"),
    "no token, as a page": Case("credential", "token_missing", fields=["Accept: text/html"]),
    "no token, HEAD": Case("credential", "token_missing", method="HEAD"),
    "no token, gRPC": Case("credential", "token_missing", method="POST", fields=["Content-Type: application/grpc"]),
    "no token, no detail": Case("credential", "token_missing", path="/brief/x"),
    "no token, the client closes": Case("credential", "token_missing", fields=["Connection: close"]),
    "no token, a body is announced": Case("credential", "token_missing", method="POST", fields=["Content-Length: 9"]),
    "two tokens": Case("credential", "invalid_request", token=lambda: good() + " " + good()),
    "API key": Case(path="/keys/x", token="gk_good"),
    "API key of the first file": Case(path="/several/x", token="gk_good"),
    "API key of the second file": Case(path="/several/x", token="gk_spare"),
    "API key without the prefix of the first": Case(path="/several/x", token="spare"),
    "API key of neither file": Case("api_key", "api_key_invalid", "/several/x", "gk_neither"),
    "API key beside tokens": Case(path="/mixed/x", token="gk_good"),
    "token beside API keys": Case(path="/mixed/x", token=good),
    "no API key": Case("credential", "api_key_missing", path="/keys/x"),
    "API key of another kind": Case("key_prefix", "api_key_invalid", "/keys/x", "xx_good"),
    "unknown API key": Case("api_key", "api_key_invalid", "/keys/x", "gk_unknown"),
    "API key that expired": Case("api_key", "api_key_invalid", "/keys/x", "gk_old"),
    "API key that was revoked": Case("api_key", "api_key_revoked", "/keys/x", "gk_revoked"),
    "API key that may not": Case("requirement", "insufficient_scope", "/keys/x", "gk_poor"),
    "one of two credentials": Case("credential", "token_missing", path="/both/x", token="gk_good"),
    "cookie": Case(path="/cookie/x", token=good, fields=["Cookie: a=b"]),
    "cookie of another site": Case(
        "origin", "origin_denied", "/cookie/x", good, "POST", ["Origin: https://evil.example.com"]
    ),
    "query": Case(path="/query/x?a=b", token=good),
    "query, sent on": Case(path="/query/sent/x?a=b", token=good),
    "query, sent on without": Case(path="/query/sent/x", token=good),
    "query, expired": Case("expiry", "token_expired", "/query/x", lambda: good(exp=1000, iat=None)),
    "bound to a certificate": Case("binding", "binding_mismatch", token=lambda: good(cnf={"x5t#S256": "A" * 43})),
    # its shape
    "large": Case("token_size", "token_too_large", token=lambda: "a" * 8193),
    "two parts": Case("token_shape", "token_malformed", token="a.b"),
    "no base64url": Case("token_shape", "token_malformed", token=lambda: good().replace(".", ".=", 1)),
    "five parts": Case("token_shape", "token_encrypted_unsupported", token="a.b.c.d.e"),
    "header that is no JSON": Case("header", "token_malformed", token=lambda: of_documents("{", "{}")),
    "member twice in the header": Case(
        "header", "duplicate_claim", token=lambda: of_documents('{"alg":"EdDSA","alg":"EdDSA"}', "{}")
    ),
    # header, key, signature
    "alg none": Case("algorithm", "alg_not_allowed", token=lambda: unsigned_token({"alg": "none", "typ": "JWT"})),
    "alg absent": Case("algorithm", "alg_not_allowed", token=lambda: unsigned_token({"typ": "JWT"}, "AA")),
    "typ": Case("type", "typ_not_allowed", token=lambda: KEY.token({"typ": "logout+jwt"})),
    "typ absent": Case("type", "typ_not_allowed", token=lambda: KEY.token({"typ": None})),
    "crit": Case("extensions", "unsupported_crit", token=lambda: KEY.token({"crit": ["x"], "x": 1})),
    "zip": Case("extensions", "unsupported_header", token=lambda: KEY.token({"zip": "DEF"})),
    "nested": Case("extensions", "unsupported_header", token=lambda: KEY.token({"cty": "JWT"})),
    "kid": Case("key", "key_unknown", token=lambda: KEY.token({"kid": "../../etc/passwd"})),
    "kid of another type": Case("key", "key_unknown", token=lambda: KEY.token({"kid": 1})),
    "alg of another key": Case("key", "alg_key_mismatch", token=lambda: KEY.token({"alg": "ES256"})),
    "no signature": Case("signature", "signature_missing", token=lambda: good().rsplit(".", 1)[0] + "."),
    "forged": Case("signature", "signature_invalid", token=lambda: OTHER_KEY.token()),
    "keys that never came": Case(
        "key", "keys_unavailable", path="/far/x", token=lambda: good(iss="https://far.example.com")
    ),
    # claims
    "payload that is no object": Case("claims", "token_malformed", token=lambda: of_documents(HEADER, "[]")),
    "claim twice": Case(
        "claims", "duplicate_claim", token=lambda: of_documents(HEADER, json.dumps(claims_of())[:-1] + ',"sub":"x"}')
    ),
    "issuer": Case("issuer", "issuer_mismatch", token=lambda: good(iss=ISSUER + "/")),
    "no issuer": Case("issuer", "issuer_mismatch", token=lambda: good(iss=None)),
    "audience": Case("audience", "audience_mismatch", token=lambda: good(aud=["x", "y"])),
    "another provider": Case("provider", "provider_mismatch", token=lambda: good(iss="https://other.example.com")),
    "another provider, expired": Case(
        "expiry", "token_expired", token=lambda: good(iss="https://other.example.com", exp=1000, iat=None)
    ),
    "expired": Case("expiry", "token_expired", token=lambda: good(exp=int(time.time()) - 60)),
    "exp missing": Case("expiry", "claim_missing", token=lambda: good(exp=None)),
    "exp is a text": Case("expiry", "claim_type", token=lambda: good(exp="9999999999")),
    "nbf": Case("not_before", "token_not_yet_valid", token=lambda: good(nbf=int(time.time()) + 60)),
    "iat": Case("not_before", "token_not_yet_valid", token=lambda: good(iat=int(time.time()) + 60)),
    "nbf is a truth value": Case("not_before", "claim_type", token=lambda: good(nbf=True)),
    "lifetime": Case("lifetime", "lifetime_exceeded", token=lambda: good(exp=int(time.time()) + 7200)),
    "sub missing": Case("required_claims", "claim_missing", token=lambda: good(sub=None)),
    "sub empty": Case("required_claims", "claim_missing", token=lambda: good(sub="")),
    "sub is a number": Case("required_claims", "claim_type", token=lambda: good(sub=7)),
    "sub too long": Case("identity", "claim_type", token=lambda: good(sub="x" * 3000)),
    "all, one refuses": Case("issuer", "issuer_mismatch", path="/all/x", token=lambda: good(iss="https://nobody.example")),
    # what it allows
    "first permission": Case("requirement", "insufficient_scope", "/data/x", token=lambda: good(permissions=[])),
    "second permission": Case("requirement", "insufficient_scope", "/data/x", token=lambda: good(permissions="read:data")),
    "cors on a refusal": Case("method", "method_not_allowed", "/shared/x", None, "TRACE", ["Origin: https://app.example.com"]),
    "any role": Case("requirement", "insufficient_scope", "/rules/x", lambda: good(roles=["guest"])),
    "a policy": Case("requirement", "policy_violation", "/rules/x", lambda: good(roles=["owner"], amr=["mfa"], level=1)),
    "rules": Case(path="/rules/x", token=lambda: good(role="owner", amr="mfa", level=2.5)),
    "a role of the file": Case(path="/roles/x", token=lambda: good(roles=["reader"])),
    "no role of the file": Case("requirement", "insufficient_scope", "/roles/x", lambda: good(roles=["writer"])),
    "a method": Case(path="/methods/x", token=good),
    "HEAD as GET": Case(path="/methods/x", token=good, method="HEAD"),
    "a method's permission": Case("requirement", "insufficient_scope", "/methods/x", good, "POST"),
    "no such method": Case("requirement", "access_denied", "/methods/x", good, "PATCH"),
    "a captured value": Case(path="/t/acme/x", token=lambda: good(tenant="acme")),
    "another captured value": Case("requirement", "access_denied", "/t/acme/x", lambda: good(tenant="acm")),
    "wildcards": Case(path="/wild/x", token=lambda: good(permissions=["a:*", "*:d"])),
    "one wildcard": Case("requirement", "insufficient_scope", "/wild/x", lambda: good(permissions=["a:*"])),
    "report, allowed": Case(path="/trial/x", token=lambda: good(permissions="x")),
    "report, denied": Case("requirement", None, "/trial/x", good),
    "report, no token": Case("credential", None, "/trial/x"),
    "report, expired": Case("expiry", None, "/trial/x", lambda: good(exp=1000, iat=None)),
    # path and method
    "path above the root": Case("path", "path_invalid", path="/public/../../x"),
    "broken escape": Case("path", "path_invalid", path="/public/%zz"),
    "path of two readings": Case("path_guard", "path_ambiguous", path="/public/..;/data/x"),
    "path with an escaped slash": Case("path_guard", "path_ambiguous", path="/public%2f..%2fdata/x"),
    "path in capitals": Case("path_guard", "path_ambiguous", path="/DATA/x"),
    "nothing there": Case("action", "not_found", path="/empty/"),
    "TRACE": Case("method", "method_not_allowed", path="/public/x", method="TRACE"),
    "body": Case("body", "body_too_large", path="/public/x", method="POST", fields=["Content-Length: 99999"]),
    "a websocket": Case(path="/public/x", fields=[*WEBSOCKET, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]),
    "a websocket without a key": Case("upgrade", "upgrade_invalid", path="/public/x", fields=WEBSOCKET),
    "an old websocket": Case("upgrade", "upgrade_version", path="/public/x", fields=WEBSOCKET[:2]),
    "an upgrade to something else": Case(path="/public/x", fields=["Connection: Upgrade", "Upgrade: h2c"]),
    "preflight": Case("origin", "origin_denied", "/shared/x", None, "OPTIONS", ["Origin: null", PREFLIGHT[1]]),
    # messages
    "long method": Case("message", "method_unsupported", method="M" * 40),
    "long path": Case("message", "uri_too_long", path="/" + "a" * 17_000),
    "space in the path": Case("message", "request_line", path="/a b"),
    "fragment": Case("message", "target_invalid", path="/a#b"),
    "two hosts": Case("message", "host_invalid", fields=["Host: localhost", "Host: localhost"]),
    "field name": Case("message", "header_invalid", fields=["A(b: c"]),
    "many fields": Case("message", "header_too_large", fields=[f"X-{i}: y" for i in range(101)]),
    "length": Case("message", "content_length", fields=["Content-Length: +5"]),
    "coding": Case("message", "transfer_encoding", fields=["Transfer-Encoding: chunked, chunked"]),
    "unknown coding": Case("message", "transfer_encoding_unsupported", fields=["Transfer-Encoding: gzip, chunked"]),
    "both lengths": Case("message", "cl_and_te", fields=["Content-Length: 5", "Transfer-Encoding: chunked"]),
    "expectation": Case("message", "expectation_failed", fields=["Expect: something"]),
}


def api_key(key: str, **members) -> dict:
    return {"id": key, "hash": hashlib.sha256(key.encode()).hexdigest(), "subject": "robot", **members}


API_KEYS = [
    api_key("gk_good", permissions=["read:data"]),
    api_key("gk_poor", permissions=[]),
    api_key("gk_old", expires_at=1_700_000_000),
    api_key("gk_revoked", revoked=True),
]


@pytest.fixture(scope="module")
def values(tmp_path_factory):
    file = tmp_path_factory.mktemp("keys") / "jwks.json"
    file.write_text(json.dumps(key_set(KEY)))
    roles = file.parent / "roles.json"
    roles.write_text(json.dumps({"roles": {"reader": ["read:roles"], "writer": ["write:roles"]}}))
    keys = file.parent / "api_keys.json"
    keys.write_text(json.dumps({"keys": API_KEYS}))
    spare = file.parent / "spare_keys.json"
    spare.write_text(json.dumps({"keys": [api_key("gk_spare"), api_key("spare")]}))
    return {"keys": file, "apikeys": keys, "sparekeys": spare, "roles": roles, "dead": take_port()}


def without_what_differs(lines) -> list[tuple[str, str]]:
    """Fields without the time, and with one id for all requests."""
    return [(n, "ID" if n.lower() == "x-request-id" else v) for n, v in map(tuple, lines) if n.lower() != "date"]


def with_token(path: str, lines: list[str], token: str | None) -> tuple[str, list[str]]:
    """The request with the token where its location looks for one."""
    if token is None:
        return path, lines
    if path.startswith("/query/"):
        return f"{path}{'&' if '?' in path else '?'}access_token={token}", lines
    if path.startswith("/cookie/"):
        cookies = [line for line in lines if line.startswith("Cookie")]
        others = [f"{line}; session={token}" if line.startswith("Cookie") else line for line in lines]
        return path, others if cookies else [*others, f"Cookie: session={token}"]
    if path.startswith(("/keys/", "/both/", "/several/")) or token.startswith("gk_"):
        return path, [*lines, f"X-API-Key: {token}"]
    return path, [*lines, bearer(token)]


@pytest.mark.parametrize("name", CASES)
def test_a_running_gateway_does_what_explain_says(gateway, origin, tmp_path, name):
    case = CASES[name]
    token = case.token() if callable(case.token) else case.token
    lines = case.fields if any(line.startswith("Host:") for line in case.fields) else ["Host: localhost", *case.fields]
    arguments = [word for line in lines for word in ("-H", line)]
    done = explain(
        tmp_path, "-c", str(gateway.file), "--json", "-X", case.method, *arguments, case.path, token=token, now=None
    )
    document = json.loads(done.stdout)
    check_schema(document)
    assert (document["verdict"]["failed"], document["verdict"]["code"]) == (case.check, case.code)
    assert done.returncode == (1 if case.code else 0)

    target, lines = with_token(case.path, lines, token)
    request = "".join(f"{line}\r\n" for line in (f"{case.method} {target} HTTP/1.1", *lines, ""))
    before = gateway.rejected(case.code) if case.code else 0
    with gateway.connect() as client:
        client.send(request.encode())
        response = client.read_response(case.method)
    if case.code:
        wait_until(lambda: gateway.rejected(case.code) == before + 1, 2, what=f"{case.code} is counted")
        assert response.status in (document["verdict"]["status"], 200 if response.get("grpc-status") else 0)
    if document["forwarded"]:
        seen = origin.requests[-1]
        assert document["forwarded"]["request_line"] == seen.line
        shown = [(n, v.replace("***", token or "")) for n, v in fields(document["forwarded"])]
        assert without_what_differs(shown) == without_what_differs(seen.fields)
        return
    answer = document["response"]
    assert origin.requests == []
    assert answer["status"] == response.status
    assert without_what_differs(fields(answer)) == without_what_differs(response.fields)
    ids = re.compile(r"[0-9a-f]{32}")
    assert ids.sub("ID", answer["body"]) == ids.sub("ID", response.body.decode())


def test_the_cases_reach_what_can_be_reached_without_an_upstream():
    """A refusal that no case reaches depends on time, on an upstream, on a connection, on a body, or on bytes that no argument makes."""
    table = (Path(__file__).parents[2] / "Sources/Policy/LocalResponse.swift").read_text()
    codes = set(re.findall(r'(?:Answer\(\d+, |\.token\(|\.closing\(\d+, )"([a-z_]+)"', table))
    beyond = {
        "request_timeout", "chunk_invalid", "version_unsupported", "overloaded", "internal_error",
        "token_revoked", "revocation_stale", "certificate_missing", "certificate_invalid", "token_inactive",
        "auth_service_refused", "auth_service_unavailable", "introspection_unavailable", "upgrade_unsupported",
        "upstream_unavailable", "upstream_invalid", "upstream_closed", "upstream_timeout", "no_live_upstream",
        "upstream_untrusted", "upstream_tls_failed", "misdirected_request",
    }  # fmt: skip
    assert codes - {case.code for case in CASES.values()} == beyond
