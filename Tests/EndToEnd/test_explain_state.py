"""`gateway explain` with what a gateway keeps in `state_dir`: the journal of revocations, and keys."""

import json
import time

import pytest

from harness.gateway import run_command
from harness.jwks import KeyServer
from harness.raw import get
from harness.revocations import entry, revoke
from harness.tokens import AUDIENCE, ISSUER, bearer, key_set
from harness.waiting import wait_until

REVOCATIONS = f"""
worker_processes 1;
error_log stderr info;
state_dir @state@;
admin {{ listen 127.0.0.1:@admin_port@; }}
auth_provider main jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file @folder@/keys.json; }}
revocation logouts {{ }}
revocation partners {{ }}
server {{
    listen 127.0.0.1:@port@;
    auth main;
    location / {{ revocation logouts; proxy_pass http://@origin@; }}
    location /partners/ {{ revocation partners; proxy_pass http://@origin@; }}
    location /report/ {{ revocation logouts; auth_mode report; proxy_pass http://@origin@; }}
}}
"""
KEYS = f"""
worker_processes 1;
error_log stderr info;
state_dir @state@;
admin {{ listen 127.0.0.1:@admin_port@; }}
auth_provider main jwt {{ issuer {ISSUER}; audience {AUDIENCE}; jwks @jwks@; }}
server {{ listen 127.0.0.1:@port@; auth main; location / {{ proxy_pass http://@origin@; }} }}
"""


def explain(gateway, tmp_path, token: str, path: str = "/x", *options: str):
    """What the command says with the very configuration of the gateway."""
    (tmp_path / "token").write_text(token)
    arguments = ("-c", gateway.file, "--json", "--token-file", tmp_path / "token", *options, path)
    done = run_command("explain", *arguments)
    assert done.stdout, done.stderr
    return done, json.loads(done.stdout)


def step(document: dict, name: str) -> dict:
    return next(step for step in document["steps"] if step["name"] == name)


@pytest.fixture
def revoking(start, tmp_path, rsa_key):
    (tmp_path / "keys.json").write_text(json.dumps(key_set(rsa_key)))
    return start(REVOCATIONS.replace("@folder@/keys.json", str(tmp_path / "keys.json")), state=tmp_path / "state")


def test_a_revoked_token(revoking, tmp_path, rsa_key):
    dead, alive = rsa_key.token(jti="dead"), rsa_key.token(jti="alive")
    assert revoke(revoking, entry("jti", "dead"), "/revoke/logouts").status == 200
    wait_until(lambda: revoking.request(get("/x", bearer(dead))).status == 401, 3)
    journal = (tmp_path / "state" / "revocations").read_bytes()
    done, document = explain(revoking, tmp_path, dead)
    assert done.returncode == 1 and document["verdict"]["code"] == "token_revoked", done
    assert document["verdict"]["failed"] == "revocation" and document["response"]["status"] == 401
    found = step(document, "revocation")
    assert found["result"] == "fail" and f"{tmp_path}/state/revocations" in found["got"]
    lines = revoking.file.read_text().splitlines()
    assert "revocation logouts; proxy_pass" in lines[found["demanded_by"][0]["line"] - 1]
    assert json.loads(revoking.request(get("/x", bearer(dead))).body)["code"] == "token_revoked"

    done, document = explain(revoking, tmp_path, alive)
    assert done.returncode == 0 and step(document, "revocation")["result"] == "ok", done
    done, document = explain(revoking, tmp_path, dead, "/partners/x")
    assert done.returncode == 0, "another block revokes for itself"
    done, document = explain(revoking, tmp_path, dead, "/report/x")
    assert done.returncode == 0 and document["verdict"]["would_refuse"] == "token_revoked"
    assert (tmp_path / "state" / "revocations").read_bytes() == journal, "it only reads"


def test_a_journal_that_cannot_be_read(revoking, tmp_path, rsa_key):
    revoking.stop()
    journal = tmp_path / "state" / "revocations"
    journal.chmod(0o622)
    done, document = explain(revoking, tmp_path, rsa_key.token())
    assert done.returncode == 0 and step(document, "revocation")["result"] == "not_checked", done
    assert "cannot be read" in step(document, "revocation")["got"]
    journal.unlink()
    done, document = explain(revoking, tmp_path, rsa_key.token())
    assert step(document, "revocation")["result"] == "not_checked"
    assert "is not there" in step(document, "revocation")["got"]
    assert not journal.exists(), "it makes nothing"


@pytest.fixture
def key_server(rsa_key):
    server = KeyServer(key_set(rsa_key))
    yield server
    server.close()


def test_kept_keys(start, tmp_path, rsa_key, key_server):
    gateway = start(KEYS, state=tmp_path / "state", jwks=key_server.url)
    token = rsa_key.token()
    wait_until(lambda: list((tmp_path / "state").glob("*.keys")), 5)
    gateway.stop()
    done, document = explain(gateway, tmp_path, token)
    assert done.returncode == 0 and step(document, "signature")["result"] == "ok", done
    later = int(time.time()) + 400 * 86_400
    done, document = explain(gateway, tmp_path, token, "/x", "--now", str(later))
    assert document["verdict"]["code"] == "keys_unavailable" and " s old" in done.stderr, done
    next((tmp_path / "state").glob("*.keys")).write_bytes(b"changed")
    done, document = explain(gateway, tmp_path, token)
    assert done.returncode == 1 and document["verdict"]["code"] == "keys_unavailable", done
    assert "are not used: it is damaged" in done.stderr and document["response"]["status"] == 503
