/* load.h - what the parts of the load generator share: options, the event loop's endpoints, totals. */
#ifndef LOAD_H
#define LOAD_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum mode {
    MODE_CLOSED,    /* each connection always has one request out; the window is a time */
    MODE_ONCE,      /* the same, each token used one time; the window ends with the tokens */
    MODE_PACED,     /* so many requests each second, whatever the answers do; the window is a time */
    MODE_IDLE,      /* one request on each connection, then hold them all */
    MODE_ORIGIN,    /* no load: only be the origin */
};

struct options {
    enum mode mode;
    int port, connections, tls, busy, origin_port;
    long tokens, warm_requests, vanish_per_second;
    long rate, flood_rate, flood_tokens;    /* requests a second; MODE_PACED */
    size_t answer_bytes;
    double seconds, warm_seconds;
    const char *token_file, *flood_file, *path, *counters_file;
};
extern struct options options;

/* Whatever epoll watches begins with this, so that an event's pointer says what it is. */
enum endpoint_kind { ENDPOINT_CLIENT, ENDPOINT_LISTENER, ENDPOINT_ORIGIN };
struct endpoint {
    enum endpoint_kind kind;
    int fd;
};

void die(const char *what);
void watch(struct endpoint *endpoint, uint32_t events, int operation);

/* requests.c: the bytes that are sent */
struct request {
    char *bytes;
    size_t length;
};
void requests_load(void);
const struct request *request_next(void);    /* NULL: every token has been used (MODE_ONCE) */
const struct request *flood_next(void);      /* a token with a broken signature, each once; NULL: none is left */
size_t request_length(void);

/* client.c: connections to the proxy */
struct totals {
    long answered, refused, broken, connected, vanished, flooded;
    uint64_t bytes;
};
extern struct totals totals;
extern int tokens_exhausted, clients_may_fire;
void clients_begin(void);
void clients_dial(void);
void clients_vanish(uint64_t now_ns);
void clients_pace(uint64_t now_ns);
void client_event(struct endpoint *endpoint, uint32_t events);

/* origin.c: the server behind the proxy */
void origin_begin(void);
void origin_accept(struct endpoint *listener);
void origin_event(struct endpoint *endpoint, uint32_t events);

/* meter.c: clock, CPU time of the measured processes, latencies, the report */
uint64_t now_ns(void);
void meter_watch_process(int pid);
void meter_begin(void);
void meter_tick(uint64_t now);    /* once a turn: closes each second's count */
void meter_answer(uint64_t sent_at_ns);
void meter_report(void);

#endif
