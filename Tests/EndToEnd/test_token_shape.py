"""The outer form of a token: size, parts, encoding, JSON (security rows J01–J16)."""

import json
import time
import zlib

import pytest

from harness.raw import get
from harness.refusals import check_answer, check_invalid_token, expect_refusal
from harness.tokens import AUDIENCE, ISSUER, b64, bearer, claims_of, key_set, non_canonical

CONFIGURATION = f"""
worker_processes 1;
error_log stderr notice;
access_log @folder@/access.log json;
client_header_line_size 64k;
client_header_size 256k;
admin {{ listen 127.0.0.1:@admin_port@; }}
auth_provider main jwt {{
    issuer {ISSUER};
    audience {AUDIENCE};
    key_file @keys@;
}}
server {{
    listen 127.0.0.1:@port@;
    auth main;
    location / {{ proxy_pass http://@origin@; }}
    location /good {{ auth off; proxy_pass http://@origin@; }}
}}
"""


@pytest.fixture(scope="module")
def values(rsa_key, ec_key, ed_key, tmp_path_factory):
    file = tmp_path_factory.mktemp("keys") / "jwks.json"
    file.write_text(json.dumps(key_set(rsa_key, ec_key, ed_key)))
    return {"keys": file}


def expect_invalid(gateway, origin, token: str, code: str):
    """401 with `invalid_token`, twice: a verdict kept in a cache must be the same."""
    for _ in range(2):
        response = expect_refusal(gateway, origin, get("/x", bearer(token)), 401, code, closed=False)
        check_invalid_token(response, code)
        assert token[:40] not in response.raw_head.decode("latin-1") + response.body.decode()
    return response


@pytest.mark.parametrize("algorithm", ["rsa_key", "ec_key", "ed_key"])
def test_good_token_passes(gateway, origin, request, algorithm):
    token = request.getfixturevalue(algorithm).token()
    for _ in range(3):
        assert gateway.request(get("/x", bearer(token))).status == 200
    assert origin.last.get("x-auth-subject") == "alice"


def test_J01_no_token(gateway, origin):
    response = expect_refusal(gateway, origin, get("/x"), 401, "token_missing", closed=False)
    challenge = response.get("www-authenticate")
    assert challenge.startswith('Bearer realm="') and "error" not in challenge


def test_J01_HEAD_without_token(gateway, origin):
    with gateway.connect() as client:
        client.send(get("/x", method="HEAD"))
        response = client.read_response("HEAD")
        assert response.status == 401 and response.get("gateway-error") == "token_missing"
        client.expect_quiet(0.05)


@pytest.mark.parametrize("size", [8_193, 30_000])
def test_J02_too_large(gateway, origin, rsa_key, size):
    token = rsa_key.token(filler="")
    token = rsa_key.token(filler="x" * int((size - len(token)) * 3 / 4 + 8))
    assert len(token) >= size
    expect_invalid(gateway, origin, token, "token_too_large")


def test_J02_too_large_without_any_shape(gateway, origin):
    expect_invalid(gateway, origin, "." * 9_000, "token_too_large")


def test_J02_just_below_the_limit_passes(gateway, origin, rsa_key):
    token = rsa_key.token(filler="x" * 5_400)
    assert 7_000 < len(token) <= 8_192
    assert gateway.request(get("/x", bearer(token))).status == 200


@pytest.mark.parametrize("count", [1, 3, 5, 6, 100, 8_000])
def test_J03_number_of_dots(gateway, origin, count):
    expect_invalid(gateway, origin, ".".join(["abcd"] * (count + 1))[:8_000], "token_malformed")


@pytest.mark.parametrize("token", ["..", "...", "." * 5, "abcd"])
def test_J03_nothing_but_dots(gateway, origin, token):
    response = gateway.request(get("/x", bearer(token)))
    assert response.status in (400, 401)
    assert response.code in ("token_malformed", "signature_missing", "invalid_request")
    assert origin.received == b""


def test_J03_a_hundred_thousand_dots(gateway, origin):
    response = gateway.request(get("/x", bearer("." * 60_000)))
    assert response.status == 401 and response.code == "token_too_large"


def test_J04_encrypted(gateway, origin):
    header = b64(b'{"alg":"RSA-OAEP","enc":"A256GCM"}')
    expect_invalid(gateway, origin, ".".join([header, *["abcd"] * 4]), "token_encrypted_unsupported")


@pytest.mark.parametrize(
    "token",
    [
        '{"payload":"e30","protected":"e30","signature":"e30"}',
        '{"payload":"e30","signatures":[{"protected":"e30","signature":"e30"}]}',
        '{"a.b.c":1}',
    ],
)
def test_J05_json_serialisation(gateway, origin, token):
    response = gateway.request(get("/x", f"Authorization: Bearer {token}"))
    assert (response.status, response.code) in {(401, "token_malformed"), (400, "invalid_request")}
    assert origin.received == b""


