"""Child processes: pinned, ended with this one whatever happens, and what the kernel says about them."""
import contextlib
import ctypes
import os
import re
import resource
import signal
import subprocess

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


def prepare(cores):
    """What a child does between fork and exec: it takes its cores, every descriptor it may have, and dies with us."""
    parent = os.getpid()

    def inner():
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:      # we ended before the line above
            os._exit(1)
        os.sched_setaffinity(0, cores)
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    return inner


def spawn(command, cores, **options):
    # A session of its own: Ctrl-C reaches only bench/run, which then ends its children in order.
    return subprocess.Popen(command, preexec_fn=prepare(cores), start_new_session=True, **options)


def family(pid):
    """The process and its descendants."""
    found, todo = [], [pid]
    while todo:
        pid = todo.pop()
        found.append(pid)
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):
                with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/children") as file:
                    todo += map(int, file.read().split())
    return found


def end(process, how=signal.SIGTERM, patience_seconds=3):
    """Asks, waits, then kills the process and its children by their ids. Returns the exit status."""
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            for pid in reversed(family(process.pid)):
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
    return process.wait()


def memory(pids):
    """Bytes in memory over all processes: their proportional share, and all that is resident."""
    share = resident = 0
    for pid in pids:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup") as file:
            text = file.read()
            share += int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1]) * 1024
            resident += int(re.search(r"^Rss:\s+(\d+)", text, re.M)[1]) * 1024
    return share, resident


def sockets(pids):
    """How many sockets the processes hold open."""
    count = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for fd in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    count += os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:")
    return count
