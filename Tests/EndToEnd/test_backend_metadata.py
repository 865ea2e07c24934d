"""The metadata of the auth service (RFC 8414): what they say, where they stand, and a gateway that finds the keys by them."""

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata

from harness.backend import backend_key, prepare, problem  # noqa: F401

PATH = "/.well-known/oauth-authorization-server"
AUTHENTICATION = ["client_secret_basic", "client_secret_post"]

CONFIGURATION = """
error_log stderr notice;
auth_provider main jwt {
    issuer @issuer@;
    audience gateway-demo;
    discovery http://127.0.0.1:@auth_service_port@@path@;
}
server {
    listen 127.0.0.1:@port@;
    auth main;
    location /api/protected/ {
        require permission read:data; forward_token on; proxy_pass http://127.0.0.1:@resource_port@;
    }
}
"""


def test_metadata_say_where_the_endpoints_are(prepare):
    backend = prepare().start()
    answer = backend.auth.get(PATH)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "public, max-age=300"
    origin = "https://localhost:8443"
    assert answer.json() == {
        "issuer": origin,
        "token_endpoint": f"{origin}/oauth/token",
        "introspection_endpoint": f"{origin}/oauth/introspect",
        "revocation_endpoint": f"{origin}/oauth/revoke",
        "jwks_uri": f"{origin}/.well-known/jwks.json",
        "response_types_supported": ["none"],
        "grant_types_supported": ["refresh_token"],
        "token_endpoint_auth_methods_supported": AUTHENTICATION,
        "introspection_endpoint_auth_methods_supported": AUTHENTICATION,
        "revocation_endpoint_auth_methods_supported": AUTHENTICATION,
    }
    # Another implementation's reading of the RFC: what is required, which values are addresses, what belongs together.
    AuthorizationServerMetadata(answer.json()).validate()
    backend.stop()


def test_endpoints_of_the_metadata_are_there(prepare):
    """Each of them asks who calls; one that did not exist would answer 404."""
    backend = prepare()
    origin = f"http://127.0.0.1:{backend.auth_port}"
    backend.start("--public-origin", origin)
    metadata = backend.auth.get(PATH).json()
    assert metadata["issuer"] == "https://localhost:8443"
    for name in ("token_endpoint", "introspection_endpoint", "revocation_endpoint"):
        assert metadata[name].startswith(origin + "/")
        answer = backend.auth.post(metadata[name], data={"token": "x", "grant_type": "refresh_token"})
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client"), name
    assert backend.auth.get(metadata["jwks_uri"]).json()["keys"] == backend.key_set()
    backend.stop()


@pytest.mark.parametrize("issuer, paths", [
    ("https://id.example.com", [PATH]),
    ("https://id.example.com/", [PATH]),
    ("https://id.example.com/tenant", [PATH, PATH + "/tenant"]),
])
def test_gateway_finds_the_keys_by_the_metadata(prepare, start, issuer, paths):
    backend = prepare()
    origin = f"http://127.0.0.1:{backend.auth_port}"
    backend.start("--issuer", issuer, "--public-origin", origin)
    token = backend.login()["access_token"]
    for path in paths:
        assert backend.auth.get(path).json()["issuer"] == issuer
        gateway = start(CONFIGURATION, issuer=issuer, path=path, auth_service_port=backend.auth_port,
                        resource_port=backend.resource_port)
        answer = backend.resource.get(f"http://127.0.0.1:{gateway.port}/api/protected/data",
                                      headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200, answer.text
    backend.stop()


def test_issuer_that_is_no_address_has_no_metadata(prepare):
    backend = prepare().start("--issuer", "our-tokens")
    problem(backend.auth.get(PATH), 404, "not_found")
    backend.stop()


@pytest.mark.parametrize("origin", ["https://a.example/", "https://a.example/x", "a.example", "ftp://a.example",
                                    "https://me@a.example", "https://A.example", "https://a.example:443"])
def test_public_origin_is_written_as_browsers_write_it(prepare, origin):
    assert "the setting public_origin must be" in prepare().refuses_to_start("--public-origin", origin)
