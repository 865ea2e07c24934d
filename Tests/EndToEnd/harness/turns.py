"""What a gateway does in each turn of its loops, in order: the calls that tell are written down by a library of ours."""

import struct
import subprocess
from pathlib import Path

_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ROOM = 65536 };
static struct { uint32_t count, calls[ROOM]; } *page;

__attribute__((constructor)) static void begin(void) {
    int fd = open(getenv("TURNS"), O_RDWR);
    void *p = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p != MAP_FAILED) page = p;
    close(fd);
}
static void note(uint32_t kind) {
    static __thread uint32_t thread;
    if (!page) return;
    if (!thread) thread = (uint32_t)gettid();
    uint32_t i = __atomic_fetch_add(&page->count, 1, __ATOMIC_RELAXED);
    if (i < ROOM) page->calls[i] = thread << 2 | kind;
}
#define REAL(name) static __typeof__(name) *real; if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

int epoll_wait(int ep, struct epoll_event *e, int n, int ms) {
    REAL(epoll_wait);
    note(0);
    return real(ep, e, n, ms);
}
long syscall(long number, ...) {
    REAL(syscall);
    long a[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++) a[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_sendto) note(1);
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
int SSL_do_handshake(void *s) {
    static int (*real)(void *);
    if (!real) real = (int (*)(void *))dlsym(RTLD_NEXT, "SSL_do_handshake");
    note(2);
    return real(s);
}
"""
_ROOM = 65_536


class Turns:
    """`environment` starts a process with it."""

    def __init__(self, folder: Path):
        source, library, self._page = folder / "turns.c", folder / "turns.so", folder / "turns"
        source.write_text(_SOURCE)
        subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-o", library, source], check=True, timeout=60)
        self._page.write_bytes(bytes(4 + 4 * _ROOM))
        self.environment = {"LD_PRELOAD": str(library), "TURNS": str(self._page)}

    def seen(self) -> list[str]:
        """The turns of the thread that does handshakes; in each a letter for what is sent (S) and for each step of a
        handshake (H)."""
        count, *calls = struct.unpack(f"={1 + _ROOM}I", self._page.read_bytes())
        assert count <= _ROOM
        threads = {call >> 2 for call in calls[:count] if call & 3 == 2}
        assert len(threads) == 1, threads
        return "".join("|SH"[call & 3] for call in calls[:count] if call >> 2 in threads).split("|")
