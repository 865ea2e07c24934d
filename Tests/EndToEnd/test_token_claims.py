"""Claims of correctly signed tokens, permissions, providers and the cache (security rows J50–J66)."""

import json
import time

import pytest

from harness.raw import get
from harness.refusals import check_answer, check_invalid_token, expect_refusal
from harness.tokens import AUDIENCE, ISSUER, SigningKey, bearer, claims_of, key_set

OTHER = "https://other.example.com"
CONFIGURATION = f"""
worker_processes 1;
error_log stderr notice;
access_log @folder@/access.log json;
admin {{ listen 127.0.0.1:@admin_port@; }}
auth_provider main  jwt {{ issuer {ISSUER}; audience {AUDIENCE} web; key_file @keys@; leeway 1s; }}
auth_provider other jwt {{ issuer {OTHER}; audience {AUDIENCE}; key_file @keys@; }}
auth_provider whole jwt {{ issuer {ISSUER}; audience {AUDIENCE} web; audience_match all; key_file @keys@; }}
server {{
    listen 127.0.0.1:@port@;
    auth main;
    location / {{ proxy_pass http://@origin@; }}
    location /data/ {{ require permission read:data; proxy_pass http://@origin@; }}
    location /both/ {{ require permission read:data; require permission write:data; proxy_pass http://@origin@; }}
    location /admin/ {{ require permission read:admin_panel; proxy_pass http://@origin@; }}
    location /other/ {{ auth other; proxy_pass http://@origin@; }}
    location /whole/ {{ auth whole; proxy_pass http://@origin@; }}
    location /good {{ auth off; proxy_pass http://@origin@; }}
}}
"""


@pytest.fixture(scope="module")
def values(rsa_key, ec_key, tmp_path_factory):
    file = tmp_path_factory.mktemp("keys") / "jwks.json"
    file.write_text(json.dumps(key_set(rsa_key, ec_key)))
    return {"keys": file}


def expect_invalid(gateway, origin, token: str, code: str, path: str = "/x"):
    for _ in range(2):
        response = expect_refusal(gateway, origin, get(path, bearer(token)), 401, code, closed=False)
        check_invalid_token(response, code)
    return response


@pytest.mark.parametrize("ago", [5, 3600, 10**8])
def test_J50_expired(gateway, origin, rsa_key, ago):
    response = expect_invalid(gateway, origin, rsa_key.token(exp=int(time.time()) - ago, iat=None), "token_expired")
    assert 'error_description="The access token expired"' in response.get("www-authenticate")


def test_J50_within_the_leeway(gateway, origin, rsa_key):
    assert gateway.request(get("/x", bearer(rsa_key.token(exp=int(time.time()))))).status == 200


def test_J51_exp_missing(gateway, origin, rsa_key):
    expect_invalid(gateway, origin, rsa_key.token(exp=None), "claim_missing")


@pytest.mark.parametrize("value", ['"9999999999"', "true", "null", "[9999999999]", '{"a":1}', '""'])
def test_J52_exp_of_another_type(gateway, origin, rsa_key, value):
    payload = json.dumps(claims_of(exp=None))[:-1] + f',"exp":{value}}}'
    expect_invalid(gateway, origin, rsa_key.token_of(json.dumps(rsa_key.header()), payload), "claim_type")


def with_claim(key: SigningKey, text: str, **claims) -> str:
    """A token with one more member, spelt as it stands here."""
    return key.token_of(json.dumps(key.header()), json.dumps(claims_of(**claims))[:-1] + f",{text}}}")


DECIMALS = {
    "1.7e9-like": lambda t: f"{t / 10**9:.9f}e9",
    "half": lambda t: f"{t}.5",
    "E+": lambda t: f"{t}E+0",
    "e-": lambda t: f"{t}00e-2",
    "point zero": lambda t: f"{t}.0",
    "many digits": lambda t: f"{t}.{'0' * 60}1",
}


@pytest.mark.parametrize("spelling", DECIMALS.values(), ids=DECIMALS)
def test_J53_decimal_dates(gateway, origin, rsa_key, spelling):
    now = int(time.time())
    token = with_claim(rsa_key, f'"exp":{spelling(now + 600)}', exp=None)
    assert gateway.request(get("/x", bearer(token))).status == 200
    origin.reset()
    expect_invalid(gateway, origin, with_claim(rsa_key, f'"exp":{spelling(now - 600)}', exp=None), "token_expired")
    early = with_claim(rsa_key, f'"nbf":{spelling(now + 600)}')
    expect_invalid(gateway, origin, early, "token_not_yet_valid")


