"""Fixtures that every file shares: an origin and a gateway per file, and gateways started by single tests."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from harness.certificates import Authority
from harness.framed_origin import FramedOrigin
from harness.gateway import Gateway
from harness.origin import Origin
from harness.tokens import SigningKey, key_set


@pytest.fixture(scope="module")
def module_origin() -> Iterator[Origin]:
    origin = Origin()
    yield origin
    origin.close()


@pytest.fixture
def origin(module_origin: Origin) -> Origin:
    """The file's origin, with its default script and nothing recorded."""
    module_origin.reset()
    return module_origin


@pytest.fixture(scope="module")
def module_framed() -> Iterator[FramedOrigin]:
    origin = FramedOrigin()
    yield origin
    origin.close()


@pytest.fixture
def framed(module_framed: FramedOrigin) -> FramedOrigin:
    """The file's origin of HTTP/2, with its default script and nothing recorded."""
    module_framed.reset()
    return module_framed


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def rsa_key() -> SigningKey:
    return SigningKey("RS256", "rsa-1")


@pytest.fixture(scope="session")
def ec_key() -> SigningKey:
    return SigningKey("ES256", "ec-1")


@pytest.fixture(scope="session")
def ed_key() -> SigningKey:
    return SigningKey("EdDSA", "ed-1")


@pytest.fixture(scope="module")
def localhost(authority: Authority) -> dict[str, Path]:
    """`@certificate@` and `@key@` of a server."""
    certificate, key = authority.issue("localhost")
    return {"certificate": certificate, "key": key}


@pytest.fixture(scope="module")
def key_file(rsa_key: SigningKey, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For `@keys@` of a provider that believes `rsa_key`."""
    file = tmp_path_factory.mktemp("keys") / "jwks.json"
    file.write_text(json.dumps(key_set(rsa_key)))
    return file


@pytest.fixture(scope="module")
def values() -> dict[str, object]:
    """What a file adds to the names that its configuration may use; files redefine it."""
    return {}


@pytest.fixture(scope="module")
def module_gateway(
    request: pytest.FixtureRequest,
    module_origin: Origin,
    values: dict[str, object],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp(Path(request.path).stem)
    gateway = Gateway(request.module.CONFIGURATION, folder, origin=module_origin.address, **values)
    try:
        yield gateway
        gateway.stop()
    finally:
        gateway.kill()


@pytest.fixture
def gateway(module_gateway: Gateway) -> Iterator[Gateway]:
    """The file's gateway, which no test may bring down."""
    assert module_gateway.alive, f"an earlier test brought the gateway down:\n{module_gateway.log}"
    yield module_gateway
    assert module_gateway.alive, f"the gateway ended with {module_gateway.process.returncode}:\n{module_gateway.log}"
    module_gateway.check_log()


@pytest.fixture
def start(tmp_path: Path, module_origin: Origin) -> Iterator:
    """Starts gateways for one test: `start(configuration, name=value, …)`; all of them must end well."""
    started: list[Gateway] = []

    def start_gateway(configuration: str, **options) -> Gateway:
        folder = tmp_path / f"gateway-{len(started)}"
        folder.mkdir()
        options.setdefault("origin", module_origin.address)
        started.append(Gateway(configuration, folder, **options))
        return started[-1]

    try:
        yield start_gateway
        for gateway in started:
            if gateway.alive:
                gateway.stop()
            gateway.check_log()
    finally:
        for gateway in started:
            gateway.kill()