def test_J05_is_malformed(gateway, origin):
    expect_invalid(gateway, origin, '{"payload":"e30.e30.e30"}', "token_malformed")


@pytest.mark.parametrize(
    ("empty", "code"),
    [
        (0, "token_malformed"),
        (1, "token_malformed"),
        (2, "signature_missing"),
    ],
)
def test_J06_empty_segment(gateway, origin, rsa_key, empty, code):
    parts = rsa_key.token().split(".")
    parts[empty] = ""
    expect_invalid(gateway, origin, ".".join(parts), code)


@pytest.mark.parametrize("segment", [0, 1, 2])
@pytest.mark.parametrize(
    "change",
    [
        lambda s: s + "=",
        lambda s: s + "==",
        lambda s: "+" + s[1:],
        lambda s: "/" + s[1:],
        lambda s: s[:5] + "~" + s[6:],
        lambda s: s[:5] + "%2B" + s[6:],
    ],
    ids=["=", "==", "+", "/", "~", "%2B"],
)
def test_J07_alphabet(gateway, origin, rsa_key, segment, change):
    parts = rsa_key.token().split(".")
    parts[segment] = change(parts[segment])
    response = gateway.request(get("/x", bearer(".".join(parts))))
    check_invalid_token(response, "token_malformed")
    assert origin.received == b""


def test_J08_length_of_one_more(gateway, origin, rsa_key):
    for segment in range(3):
        parts = rsa_key.token().split(".")
        parts[segment] += "A" * ((1 - len(parts[segment])) % 4 or 4)
        assert len(parts[segment]) % 4 == 1
        check_invalid_token(gateway.request(get("/x", bearer(".".join(parts)))), "token_malformed")
    assert origin.received == b""


@pytest.mark.parametrize("segment", [0, 1, 2])
def test_J08_unused_bits(gateway, origin, rsa_key, segment):
    for filler in ("", "x", "xx", "xxx"):
        token = rsa_key.token(header={"x": filler}, x=filler)
        parts = token.split(".")
        if len(parts[segment]) % 4 == 0:
            continue
        assert gateway.request(get("/x", bearer(token))).status == 200
        parts[segment] = non_canonical(parts[segment])
        check_invalid_token(gateway.request(get("/x", bearer(".".join(parts)))), "token_malformed")


@pytest.mark.parametrize("behind", [" .jjjj", " x", ",x", ", x", ",", " ,", ", Bearer x", " " + "a.b.c", ";x", ";"])
def test_J09_bytes_behind_the_token(gateway, origin, rsa_key, behind):
    token = rsa_key.token()
    response = gateway.request(get("/x", bearer(token + behind)))
    if ";" in behind:
        # No list and no second credential: a character that no token has.
        check_invalid_token(response, "token_malformed")
    else:
        check_answer(response, 400, "invalid_request", closed=False)
        assert response.get("www-authenticate") is None or 'error="invalid_request"' in response.get("www-authenticate")
    assert origin.received == b""


def test_J09_is_counted(gateway, origin, rsa_key):
    line = bearer(rsa_key.token() + " .jjjj")
    expect_refusal(gateway, origin, get("/x", line), 400, "invalid_request", closed=False)


BAD_TEXT = {
    "latin-1": b"\xe9",
    "overlong": b"\xc0\xaf",
    "surrogate": b"\xed\xa0\x80",
    "beyond": b"\xf4\x90\x80\x80",
    "cut short": b"\xe2\x82",
    "escaped half": b"\\ud83d",
    "escaped other half": b"\\ude00",
    "halves in the wrong order": b"\\ude00\\ud83d",
}


@pytest.mark.parametrize("text", BAD_TEXT.values(), ids=BAD_TEXT)
def test_J10_text_that_is_not_utf8(gateway, origin, rsa_key, text):
    header, payload = json.dumps(rsa_key.header()).encode(), json.dumps(claims_of()).encode()
    member = b',"x":"' + text + b'"}'
    expect_invalid(gateway, origin, rsa_key.token_of(header[:-1] + member, payload), "token_malformed")
    expect_invalid(gateway, origin, rsa_key.token_of(header, payload[:-1] + member), "token_malformed")
    name = b',"' + text + b'":1}'
    expect_invalid(gateway, origin, rsa_key.token_of(header, payload[:-1] + name), "token_malformed")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_J10_byte_order_marks_and_other_encodings(gateway, origin, rsa_key, encoding):
    header, payload = json.dumps(rsa_key.header()), json.dumps(claims_of())
    expect_invalid(gateway, origin, rsa_key.token_of(header.encode(encoding), payload), "token_malformed")
    expect_invalid(gateway, origin, rsa_key.token_of(header, payload.encode(encoding)), "token_malformed")


