/* client.c - connections of HTTP/1.1 to the proxy: dial, send a request, read its answer, and again. */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum { HEAD_BYTES_MAX = 4096 };

enum state { STATE_CLOSED, STATE_CONNECTING, STATE_RESTING, STATE_HEAD, STATE_BODY };

struct client {
    struct line line;
    enum state state;
    int floods;     /* sends tokens that are refused, from another address */
    uint64_t sent_at_ns;
    size_t have;    /* bytes of the head */
    size_t left;    /* bytes of the body still to come */
    char head[HEAD_BYTES_MAX];
};

struct totals totals;
int tokens_exhausted;

static struct client *clients;
static int dialled, connecting;
static uint64_t next_vanishing_ns;

/* MODE_PACED: when the next request of each kind is due, and who has none out. */
struct pace {
    uint64_t due_ns;
    int resting_count;
    struct client **resting;
};
static struct pace paces[2];
static int client_count;

static void client_event(struct endpoint *endpoint, uint32_t events);

static void begin(void) {
    client_count = options.flood_rate ? options.connections * 2 : options.connections;
    clients = calloc((size_t)client_count, sizeof *clients);
    if (!clients) die("memory");
    for (int i = 0; i < client_count; i++) {
        clients[i].line.endpoint = (struct endpoint){ client_event, -1 };
        clients[i].floods = i >= options.connections;
    }
    for (int kind = 0; kind < 2; kind++) {
        paces[kind].resting = calloc((size_t)client_count, sizeof *paces[kind].resting);
        if (!paces[kind].resting) die("memory");
    }
    lines_begin("http/1.1");
}

static void hang_up(struct client *c) {
    if (c->state == STATE_CONNECTING) connecting--;
    line_close(&c->line);
    c->state = STATE_CLOSED;
}

static void dial(struct client *c) {
    c->have = 0;
    c->state = STATE_CONNECTING;
    connecting++;
    if (line_dial(&c->line, c->floods ? INADDR_LOOPBACK + 1 : 0, NULL)) return;
    totals.broken++;
    hang_up(c);
}

static void dial_more(void) {
    while (dialled < client_count && connecting < DIALS_AT_ONCE) dial(&clients[dialled++]);
}

/* The proxy hung up or the answer made no sense. Counted, and dialled again at once. */
static void fail(struct client *c) {
    hang_up(c);
    count_broken();
    if (options.mode != MODE_IDLE && clients_may_fire) dial(c);
}

static void fire_at(struct client *c, uint64_t due_ns) {
    const struct request *r = c->floods ? flood_next() : request_next();
    if (!r) {
        tokens_exhausted = 1;
        return;
    }
    c->state = STATE_HEAD;
    c->have = 0;
    c->sent_at_ns = due_ns;
    /* A request always fits into an empty socket. */
    if (line_send(&c->line, r->bytes, r->length) != (ssize_t)r->length) fail(c);
}

/* A connection without a request: it takes the next one, or rests until one is due. */
static void fire(struct client *c) {
    c->state = STATE_RESTING;
    if (!clients_may_fire) return;
    if (options.mode == MODE_PACED) {
        struct pace *pace = &paces[c->floods];
        pace->resting[pace->resting_count++] = c;
        return;
    }
    fire_at(c, now_ns());
}

void clients_pace(uint64_t now) {
    const long rates[2] = { options.rate, options.flood_rate };
    if (options.mode != MODE_PACED || !clients_may_fire) return;
    for (int kind = 0; kind < 2; kind++) {
        struct pace *pace = &paces[kind];
        if (!rates[kind] || dialled < client_count || connecting) continue;
        if (kind == 1 && options.phase_ns) {
            uint64_t since = 0;
            if (meter_phase(now, &since) % 2 != 1) continue;
            if (pace->due_ns < since) pace->due_ns = since;
        }
        if (!pace->due_ns) pace->due_ns = now;
        while (pace->due_ns <= now && pace->resting_count) {
            struct client *c = pace->resting[--pace->resting_count];
            if (c->state != STATE_RESTING) continue;    /* it broke meanwhile, and will come again */
            fire_at(c, pace->due_ns);
            pace->due_ns += 1000000000u / (uint64_t)rates[kind];
        }
    }
}