def test_J53_fractions_are_not_rounded_in_binary(gateway, origin, rsa_key):
    """Half a second before its end a token is good, and a double could not tell these two dates apart."""
    end = int(time.time()) - 1
    assert float(f"{end + 3600}.00000000000000000001") == float(end + 3600)
    whole = with_claim(rsa_key, f'"exp":{end - 5}.99999999999999999999', exp=None)
    expect_invalid(gateway, origin, whole, "token_expired")


PAST = ["-1", "0", "-0", "-0.0", "0.0", "0e5", "1", "1e-400", "-1700000000", "-1e17", "1.5"]


@pytest.mark.parametrize("value", PAST)
def test_J54_exp_in_the_far_past(gateway, origin, rsa_key, value):
    expect_invalid(gateway, origin, with_claim(rsa_key, f'"exp":{value}', exp=None), "token_expired")


BEYOND = ["1e400", "-1e400", str(2**63), str(2**64), str(2**64 + 2_000_000_000), "9" * 400, "1e19", "-" + "9" * 400]


@pytest.mark.parametrize("value", BEYOND, ids=lambda value: value[:24])
@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
def test_J54_out_of_range(gateway, origin, rsa_key, claim, value):
    token = with_claim(rsa_key, f'"{claim}":{value}', **{claim: None})
    expect_invalid(gateway, origin, token, "claim_type")


@pytest.mark.parametrize("years", [100, 1.1, 1_000_000])
def test_J55_a_hundred_years_ahead(gateway, origin, rsa_key, years):
    end = int(time.time() + years * 365 * 86_400)
    expect_invalid(gateway, origin, rsa_key.token(exp=end), "lifetime_exceeded")
    expect_invalid(gateway, origin, rsa_key.token(exp=end, iat=None), "lifetime_exceeded")


def test_J55_just_a_day(gateway, origin, rsa_key):
    now = int(time.time())
    assert gateway.request(get("/x", bearer(rsa_key.token(iat=now - 10, exp=now - 10 + 86_400)))).status == 200
    origin.reset()
    expect_invalid(gateway, origin, rsa_key.token(iat=now - 10, exp=now - 10 + 86_401), "lifetime_exceeded")
    # A date of issue long ago makes it no younger.
    expect_invalid(gateway, origin, rsa_key.token(iat=1, exp=now + 600), "lifetime_exceeded")


@pytest.mark.parametrize("claim", ["nbf", "iat"])
@pytest.mark.parametrize("ahead", [10, 3600, 10**10])
def test_J56_not_yet_valid(gateway, origin, rsa_key, claim, ahead):
    token = rsa_key.token(**{claim: int(time.time()) + ahead})
    expect_invalid(gateway, origin, token, "token_not_yet_valid")


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_J56_within_the_leeway(gateway, rsa_key, claim):
    assert gateway.request(get("/x", bearer(rsa_key.token(**{claim: int(time.time())})))).status == 200


@pytest.mark.parametrize("claim", ["nbf", "iat"])
@pytest.mark.parametrize("value", ["soon", None, True, [], {}], ids=repr)
def test_J56_of_another_type(gateway, origin, rsa_key, claim, value):
    token = with_claim(rsa_key, f'"{claim}":{json.dumps(value)}', **{claim: None})
    expect_invalid(gateway, origin, token, "claim_type")


@pytest.mark.parametrize("subject", [None, ""], ids=repr)
def test_J59_no_subject(gateway, origin, rsa_key, subject):
    expect_invalid(gateway, origin, rsa_key.token(sub=subject), "claim_missing")


@pytest.mark.parametrize("subject", ["null", "5", "true", "[]", '["alice"]', '{"a":1}'])
def test_J59_subject_of_another_type(gateway, origin, rsa_key, subject):
    expect_invalid(gateway, origin, with_claim(rsa_key, f'"sub":{subject}', sub=None), "claim_type")


@pytest.mark.parametrize(
    "issuer",
    [
        None,
        ISSUER + "/",
        ISSUER.upper(),
        ISSUER[:-1],
        [ISSUER],
        OTHER,
        "",
        " " + ISSUER,
        5,
        {"a": ISSUER},
        ISSUER.replace("https", "http"),
        ISSUER + "\u0000",
    ],
    ids=repr,
)
def test_J57_issuer(gateway, origin, rsa_key, issuer):
    token = rsa_key.token(iss=issuer)
    response = gateway.request(get("/x", bearer(token)))
    assert response.code in (("issuer_mismatch",) if issuer != OTHER else ("issuer_mismatch", "provider_mismatch"))
    check_invalid_token(response, response.code)
    assert origin.received == b""


