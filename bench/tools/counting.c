/* counting.c - counts a program's heap allocations and socket calls, by interposing libc through LD_PRELOAD.
 *
 *   cc -O2 -shared -fPIC -o counting.so counting.c
 *   COUNTING_FILE=/tmp/counters LD_PRELOAD=./counting.so PROGRAM …
 *
 * The totals are in COUNTING_FILE (see counting.h), mapped and shared with every forked child, so that another process
 * can read them at any moment without stopping the program. Exact and cheap, unlike a tracer; blind to a program that
 * links libc statically or makes system calls without it.
 *
 * COUNTING_TRACE=1 prints the stack of the first allocations made while the load generator measures, to find them.
 */
#define _GNU_SOURCE
#include "counting.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

enum { TRACED_ALLOCATIONS = 20, TRACED_FRAMES = 24 };

static struct counters *counters;
static int traces_left;
static __thread int tracing;

static void trace(void) {
    if (tracing || __atomic_fetch_sub(&traces_left, 1, __ATOMIC_RELAXED) <= 0) return;
    tracing = 1;
    void *frames[TRACED_FRAMES];
    int n = backtrace(frames, TRACED_FRAMES);
    static const char title[] = "allocation while measuring:\n";
    if (write(2, title, sizeof title - 1) > 0) backtrace_symbols_fd(frames + 2, n - 2, 2);
    tracing = 0;
}

static void count(enum counted kind) {
    if (!counters || tracing) return;
    __atomic_fetch_add(&counters->total[kind], 1, __ATOMIC_RELAXED);
    if (kind == COUNTED_ALLOCATION && traces_left > 0 && counters->measuring) trace();
}

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("COUNTING_FILE");
    if (!path) return;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof *counters)) {
        perror("COUNTING_FILE");
        _exit(1);
    }
    void *map = mmap(NULL, sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map == MAP_FAILED) {
        perror("COUNTING_FILE");
        _exit(1);
    }
    if (getenv("COUNTING_TRACE")) {
        void *frame;
        backtrace(&frame, 1);    /* its first call loads a library, which allocates */
        traces_left = TRACED_ALLOCATIONS;
    }
    counters = map;
}

/* allocations */

void *malloc(size_t n) {
    count(COUNTED_ALLOCATION);
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t size) {
    count(COUNTED_ALLOCATION);
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n) {
    count(COUNTED_ALLOCATION);
    return __libc_realloc(p, n);
}

void *reallocarray(void *p, size_t n, size_t size) {
    count(COUNTED_ALLOCATION);
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_realloc(p, bytes);
}

void *memalign(size_t alignment, size_t n) {
    count(COUNTED_ALLOCATION);
    return __libc_memalign(alignment, n);
}

void *aligned_alloc(size_t alignment, size_t n) {
    count(COUNTED_ALLOCATION);
    return __libc_memalign(alignment, n);
}

int posix_memalign(void **out, size_t alignment, size_t n) {
    count(COUNTED_ALLOCATION);
    if (alignment < sizeof(void *) || (alignment & (alignment - 1))) return EINVAL;
    void *p = __libc_memalign(alignment, n);
    if (!p) return ENOMEM;
    *out = p;
    return 0;
}

/* Calls. INTERPOSE defines a function of the same name and type that counts and then calls libc's own. */

#define INTERPOSE(kind, result, name, parameters, arguments)           \
    result name parameters {                                           \
        static result(*next) parameters;                               \
        if (!next) next = (result(*) parameters)dlsym(RTLD_NEXT, #name); \
        count(kind);                                                   \
        return next arguments;                                         \
    }

INTERPOSE(COUNTED_RECEIVE, ssize_t, read, (int fd, void *p, size_t n), (fd, p, n))
INTERPOSE(COUNTED_RECEIVE, ssize_t, readv, (int fd, const struct iovec *v, int n), (fd, v, n))
INTERPOSE(COUNTED_RECEIVE, ssize_t, recv, (int fd, void *p, size_t n, int flags), (fd, p, n, flags))
INTERPOSE(COUNTED_RECEIVE, ssize_t, recvfrom,
          (int fd, void *restrict p, size_t n, int flags, __SOCKADDR_ARG from, socklen_t *restrict length),
          (fd, p, n, flags, from, length))
INTERPOSE(COUNTED_RECEIVE, ssize_t, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags))
INTERPOSE(COUNTED_RECEIVE, ssize_t, __read_chk, (int fd, void *p, size_t n, size_t room), (fd, p, n, room))
INTERPOSE(COUNTED_RECEIVE, ssize_t, __recv_chk, (int fd, void *p, size_t n, size_t room, int flags),
          (fd, p, n, room, flags))
