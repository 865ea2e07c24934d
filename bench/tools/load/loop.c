/* loop.c - the event loop, and what all parts are told: options, and whether the load still runs. */
#define _GNU_SOURCE
#include "load.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>

enum { EVENTS_MAX = 512 };
static const uint64_t TURN_NS = 20000000;            /* sleep at most so long, so that phases end on time */

struct options options = {
    .connections = 64, .tokens = 1, .seconds = 4, .warm_seconds = 1, .path = "/v1/orders/8741?expand=items&limit=50",
};

int clients_may_fire = 1;

static int epoll;

void loop_begin(void) {
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) die("epoll_create1");
}

void die(const char *what) {
    fprintf(stderr, "load: ");
    perror(what);
    exit(1);
}

void watch(struct endpoint *endpoint, uint32_t events, int operation) {
    struct epoll_event e = { events, { .ptr = endpoint } };
    if (epoll_ctl(epoll, operation, endpoint->fd, &e)) die("epoll_ctl");
}

void loop_turn(void) {
    static struct epoll_event events[EVENTS_MAX];
    const struct timespec sleep = { 0, options.busy ? 0 : (long)TURN_NS };
    int n = epoll_pwait2(epoll, events, EVENTS_MAX, &sleep, NULL);
    for (int i = 0; i < n; i++) {
        struct endpoint *endpoint = events[i].data.ptr;
        endpoint->event(endpoint, events[i].events);
    }
}