def test_J57_is_counted(gateway, origin, rsa_key):
    expect_invalid(gateway, origin, rsa_key.token(iss=ISSUER + "/"), "issuer_mismatch")


@pytest.mark.parametrize(
    "audience",
    [
        None,
        "x" + AUDIENCE,
        AUDIENCE + "x",
        AUDIENCE.upper(),
        [],
        5,
        {AUDIENCE: 1},
        ["a", "b"],
        "",
        [[AUDIENCE]],
        [5],
        AUDIENCE + " web",
        AUDIENCE[:-1],
        True,
    ],
    ids=repr,
)
def test_J58_audience(gateway, origin, rsa_key, audience):
    expect_invalid(gateway, origin, rsa_key.token(aud=audience), "audience_mismatch")


@pytest.mark.parametrize("audience", [AUDIENCE, "web", [AUDIENCE], ["a", "web"], ["web", AUDIENCE]], ids=repr)
def test_J58_any_of_them(gateway, origin, rsa_key, audience):
    assert gateway.request(get("/x", bearer(rsa_key.token(aud=audience)))).status == 200


def expect_forbidden(gateway, origin, path: str, token: str, scope: str) -> None:
    response = expect_refusal(gateway, origin, get(path, bearer(token)), 403, "insufficient_scope", closed=False)
    challenge = response.get("www-authenticate")
    assert challenge.startswith("Bearer ") and 'error="insufficient_scope"' in challenge
    assert f'scope="{scope}"' in challenge


def test_J61_permission_missing(gateway, origin, rsa_key):
    expect_forbidden(gateway, origin, "/admin/x", rsa_key.token(), "read:admin_panel")
    expect_forbidden(gateway, origin, "/data/x", rsa_key.token(permissions=None), "read:data")
    expect_forbidden(gateway, origin, "/data/x", rsa_key.token(permissions=[]), "read:data")


@pytest.mark.parametrize(
    "permissions",
    [
        5,
        True,
        {"read:data": True},
        {"a": ["read:data"]},
        ["read:data", 5],
        [5, "read:data"],
        [["read:data"]],
        ["read:data", None],
        ["read:data", {}],
        [{"read:data": 1}],
        "read:database",
        "unread:data",
        ["read:database", "unread:data"],
        ["read:data:all"],
        "read:data,write:data",
        ["read:data write:data"],
        "read%3Adata",
        "READ:DATA",
        "",
        [],
        None,
    ],
    ids=repr,
)
def test_J60_permissions_of_another_type_or_word(gateway, origin, rsa_key, permissions):
    token = with_claim(rsa_key, f'"permissions":{json.dumps(permissions)}', permissions=None)
    for _ in range(2):
        expect_forbidden(gateway, origin, "/data/x", token, "read:data")
    # Who a token belongs to does not depend on what it allows.
    assert gateway.request(get("/x", bearer(token))).status == 200


@pytest.mark.parametrize("permissions", ["read:data", "a read:data b", ["read:data"], ["a", "read:data"]], ids=repr)
def test_J60_words_and_lists(gateway, rsa_key, permissions):
    assert gateway.request(get("/data/x", bearer(rsa_key.token(permissions=permissions)))).status == 200


def test_J61_each_line_must_be_met(gateway, origin, rsa_key):
    both = rsa_key.token(permissions=["write:data", "read:data"])
    assert gateway.request(get("/both/x", bearer(both))).status == 200
    response = gateway.request(get("/both/x", bearer(rsa_key.token())))
    check_answer(response, 403, "insufficient_scope", closed=False)
    assert "write:data" in response.get("www-authenticate")


@pytest.mark.parametrize(
    "permissions",
    [
        ["read:database"],
        ["unread:data"],
        ["READ:DATA"],
        ["read:data "],
        "read:database",
        ["read"],
        [":data"],
        [""],
        ["read:data\u0000"],
        "read:data,write:data",
    ],
    ids=repr,
)
def test_J61_whole_words_only(gateway, origin, rsa_key, permissions):
    response = gateway.request(get("/data/x", bearer(rsa_key.token(permissions=permissions))))
    assert response.status == 403, permissions
    assert origin.received == b""


def test_permission_granted(gateway, origin, rsa_key):
    token = rsa_key.token(permissions=["a", "read:data", "b"])
    assert gateway.request(get("/data/x", bearer(token))).status == 200
    assert origin.last.get("x-auth-permissions") is not None