static void complete(struct client *c) {
    if (c->floods) {
        totals.flooded++;
    } else {
        totals.answered++;
        meter_answer(c->sent_at_ns);
    }
    c->state = STATE_RESTING;
    if (options.mode != MODE_IDLE) fire(c);
}

/* Length of the body, or -1: every answer here has a content-length. */
static long body_length(const char *head, const char *end) {
    static const char name[] = "content-length:";
    for (const char *line = head; (line = memchr(line, '\n', (size_t)(end - line))) && ++line < end;)
        if ((*line | 32) == 'c' && !strncasecmp(line, name, sizeof name - 1))
            return strtol(line + sizeof name - 1, NULL, 10);
    return -1;
}

/* Looks at the head as far as it has come. Returns 0 when the connection had to be given up. */
static int take_head(struct client *c) {
    c->head[c->have] = 0;
    const char *end = strstr(c->head, "\r\n\r\n");
    if (!end && c->have < HEAD_BYTES_MAX - 1) return 1;
    long length = end ? body_length(c->head, end + 2) : -1;
    if (length < 0) {
        fail(c);
        return 0;
    }
    if (c->floods ? memcmp(c->head + 9, "401", 3) != 0 : c->head[9] != '2') totals.refused++;
    size_t body = c->have - (size_t)(end + 4 - c->head);
    if (body >= (size_t)length) {
        complete(c);
        return 1;
    }
    c->left = (size_t)length - body;
    c->state = STATE_BODY;
    return 1;
}

static void read_all(struct client *c) {
    static char buffer[262144];
    while (c->state != STATE_CLOSED && c->state != STATE_CONNECTING) {
        ssize_t n;
        if (c->state == STATE_HEAD) n = line_receive(&c->line, c->head + c->have, HEAD_BYTES_MAX - 1 - c->have, 0);
        else if (c->state == STATE_BODY)    /* MSG_TRUNC: thrown away by the kernel, not copied */
            n = line_receive(&c->line, buffer, c->left < sizeof buffer ? c->left : sizeof buffer, MSG_TRUNC);
        else n = line_receive(&c->line, buffer, sizeof buffer, 0);
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0 || c->state == STATE_RESTING) {    /* an answer that nobody asked for breaks it too */
            fail(c);
            return;
        }
        totals.bytes += (uint64_t)n;
        if (c->state == STATE_HEAD) {
            c->have += (size_t)n;
            if (!take_head(c)) return;
            if (!c->line.ssl && c->state != STATE_BODY) return;    /* the rest of the answer was the rest of the data */
        } else if ((c->left -= (size_t)n) == 0) {
            complete(c);
            if (!c->line.ssl) return;
        }
    }
}

static void client_event(struct endpoint *endpoint, uint32_t events) {
    struct client *c = (struct client *)endpoint;
    if (c->state == STATE_CLOSED) return;
    if (c->state != STATE_CONNECTING) {
        read_all(c);
        return;
    }
    switch (line_connect(&c->line, events)) {
    case LINE_PENDING: return;
    case LINE_FAILED: fail(c); return;
    case LINE_UP: break;
    }
    connecting--;
    totals.connected++;
    fire(c);
}

const struct load client_load = { begin, dial_more };

/* Some clients go in the middle of a request: in turn with a reset, and by closing. */
void clients_vanish(uint64_t now) {
    const struct linger reset = { 1, 0 };
    if (!options.vanish_per_second || !clients_may_fire) return;
    if (!next_vanishing_ns) next_vanishing_ns = now;
    for (; next_vanishing_ns <= now; next_vanishing_ns += 1000000000u / (uint64_t)options.vanish_per_second) {
        struct client *c = &clients[lrand48() % options.connections];
        if (c->state != STATE_HEAD && c->state != STATE_BODY) continue;
        if (totals.vanished++ % 2) setsockopt(c->line.endpoint.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        hang_up(c);
        dial(c);
    }
}
