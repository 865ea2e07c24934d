"""A wall clock that a test can move, for one process: the calls that ask for it are answered by a library of ours."""

import struct
import subprocess
from pathlib import Path

_SOURCE = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *offset;

__attribute__((constructor)) static void begin(void) {
    int fd = open(getenv("MOVED_CLOCK"), O_RDONLY);
    void *page = mmap(NULL, 8, PROT_READ, MAP_SHARED, fd, 0);
    if (page != MAP_FAILED) offset = page;
    close(fd);
}
int clock_gettime(clockid_t clock, struct timespec *t) {
    int r = (int)syscall(SYS_clock_gettime, clock, t);
    if (offset && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) t->tv_sec += *offset;
    return r;
}
"""


class MovedClock:
    """`environment` starts a process with it; `move(seconds)` sets how far it is ahead of the true one."""

    def __init__(self, folder: Path):
        source, library, self._page = folder / "clock.c", folder / "clock.so", folder / "offset"
        source.write_text(_SOURCE)
        subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-o", library, source], check=True, timeout=60)
        self._page.write_bytes(struct.pack("=q", 0))
        self.environment = {"LD_PRELOAD": str(library), "MOVED_CLOCK": str(self._page)}

    def move(self, seconds: int) -> None:
        with self._page.open("r+b") as page:
            page.write(struct.pack("=q", seconds))