def test_J63_token_of_another_provider_both_cached(gateway, origin, rsa_key):
    ours, theirs = rsa_key.token(), rsa_key.token(iss=OTHER)
    assert gateway.request(get("/x", bearer(ours))).status == 200
    assert gateway.request(get("/other/x", bearer(theirs))).status == 200
    origin.reset()
    for path, token in (("/other/x", ours), ("/x", theirs)):
        response = gateway.request(get(path, bearer(token)))
        assert response.code in ("provider_mismatch", "issuer_mismatch")
        check_invalid_token(response, response.code)
    assert origin.received == b""


def test_J63_has_its_own_code(gateway, origin, rsa_key):
    theirs = rsa_key.token(iss=OTHER)
    assert gateway.request(get("/other/x", bearer(theirs))).status == 200
    check_invalid_token(gateway.request(get("/x", bearer(theirs))), "provider_mismatch")


def test_J64_cached_token_is_evaluated_anew(gateway, origin, rsa_key):
    token = rsa_key.token()
    with gateway.connect() as client:
        for _ in range(3):
            assert client.request(get("/data/x", bearer(token))).status == 200
            assert client.request(get("/admin/x", bearer(token))).status == 403


def test_J65_cached_token_reaches_exp(gateway, origin, rsa_key):
    """The leeway of this provider is one second."""
    token = rsa_key.token(exp=int(time.time()) + 1, iat=None)
    with gateway.connect() as client:
        assert client.request(get("/x", bearer(token))).status == 200
        assert client.request(get("/x", bearer(token))).status == 200
        time.sleep(3.1)
        check_invalid_token(client.request(get("/x", bearer(token))), "token_expired")


def test_signature_comes_before_claims(gateway, origin, rsa_key):
    """Claim errors are told only to holders of a correctly signed token."""
    stranger = SigningKey("RS256", "rsa-1")
    for claims in ({"exp": 1}, {"iss": "https://evil"}, {"aud": "x"}, {"sub": None}):
        check_invalid_token(gateway.request(get("/x", bearer(stranger.token(**claims)))), "signature_invalid")


def test_not_yet_valid(gateway, origin, rsa_key):
    expect_invalid(gateway, origin, rsa_key.token(nbf=int(time.time()) + 100), "token_not_yet_valid")


@pytest.mark.parametrize(
    ("typ", "accepted"),
    [
        ("at+jwt", True),
        ("JWT", True),
        ("jwt", True),
        ("application/at+jwt", True),
        (None, True),
        ("logout+jwt", False),
        ("dpop+jwt", False),
    ],
)
def test_types_of_tokens(gateway, origin, rsa_key, typ, accepted):
    response = gateway.request(get("/x", bearer(rsa_key.token(header={"typ": typ}))))
    assert response.status == (200 if accepted else 401)
    if not accepted:
        check_invalid_token(response, "typ_not_allowed")


def test_cache_is_counted(gateway, origin, rsa_key):
    token = rsa_key.token(x="count me")
    before = gateway.metrics()
    for _ in range(5):
        gateway.request(get("/x", bearer(token)))
    after = gateway.metrics()
    assert after.sum("gateway_jwt_cache_misses_total") - before.sum("gateway_jwt_cache_misses_total") == 1
    assert after.sum("gateway_jwt_cache_hits_total") - before.sum("gateway_jwt_cache_hits_total") == 4


def test_R10_token_is_never_logged(gateway, origin, rsa_key):
    good, bad = rsa_key.token(), rsa_key.token(exp=5)
    for line in (bearer(good), bearer(bad), f"Authorization: {bad}", f"Authorization: Bearer  {good}"):
        gateway.request(get("/secret-check", line))
    gateway.wait_for_log_line(lambda line: line["path"] == "/secret-check" and line["status"] == 400)
    for text in (gateway.log, (gateway.folder / "access.log").read_text()):
        for token in (good, bad):
            assert all(part[:30] not in text for part in token.split(".")[1:])


@pytest.mark.parametrize(
    ("audience", "code"),
    [
        ([AUDIENCE, "web"], None),
        (["web", "x", AUDIENCE, "web"], None),
        ([AUDIENCE], "audience_mismatch"),
        (AUDIENCE, "audience_mismatch"),
        ([AUDIENCE, AUDIENCE], "audience_mismatch"),
        (["web", 7], "audience_mismatch"),
        ([], "audience_mismatch"),
    ],
    ids=repr,
)
def test_J58_all_of_them(gateway, origin, rsa_key, audience, code):
    data = get("/whole/x", bearer(rsa_key.token(aud=audience)))
    if code is None:
        assert gateway.request(data).status == 200
    else:
        check_invalid_token(expect_refusal(gateway, origin, data, 401, code, closed=False), code)
