"""What sessions, logout, limits and changed accounts do does not depend on where they are kept: the same tests with Redis."""

import inspect

import pytest

import test_backend_account_files
import test_backend_admin
import test_backend_limits
import test_backend_logout
import test_backend_refresh
from harness.backend import backend, backend_key  # noqa: F401
from harness.revocations import RedisServer
from harness.shared_store import SharedBackend
from test_backend_admin import fresh  # noqa: F401

# These look into the database, or have nothing to do with the store.
ELSEWHERE = {
    "test_B09_the_store_holds_no_live_token", "test_B09_dump_of_everything_on_disk_has_no_secret",
    "test_the_database_is_durable_and_private",
    "test_B02_pause_doubles_and_survives_a_restart", "test_bad_limits_are_refused_at_the_start",
    "test_flood_of_logins_takes_no_memory_and_blocks_nobody", "test_both_services_tell_their_metrics",
}
for name, test in inspect.getmembers(test_backend_admin, inspect.isfunction):
    # Those with a backend of their own change accounts or end sessions.
    if name.startswith("test_") and "fresh" in inspect.signature(test).parameters:
        globals()[name] = test
for module in (test_backend_refresh, test_backend_logout, test_backend_limits, test_backend_account_files):
    for name, test in vars(module).items():
        if name.startswith("test_") and callable(test) and name not in ELSEWHERE:
            assert name not in globals(), f"two tests are named {name}"
            globals()[name] = test


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    server = RedisServer(tmp_path_factory.mktemp("redis"), durable=True)
    yield server
    server.kill()


@pytest.fixture(scope="module")
def module_backend(redis, backend_key, tmp_path_factory):  # noqa: F811
    made = SharedBackend(tmp_path_factory.mktemp("backend") / "it", backend_key, redis).start()
    try:
        yield made
        made.stop()
    finally:
        made.close()


@pytest.fixture
def prepare(redis, backend_key, tmp_path):  # noqa: F811
    """As the harness has it, each with keys of its own in the Redis of this file."""
    made: list[SharedBackend] = []

    def prepare_backend(key=None, **content) -> SharedBackend:
        redis.ask("INCR", "test:backends")
        prefix = f"test:{redis.ask('GET', 'test:backends')}"
        made.append(SharedBackend(tmp_path / f"backend-{len(made)}", key or backend_key, redis, "--redis-prefix", prefix,
                                  **content))
        made[-1].prefix = prefix
        return made[-1]

    yield prepare_backend
    for one in made:
        one.close()