INTERPOSE(COUNTED_SEND, ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n))
INTERPOSE(COUNTED_SEND, ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n))
INTERPOSE(COUNTED_SEND, ssize_t, send, (int fd, const void *p, size_t n, int flags), (fd, p, n, flags))
INTERPOSE(COUNTED_SEND, ssize_t, sendto,
          (int fd, const void *p, size_t n, int flags, __CONST_SOCKADDR_ARG to, socklen_t length),
          (fd, p, n, flags, to, length))
INTERPOSE(COUNTED_SEND, ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags))
INTERPOSE(COUNTED_SEND, ssize_t, sendfile, (int out, int in, off_t *at, size_t n), (out, in, at, n))
INTERPOSE(COUNTED_SEND, ssize_t, sendfile64, (int out, int in, off64_t *at, size_t n), (out, in, at, n))
INTERPOSE(COUNTED_SEND, ssize_t, splice, (int in, off64_t *a, int out, off64_t *b, size_t n, unsigned flags),
          (in, a, out, b, n, flags))
/* Programs with threads may go through syscall(), which is no cancellation point. */
long syscall(long number, ...) {
    static long (*next)(long, ...);
    if (!next) next = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    va_list list;
    va_start(list, number);
    long a[6];
    for (int i = 0; i < 6; i++) a[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_recvfrom) count(COUNTED_RECEIVE);
    if (number == SYS_sendto) count(COUNTED_SEND);
    return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

INTERPOSE(COUNTED_WAIT, int, epoll_wait, (int fd, struct epoll_event *e, int n, int ms), (fd, e, n, ms))
INTERPOSE(COUNTED_WAIT, int, epoll_pwait, (int fd, struct epoll_event *e, int n, int ms, const sigset_t *mask),
          (fd, e, n, ms, mask))
INTERPOSE(COUNTED_WAIT, int, epoll_pwait2,
          (int fd, struct epoll_event *e, int n, const struct timespec *time, const sigset_t *mask),
          (fd, e, n, time, mask))
INTERPOSE(COUNTED_CONTROL, int, epoll_ctl, (int fd, int op, int target, struct epoll_event *e), (fd, op, target, e))
INTERPOSE(COUNTED_OTHER, int, accept, (int fd, __SOCKADDR_ARG a, socklen_t *restrict n), (fd, a, n))
INTERPOSE(COUNTED_OTHER, int, accept4, (int fd, __SOCKADDR_ARG a, socklen_t *restrict n, int flags),
          (fd, a, n, flags))
INTERPOSE(COUNTED_OTHER, int, connect, (int fd, __CONST_SOCKADDR_ARG a, socklen_t n), (fd, a, n))
INTERPOSE(COUNTED_OTHER, int, socket, (int domain, int type, int protocol), (domain, type, protocol))
INTERPOSE(COUNTED_OTHER, int, close, (int fd), (fd))
INTERPOSE(COUNTED_OTHER, int, shutdown, (int fd, int how), (fd, how))
INTERPOSE(COUNTED_OTHER, int, getsockopt, (int fd, int level, int name, void *restrict p, socklen_t *restrict n),
          (fd, level, name, p, n))
INTERPOSE(COUNTED_OTHER, int, setsockopt, (int fd, int level, int name, const void *p, socklen_t n),
          (fd, level, name, p, n))
INTERPOSE(COUNTED_OTHER, int, timerfd_settime,
          (int fd, int flags, const struct itimerspec *new, struct itimerspec *old), (fd, flags, new, old))

int ioctl(int fd, unsigned long request, ...) {
    static int (*next)(int, unsigned long, ...);
    if (!next) next = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
    va_list list;
    va_start(list, request);
    void *argument = va_arg(list, void *);
    va_end(list);
    count(COUNTED_OTHER);
    return next(fd, request, argument);
}
