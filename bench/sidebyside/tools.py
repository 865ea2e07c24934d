"""Compiles the C tools and has the tokens made, each only when it is missing or old."""
import json
import pathlib
import subprocess
import sys
import time

from sidebyside.layout import BENCH, BUILD, REPOSITORY, TOKENS

SOURCES = BENCH / "tools"
TOOLS = {
    "floor": (["floor.c"], []),
    "load": ([f"load/{name}.c" for name in (
        "main", "loop", "line", "client", "channel", "handshake", "socket", "origin", "origin_frames", "origin_echo", "frames",
        "requests", "meter")], ["-lssl", "-lcrypto", "-lnghttp2"]),
    "verify": (["verify.c"], ["-lcrypto"]),
    "counting.so": (["counting.c"], ["-shared", "-fPIC"]),
}
REMAKE_AFTER_SECONDS = 20 * 86400     # they live for 30 days


def tool(name):
    return str(BUILD / name)


def compile_tools():
    BUILD.mkdir(exist_ok=True)
    headers = list(SOURCES.rglob("*.h"))
    for name, (sources, flags) in TOOLS.items():
        paths = [SOURCES / source for source in sources]
        made = BUILD / name
        newest = max(path.stat().st_mtime for path in paths + headers)
        if made.exists() and made.stat().st_mtime > newest:
            continue
        command = ["cc", "-O2", "-Wall", "-Wextra", "-o", made, *paths, *flags]
        try:
            subprocess.run(command, check=True)
        except FileNotFoundError:
            sys.exit("bench/run: no C compiler; install gcc, libssl-dev and libnghttp2-dev")
        except subprocess.CalledProcessError:
            sys.exit(f"bench/run: {name} does not compile; libssl-dev or libnghttp2-dev may be missing")


def make_tokens(cached, new):
    """Keys and at least so many tokens; begins again when the old ones come near to their end."""
    key_set = TOKENS / "jwks.json"
    if key_set.exists() and time.time() - key_set.stat().st_mtime > REMAKE_AFTER_SECONDS:
        for path in TOKENS.iterdir():
            path.unlink()
    python = REPOSITORY / ".venv" / "bin" / "python"
    command = [str(python) if python.exists() else sys.executable, str(BENCH / "make-tokens"), str(TOKENS),
               "--tokens", str(cached), "--new", str(new)]
    if subprocess.run(command).returncode:
        sys.exit("bench/run: the tokens could not be made")


def token_cases():
    return json.loads((TOKENS / "cases.json").read_text())


def token_file(name):
    return str(pathlib.Path(TOKENS) / f"{name}.txt")