def test_J10_whole_pairs_and_other_scripts_pass(gateway, origin, rsa_key):
    payload = json.dumps(claims_of(sub="Ωmega \U0001f600", x="\U0001f600"))
    assert gateway.request(get("/x", bearer(rsa_key.token_of(json.dumps(rsa_key.header()), payload)))).status == 200


@pytest.mark.parametrize("document", ["[]", "[{}]", '"text"', "null", "true", "5", "", " ", "{}{}"])
def test_J11_not_an_object(gateway, origin, rsa_key, document):
    header, payload = json.dumps(rsa_key.header()), json.dumps(claims_of())
    if document:
        expect_invalid(gateway, origin, rsa_key.token_of(document, payload), "token_malformed")
        expect_invalid(gateway, origin, rsa_key.token_of(header, document), "token_malformed")
        return
    # An empty part is none at all.
    expect_invalid(gateway, origin, rsa_key.token_of(document, payload), "token_malformed")


@pytest.mark.parametrize(
    "payload",
    [
        '{"sub":"alice","sub":"bob",%s}',
        '{"sub":"alice","\\u0073ub":"bob",%s}',
        '{"a":{"b":1,"b":2},"sub":"alice",%s}',
        '{"a":[{"b":1,"b":1}],"sub":"alice",%s}',
        '{"sub":"alice",%s,"exp":9999999999}',
    ],
)
def test_J12_duplicate_claim(gateway, origin, rsa_key, payload):
    rest = json.dumps(claims_of(sub=None))[1:-1]
    token = rsa_key.token_of(json.dumps(rsa_key.header()), payload % rest)
    expect_invalid(gateway, origin, token, "duplicate_claim")


@pytest.mark.parametrize("extra", ['"alg":"RS256"', '"\\u0061lg":"RS256"', '"kid":"rsa-1"', '"x":{"y":1,"y":2}'])
def test_J12_duplicate_header_member(gateway, origin, rsa_key, extra):
    header = json.dumps(rsa_key.header())[:-1] + "," + extra + "}"
    expect_invalid(gateway, origin, rsa_key.token_of(header, json.dumps(claims_of())), "duplicate_claim")


def nested(depth: int, opening: str = "[", closing: str = "]") -> str:
    return opening * depth + closing * depth


@pytest.mark.parametrize(
    "member",
    [
        nested(16),
        nested(200),
        "[" * 3_000,
        '{"a":' * 16 + "1" + "}" * 16,
        '[{"a":' * 8 + "1" + "}]" * 8,
    ],
    ids=["16 lists", "200 lists", "open lists", "16 objects", "both"],
)
def test_J13_depth(gateway, origin, rsa_key, member):
    """The outermost object is the first of sixteen."""
    payload = json.dumps(claims_of())[:-1] + f',"x":{member}}}'
    expect_invalid(gateway, origin, rsa_key.token_of(json.dumps(rsa_key.header()), payload), "token_malformed")
    header = json.dumps(rsa_key.header())[:-1] + f',"x":{member}}}'
    expect_invalid(gateway, origin, rsa_key.token_of(header, json.dumps(claims_of())), "token_malformed")


def test_J13_number_of_members(gateway, origin, rsa_key):
    accepted = claims_of()
    fit = {f"m{number}": 0 for number in range(256 - len(accepted))}
    token = rsa_key.token_of(json.dumps(rsa_key.header()), json.dumps(accepted | fit))
    assert gateway.request(get("/x", bearer(token))).status == 200
    origin.reset()
    token = rsa_key.token_of(json.dumps(rsa_key.header()), json.dumps(accepted | fit | {"more": 0}))
    expect_invalid(gateway, origin, token, "token_malformed")
    payload = json.dumps(accepted)[:-1] + ',"x":[' + ",".join(['{"a":0}'] * 257) + "]}"
    token = rsa_key.token_of(json.dumps(rsa_key.header()), payload)
    expect_invalid(gateway, origin, token, "token_malformed")


def test_J13_numbers_of_many_digits(gateway, origin, rsa_key):
    """As a date it is out of range, elsewhere nobody counts it; what is longer than a token may be is not read."""
    header, digits = json.dumps(rsa_key.header()), "9" * 5_000
    payload = json.dumps(claims_of(exp=None))[:-1] + f',"exp":{digits}}}'
    expect_invalid(gateway, origin, rsa_key.token_of(header, payload), "claim_type")
    payload = json.dumps(claims_of())[:-1] + f',"x":{digits}}}'
    assert gateway.request(get("/x", bearer(rsa_key.token_of(header, payload)))).status == 200
    origin.reset()
    payload = json.dumps(claims_of())[:-1] + f',"x":{"9" * 40_000}}}'
    expect_invalid(gateway, origin, rsa_key.token_of(header, payload), "token_too_large")
    response = gateway.request(get("/x", bearer(rsa_key.token_of(header, f'{{"exp":{"9" * 1_000_000}}}'))))
    assert response.status == 431


