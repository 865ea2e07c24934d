"""What a refusal says: RFC 9457 problem documents, RFC 6750 challenges, and how much of it `error_detail` shows."""

import json

import pytest

from harness.raw import Client, get
from harness.tokens import AUDIENCE, ISSUER, bearer, key_set

CONFIGURATION = f"""
worker_processes 1;
error_log stderr notice;
access_log @folder@/access.log json;
auth_provider main jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file @keys@; }}
server {{
    listen 127.0.0.1:@port@;
    listen 127.0.0.1:@tls_port@ ssl;
    ssl_certificate @certificate@;
    ssl_certificate_key @key@;
    auth main;
    location / {{ proxy_pass http://@origin@; }}
    location /code/ {{ error_detail code; require permission read:data; proxy_pass http://@origin@; }}
    location /full/ {{ error_detail full; require permission read:data; proxy_pass http://@origin@; }}
    location /none/ {{ error_detail none; require permission read:data; proxy_pass http://@origin@; }}
}}
"""


@pytest.fixture(scope="module")
def values(rsa_key, authority, tmp_path_factory):
    file = tmp_path_factory.mktemp("keys") / "jwks.json"
    file.write_text(json.dumps(key_set(rsa_key)))
    certificate, key = authority.issue("localhost")
    return {"keys": file, "certificate": certificate, "key": key}


def test_problem_document(gateway, origin):
    response = gateway.request(get("/x"))
    problem = response.json()
    assert problem["status"] == 401 and problem["code"] == "token_missing" and problem["title"] == "Unauthorized"
    assert response.get("content-length") == str(len(response.body)) and response.get("date")
    gateway.wait_for_log_line(lambda line: line["request_id"] == problem["request_id"])


@pytest.mark.parametrize("claims", [{"exp": 5}, {"permissions": []}, {"iss": "x"}])
def test_how_much_is_told(gateway, origin, rsa_key, claims):
    token = rsa_key.token(**claims)
    code, full, none = (gateway.request(get(f"/{level}/", bearer(token))) for level in ("code", "full", "none"))
    assert code.status == full.status == none.status
    assert code.json()["code"] == full.json()["code"] == full.get("gateway-error")
    assert full.json()["detail"], "in words too"
    assert "detail" not in code.json()
    assert "code" not in none.json() and none.get("gateway-error") is None
    reason = code.json()["code"]
    if reason != "insufficient_scope":
        assert reason.encode() not in none.raw_head + none.body, "the reason stays in the log"
    gateway.wait_for_log_line(lambda line: line["path"] == "/none/" and line["auth_reason"] == reason)


@pytest.mark.parametrize("fields", [(), ("Authorization: Basic eA==",)])
def test_challenge_has_a_realm(gateway, origin, fields):
    assert gateway.request(get("/x", *fields)).get("www-authenticate").startswith('Bearer realm="')


def test_refusal_over_TLS_and_the_connection_goes_on(gateway, origin, authority, rsa_key):
    with Client(gateway.tls_port, tls=authority.client_context()) as client:
        for _ in range(3):
            assert client.request(get("/x", bearer(rsa_key.token()[:-9] + "AAAAAAAAA"))).code == "signature_invalid"
            assert client.request(get("/x", bearer(rsa_key.token()))).status == 200


def test_refusal_of_HTTP_1_0(gateway, origin):
    with gateway.connect() as client:
        client.send(b"GET /x HTTP/1.0\r\nHost: a\r\n\r\n")
        response = client.read_response()
        assert response.status == 401 and response.code == "token_missing"
        client.expect_close()


def test_many_refusals_on_one_connection(gateway, origin):
    with gateway.connect() as client:
        client.send(get("/x") * 500)
        assert {client.read_response().status for _ in range(500)} == {401}
        client.expect_quiet(0.05)
    assert origin.received == b""
