"""Ports that nobody else has: listeners share ports by SO_REUSEPORT, so a plain bind proves too little."""

import fcntl
import os
import random
import socket
import tempfile

# Below net.ipv4.ip_local_port_range, so that no outgoing connection of a test takes one of them.
FIRST, LAST = 20_000, 32_000
_held: list[int] = []
_folder = os.path.join(tempfile.gettempdir(), f"gateway-test-ports-{os.getuid()}")


def take_port() -> int:
    """A TCP port on 127.0.0.1 that stays reserved for this process (by a file lock) until it ends."""
    os.makedirs(_folder, exist_ok=True)
    for _ in range(500):
        port = random.randrange(FIRST, LAST)
        lock = os.open(os.path.join(_folder, str(port)), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            os.close(lock)
            continue
        _held.append(lock)
        return port
    raise RuntimeError("no free port found")
