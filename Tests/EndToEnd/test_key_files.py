"""Keys of files that change while the gateway runs: written, replaced, renamed, by links, in folders, and badly."""

import json
import os

import pytest

from harness.raw import get
from harness.refusals import check_invalid_token
from harness.tokens import AUDIENCE, ISSUER, bearer, key_set
from harness.waiting import wait_until

CONFIGURATION = f"""
worker_processes 2;
error_log stderr info;
admin {{ listen 127.0.0.1:@admin_port@; }}
auth_provider main jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file @files@; }}
server {{
    listen 127.0.0.1:@port@;
    auth main;
    location / {{ proxy_pass http://@origin@; }}
}}
"""


def document(*keys) -> str:
    return json.dumps(key_set(*keys))


def status(gateway, key) -> int:
    return gateway.request(get("/x", bearer(key.token()))).status


def wait_for_status(gateway, key, wanted: int, within: float = 4.0) -> None:
    wait_until(lambda: all(status(gateway, key) == wanted for _ in range(6)), within, 0.05, f"status {wanted}")


def reloads(gateway, result: str) -> float:
    return gateway.metrics().sum("gateway_key_file_reloads_total", result=result)


def replace(file, text: str) -> None:
    """As careful programs do: a new file, then its name."""
    new = file.with_name(".new")
    new.write_text(text)
    os.replace(new, file)


@pytest.mark.parametrize("how", ["written", "replaced", "removed_first"])
def test_a_changed_file_is_read_again(start, tmp_path, rsa_key, ec_key, how):
    file = tmp_path / "jwks.json"
    file.write_text(document(rsa_key))
    gateway = start(CONFIGURATION, files=file)
    wait_for_status(gateway, rsa_key, 200)
    token = rsa_key.token()
    assert gateway.request(get("/x", bearer(token))).status == 200, "now it is cached"
    match how:
        case "written":
            file.write_text(document(ec_key))
        case "replaced":
            replace(file, document(ec_key))
        case "removed_first":
            file.unlink()
            file.write_text(document(ec_key))
    wait_for_status(gateway, ec_key, 200)
    # J66: what the withdrawn key signed is refused, cached or not.
    for _ in range(6):
        check_invalid_token(gateway.request(get("/x", bearer(token))), "key_unknown")
    assert reloads(gateway, "ok") == 1 and reloads(gateway, "failed") == 0
    assert gateway.metrics().sum("gateway_jwks_keys", provider="main") == 1


def test_links_that_lead_elsewhere(start, tmp_path, rsa_key, ec_key):
    """How Kubernetes replaces a volume: the files are links through `..data`, which is a link that is replaced."""
    for name, key in (("..2026_1", rsa_key), ("..2026_2", ec_key)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "jwks.json").write_text(document(key))
    (tmp_path / "..data").symlink_to("..2026_1")
    (tmp_path / "jwks.json").symlink_to("..data/jwks.json")
    gateway = start(CONFIGURATION, files=tmp_path / "jwks.json")
    wait_for_status(gateway, rsa_key, 200)
    (tmp_path / "..data_tmp").symlink_to("..2026_2")
    os.replace(tmp_path / "..data_tmp", tmp_path / "..data")
    wait_for_status(gateway, ec_key, 200)
    assert status(gateway, rsa_key) == 401


def test_the_file_behind_a_link(start, tmp_path, rsa_key, ec_key):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "keys.json").write_text(document(rsa_key))
    (tmp_path / "near").mkdir()
    (tmp_path / "near" / "keys.json").symlink_to(tmp_path / "far" / "keys.json")
    gateway = start(CONFIGURATION, files=tmp_path / "near" / "keys.json")
    wait_for_status(gateway, rsa_key, 200)
    replace(tmp_path / "far" / "keys.json", document(ec_key))
    wait_for_status(gateway, ec_key, 200)


@pytest.mark.parametrize("named", ["folder", "pattern"])
def test_files_that_come_and_go(start, tmp_path, rsa_key, ec_key, ed_key, named):
    folder = tmp_path / "public"
    folder.mkdir()
    (folder / "a.json").write_text(document(rsa_key))
    (folder / "README").write_text("not a key")
    (folder / ".hidden.json").write_text("not a key")
    gateway = start(CONFIGURATION, files=folder if named == "folder" else f"{folder}/[a-z]*")
    wait_for_status(gateway, rsa_key, 200)
    (folder / "b.pem").write_bytes(ed_key.public_pem())
    (folder / "c.json").write_text(document(ec_key))
    wait_for_status(gateway, ec_key, 200)
    assert gateway.metrics().sum("gateway_jwks_keys", provider="main") == 3
    (folder / "c.json").unlink()
    wait_for_status(gateway, ec_key, 401)
    assert status(gateway, rsa_key) == 200


def test_a_folder_that_is_replaced(start, tmp_path, rsa_key, ec_key):
    for name, key in (("keys", rsa_key), ("next", ec_key)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "jwks.json").write_text(document(key))
    gateway = start(CONFIGURATION, files=tmp_path / "keys")
    wait_for_status(gateway, rsa_key, 200)
    (tmp_path / "keys").rename(tmp_path / "old")
    (tmp_path / "next").rename(tmp_path / "keys")
    wait_for_status(gateway, ec_key, 200, 6)
    replace(tmp_path / "keys" / "jwks.json", document(rsa_key))
    wait_for_status(gateway, rsa_key, 200, 6)


@pytest.mark.parametrize("text", ["", "nonsense", '{"keys":[]}', '{"keys":[{"kty":"RSA"}]}', None])
def test_a_bad_file_leaves_the_old_keys(start, tmp_path, rsa_key, ec_key, text):
    file = tmp_path / "jwks.json"
    file.write_text(document(rsa_key))
    gateway = start(CONFIGURATION, files=file)
    wait_for_status(gateway, rsa_key, 200)
    if text is None:
        file.unlink()
    else:
        replace(file, text)
    gateway.wait_for_notice('[error] the keys of provider "main" stay as they are: key file "')
    assert reloads(gateway, "failed") >= 1
    wait_for_status(gateway, rsa_key, 200)
    replace(file, document(ec_key))
    wait_for_status(gateway, ec_key, 200)


def test_many_writes_are_read_once_they_calm_down(start, tmp_path, rsa_key, ec_key):
    file = tmp_path / "jwks.json"
    file.write_text(document(rsa_key))
    gateway = start(CONFIGURATION, files=file)
    wait_for_status(gateway, rsa_key, 200)
    for i in range(200):
        file.write_text(document(rsa_key if i % 2 else ec_key))
    file.write_text(document(ec_key))
    wait_for_status(gateway, ec_key, 200)
    assert reloads(gateway, "ok") + reloads(gateway, "failed") <= 3


def test_J67_a_key_file_without_a_usable_key_ends_the_start(start, tmp_path):
    (tmp_path / "jwks.json").write_text('{"keys":[]}')
    gateway = start(CONFIGURATION, files=tmp_path / "jwks.json", ready=False)
    assert gateway.process.wait(5) == 1
    assert "has no usable key" in gateway.log
