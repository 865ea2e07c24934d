"""Servers that other people wrote, on ports of their own: nginx and haproxy."""

import contextlib
import getpass
import subprocess
from collections.abc import Iterator
from pathlib import Path

from .gateway import accepts, fill_in
from .ports import take_port
from .waiting import wait_until

_NGINX = """
user @user@; daemon off; worker_processes 1; pid @folder@/nginx.pid; error_log stderr;
events { worker_connections 500; }
http {
    access_log off; client_body_temp_path @folder@/body; proxy_temp_path @folder@/p; fastcgi_temp_path @folder@/f;
    uwsgi_temp_path @folder@/u; scgi_temp_path @folder@/s;
    @servers@
}
"""


@contextlib.contextmanager
def _running(command: list[object], ports: list[int]) -> Iterator[None]:
    """The program, from when it accepts at all of its ports on."""
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.DEVNULL)
    try:
        for port in ports:
            wait_until(lambda port=port: accepts(port), what=f"{command[0]} accepts")
        yield
    finally:
        process.terminate()
        process.wait(5)


@contextlib.contextmanager
def nginx(folder: Path, servers: str) -> Iterator[int]:
    """Runs nginx with these blocks, in which `@nginx@` is its port and `@folder@` the folder."""
    port, file = take_port(), folder / "nginx.conf"
    values = {"folder": folder, "nginx": port}
    file.write_text(fill_in(_NGINX, values | {"user": getpass.getuser(), "servers": fill_in(servers, values)}))
    with _running(["/usr/sbin/nginx", "-p", folder, "-c", file, "-e", "stderr"], [port]):
        yield port


@contextlib.contextmanager
def haproxy(folder: Path, configuration: str, ports: list[str], **values: object) -> Iterator[dict[str, int]]:
    """Runs haproxy with ports of its own under these names."""
    taken = {name: take_port() for name in ports}
    file = folder / "haproxy.cfg"
    file.write_text(fill_in(configuration, taken | values))
    with _running(["/usr/sbin/haproxy", "-f", file, "-db"], list(taken.values())):
        yield taken