def test_J13_open_lists_cost_nothing(gateway, origin, rsa_key):
    payload = '{"x":' + "[" * 5_500
    token = rsa_key.token_of(json.dumps(rsa_key.header()), payload)
    before = time.monotonic()
    for number in range(100):
        response = gateway.request(get("/x", bearer(token)))
        assert response.code == "token_malformed"
    assert time.monotonic() - before < 5
    assert origin.received == b""


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text + "x",
        lambda text: text + " {}",
        lambda text: text + ",",
        lambda text: text + "}",
        lambda text: text + "\0",
        lambda text: text + "//",
        lambda text: "/* */" + text,
        lambda text: text[:-1] + ",}",
        lambda text: text[:-1] + ',"x":01}',
        lambda text: text[:-1] + ',"x":1.}',
        lambda text: text[:-1] + ',"x":.5}',
        lambda text: text[:-1] + ',"x":+1}',
        lambda text: text[:-1] + ',"x":0x10}',
        lambda text: text[:-1] + ',"x":1e}',
        lambda text: text[:-1] + ',"x":NaN}',
        lambda text: text[:-1] + ',"x":Infinity}',
        lambda text: text[:-1] + ',"x":-Infinity}',
        lambda text: text[:-1] + ',"x":True}',
        lambda text: text[:-1] + ',"x":undefined}',
        lambda text: text[:-1] + ",x:1}",
        lambda text: text[:-1] + ",'x':1}",
        lambda text: text[:-1] + ',"x":\'y\'}',
        lambda text: text[:-1] + ',"x":"\t"}',
        lambda text: text[:-1] + ',"x":"\\x41"}',
        lambda text: text[:-1] + ',"x":[1,]}',
        lambda text: text[:-1] + ',"x":[,1]}',
        lambda text: text[:-1] + ',"x" 1}',
        lambda text: text[:-1] + ',"x":}',
        lambda text: text[:-1],
        lambda text: text.replace(":", "=", 1),
    ],
    ids=lambda spoil: repr(spoil("{}"))[:24],
)
def test_J14_strict_json(gateway, origin, rsa_key, spoil):
    header, payload = json.dumps(rsa_key.header()), json.dumps(claims_of())
    expect_invalid(gateway, origin, rsa_key.token_of(spoil(header), payload), "token_malformed")
    expect_invalid(gateway, origin, rsa_key.token_of(header, spoil(payload)), "token_malformed")


def test_J14_blanks_are_no_garbage(gateway, origin, rsa_key):
    header, payload = json.dumps(rsa_key.header(), indent=2), json.dumps(claims_of(), indent="\t")
    token = rsa_key.token_of(f" \r\n{header}\n", f"\t {payload} \r\n ")
    assert gateway.request(get("/x", bearer(token))).status == 200


@pytest.mark.parametrize("zip_", ["DEF", "def", "GZIP", "", None, 1])
def test_J15_compressed_payload(gateway, origin, rsa_key, zip_):
    header = json.dumps(rsa_key.header() | {"zip": zip_})
    payload = json.dumps(claims_of()).encode()
    expect_invalid(gateway, origin, rsa_key.token_of(header, payload), "unsupported_header")
    expect_invalid(gateway, origin, rsa_key.token_of(header, zlib.compress(payload)), "unsupported_header")


@pytest.mark.parametrize("more", [{}, {"crit": ["b64"]}])
@pytest.mark.parametrize("value", [False, True, 0, "false", None])
def test_J16_unencoded_payload(gateway, origin, rsa_key, more, value):
    """RFC 7797: what is signed would be another text, so no value of it is ignored."""
    header = json.dumps(rsa_key.header() | more | {"b64": value})
    expect_invalid(gateway, origin, rsa_key.token_of(header, json.dumps(claims_of())), "unsupported_crit")


def test_J16_unencoded_payload_that_is_signed_so(gateway, origin, rsa_key):
    head = b64(json.dumps(rsa_key.header() | {"b64": False, "crit": ["b64"]}).encode())
    payload = json.dumps(claims_of(), separators=(",", ":"))
    signature = b64(rsa_key.signature(f"{head}.{payload}".encode()))
    response = gateway.request(get("/x", bearer(f"{head}.{payload}.{signature}")))
    assert (response.status, response.code) in {(401, "token_malformed"), (400, "invalid_request")}
    expect_invalid(gateway, origin, f"{head}.{b64(payload.encode())}.{signature}", "unsupported_crit")
