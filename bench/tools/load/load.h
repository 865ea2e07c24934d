/* load.h - what the parts of the load generator share: options, the event loop's endpoints, totals. */
#ifndef LOAD_H
#define LOAD_H

#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum mode {
    MODE_CLOSED,        /* each connection always has one request out; the window is a time */
    MODE_ONCE,          /* the same, each token used one time; the window ends with the tokens */
    MODE_PACED,         /* so many requests each second, whatever the answers do; the window is a time */
    MODE_IDLE,          /* one request on each connection, then hold them all */
    MODE_HANDSHAKES,    /* TLS handshakes, one after the other, without a request; the window is a time */
    MODE_WEBSOCKETS,    /* each connection always has one message out that is echoed; the window is a time */
    MODE_ORIGIN,        /* no load: only be the origin */
};

struct options {
    enum mode mode;
    int port, connections, tls, busy, origin_port, resumes;
    int streams;                            /* at once on each connection, of HTTP/2; 0: HTTP/1.1 */
    long tokens, warm_requests, vanish_per_second;
    long rate, flood_rate, flood_tokens;    /* requests a second; MODE_PACED */
    uint64_t phase_ns;                      /* the flood comes and goes, so long each; 0: it stays */
    size_t answer_bytes;
    double seconds, warm_seconds;
    const char *token_file, *flood_file, *path, *counters_file;
};
extern struct options options;

/* Whatever epoll watches begins with this, so that an event's pointer says who takes it. */
struct endpoint {
    void (*event)(struct endpoint *, uint32_t events);
    int fd;
};

/* loop.c: the event loop */
void die(const char *what);
void loop_begin(void);
void loop_turn(void);    /* waits, briefly, and hands each event to its endpoint */
void watch(struct endpoint *endpoint, uint32_t events, int operation);
extern int clients_may_fire;    /* 0 once the window is over */

/* What there is in so many ways: a load of one kind. */
struct load {
    void (*begin)(void);
    void (*dial)(void);    /* once a turn: dials those that were not dialled yet, some at a time */
};
extern const struct load client_load, channel_load, handshake_load, socket_load;

/* line.c: one connection to the proxy, in clear text or over TLS */
enum { DIALS_AT_ONCE = 64 };    /* a proxy's accept queue is no part of what is measured */
enum line_state { LINE_PENDING, LINE_UP, LINE_FAILED };
struct line {
    struct endpoint endpoint;
    int wants_output;
    SSL *ssl;
};
SSL_CTX *lines_begin(const char *protocol);    /* what ALPN offers; NULL without TLS */
int line_dial(struct line *line, uint32_t from_address, SSL_SESSION *session);    /* 0: it failed at once */
enum line_state line_connect(struct line *line, uint32_t events);
void line_want(struct line *line, int output);
ssize_t line_receive(struct line *line, void *into, size_t room, int flags);    /* as recv */
ssize_t line_send(struct line *line, const void *bytes, size_t count);          /* as send */
void line_close(struct line *line);
void count_broken(void);    /* ends the program when there were so many that more attempts will not mend it */

/* requests.c: the bytes that are sent: a request of HTTP/1.1, or the fields of one of HTTP/2, compressed */
struct request {
    char *bytes;
    size_t length;
};
const struct request *request_opening(void);    /* HTTP/2: the first on a connection, which fills the table of fields */
void requests_load(void);
const struct request *request_next(void);    /* NULL: every token has been used (MODE_ONCE) */
const struct request *flood_next(void);      /* a token with a broken signature, each once; NULL: none is left */
size_t request_length(void);

/* client.c: connections of HTTP/1.1 to the proxy */
struct totals {
    long answered, refused, broken, connected, vanished, flooded;
    uint64_t bytes;
};
extern struct totals totals;
extern int tokens_exhausted;
void clients_vanish(uint64_t now_ns);
void clients_pace(uint64_t now_ns);

/* origin.c: the server behind the proxy. A connection's first bytes say what it speaks. */
extern const char origin_body[];
struct origin_speech {
    void *(*begin)(struct endpoint *endpoint);
    int (*receive)(void *speech, const char *bytes, size_t count);    /* 0: it is over */
    int (*send)(void *speech);
    void (*end)(void *speech);
};
extern const struct origin_speech origin_frames, origin_echo;
void origin_begin(void);

/* meter.c: clock, CPU time of the measured processes, latencies, the report */
uint64_t now_ns(void);
void meter_watch_process(int pid);
void meter_begin(void);
void meter_tick(uint64_t now);    /* once a turn: closes each second's count */
long meter_phase(uint64_t now, uint64_t *begun_ns);    /* 0, 1, 2 …: the flood is there in odd ones; -1: none has begun */
void meter_answer(uint64_t sent_at_ns);
void meter_report(void);

#endif
