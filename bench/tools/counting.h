/* counting.h - the counters that the counting shim writes and the load generator reads, in one shared file. */
#ifndef COUNTING_H
#define COUNTING_H

#include <stdint.h>

enum counted {
    COUNTED_ALLOCATION,    /* malloc, calloc, realloc and the aligned ones; free is not counted */
    COUNTED_RECEIVE,       /* read, readv, recv, recvfrom, recvmsg */
    COUNTED_SEND,          /* write, writev, send, sendto, sendmsg, sendfile, splice */
    COUNTED_WAIT,          /* epoll_wait, epoll_pwait, epoll_pwait2 */
    COUNTED_CONTROL,       /* epoll_ctl */
    COUNTED_OTHER,         /* accept, connect, close, shutdown, socket, getsockopt, setsockopt, ioctl, timers */
    COUNTED_KINDS
};

static const char *const counted_names[COUNTED_KINDS] = {
    "allocations", "receive", "send", "wait", "control", "other",
};

struct counters {
    uint64_t total[COUNTED_KINDS];
    uint32_t measuring;    /* set by the load generator inside its window; only the trace of allocations looks at it */
};

#endif
