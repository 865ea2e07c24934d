/* client.c - connections to the proxy: dial, send a request, read its answer, and again. */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    HEAD_BYTES_MAX = 4096,
    DIALS_AT_ONCE = 64,        /* a proxy's accept queue is no part of what is measured */
    BROKEN_MAX = 100000,       /* after so many something is wrong that more attempts will not mend */
};

enum state { STATE_CLOSED, STATE_CONNECTING, STATE_RESTING, STATE_HEAD, STATE_BODY };

struct client {
    struct endpoint endpoint;
    enum state state;
    int floods;     /* sends tokens that are refused, from another address */
    int wants_output;
    SSL *ssl;
    uint64_t sent_at_ns;
    size_t have;    /* bytes of the head */
    size_t left;    /* bytes of the body still to come */
    char head[HEAD_BYTES_MAX];
};

struct totals totals;
int tokens_exhausted, clients_may_fire = 1;

static struct client *clients;
static int dialled, connecting;
static SSL_CTX *tls;
static uint64_t next_vanishing_ns;

/* MODE_PACED: when the next request of each kind is due, and who has none out. */
struct pace {
    uint64_t due_ns;
    int resting_count;
    struct client **resting;
};
static struct pace paces[2];
static int client_count;

static void begin_tls(void) {
    tls = SSL_CTX_new(TLS_client_method());
    if (!tls) die("TLS");
    SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION);
    SSL_CTX_set_ciphersuites(tls, "TLS_AES_128_GCM_SHA256");
    SSL_CTX_set1_groups_list(tls, "X25519");
    SSL_CTX_set_verify(tls, SSL_VERIFY_NONE, NULL);    /* a self-signed certificate on loopback */
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(tls, SSL_OP_NO_TICKET);
    SSL_CTX_set_alpn_protos(tls, (const unsigned char *)"\x08http/1.1", 9);
}

void clients_begin(void) {
    client_count = options.flood_rate ? options.connections * 2 : options.connections;
    clients = calloc((size_t)client_count, sizeof *clients);
    if (!clients) die("memory");
    for (int i = 0; i < client_count; i++) {
        clients[i].endpoint = (struct endpoint){ ENDPOINT_CLIENT, -1 };
        clients[i].floods = i >= options.connections;
    }
    for (int kind = 0; kind < 2; kind++) {
        paces[kind].resting = calloc((size_t)client_count, sizeof *paces[kind].resting);
        if (!paces[kind].resting) die("memory");
    }
    if (options.tls) begin_tls();
}

static void want(struct client *c, int output, int operation) {
    watch(&c->endpoint, EPOLLIN | (output ? EPOLLOUT : 0), operation);
    c->wants_output = output;
}

static void hang_up(struct client *c) {
    if (c->state == STATE_CONNECTING) connecting--;
    SSL_free(c->ssl);
    c->ssl = NULL;
    if (c->endpoint.fd >= 0) close(c->endpoint.fd);
    c->endpoint.fd = -1;
    c->state = STATE_CLOSED;
}

static void dial(struct client *c) {
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)options.port) };
    int one = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->endpoint.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->endpoint.fd < 0) die("socket");
    setsockopt(c->endpoint.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->have = 0;
    c->state = STATE_CONNECTING;
    connecting++;
    if (c->floods) {
        struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1) };
        if (bind(c->endpoint.fd, (void *)&from, sizeof from)) die("bind");
    }
    if (connect(c->endpoint.fd, (void *)&address, sizeof address) < 0 && errno != EINPROGRESS) {
        totals.broken++;
        hang_up(c);
        return;
    }
    if (tls) {
        c->ssl = SSL_new(tls);
        SSL_set_fd(c->ssl, c->endpoint.fd);
        SSL_set_connect_state(c->ssl);
        SSL_set_tlsext_host_name(c->ssl, "localhost");
    }
    want(c, 1, EPOLL_CTL_ADD);
}

void clients_dial(void) {
    while (dialled < client_count && connecting < DIALS_AT_ONCE) dial(&clients[dialled++]);
}

/* The proxy hung up or the answer made no sense. Counted, and dialled again at once. */
static void fail(struct client *c) {
    hang_up(c);
    if (++totals.broken > BROKEN_MAX) {
        fprintf(stderr, "load: %d connections broke\n", BROKEN_MAX);
        exit(1);
    }
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
    ssize_t n = c->ssl ? SSL_write(c->ssl, r->bytes, (int)r->length)
                       : send(c->endpoint.fd, r->bytes, r->length, MSG_NOSIGNAL);
    if (n != (ssize_t)r->length) fail(c);    /* a request always fits into an empty socket */
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

/* As recv: 0 at the end, -1 with EAGAIN when there is nothing now. */
static ssize_t receive(struct client *c, void *into, size_t room, int flags) {
    if (!c->ssl) return recv(c->endpoint.fd, into, room, flags);
    int n = SSL_read(c->ssl, into, (int)room);
    if (n > 0) return n;
    int why = SSL_get_error(c->ssl, n);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
        errno = EAGAIN;
        return -1;
    }
    ERR_clear_error();
    errno = EPIPE;
    return why == SSL_ERROR_ZERO_RETURN ? 0 : -1;
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
        if (c->state == STATE_HEAD) n = receive(c, c->head + c->have, HEAD_BYTES_MAX - 1 - c->have, 0);
        else if (c->state == STATE_BODY)    /* MSG_TRUNC: thrown away by the kernel, not copied */
            n = receive(c, buffer, c->left < sizeof buffer ? c->left : sizeof buffer, MSG_TRUNC);
        else n = receive(c, buffer, sizeof buffer, 0);
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0 || c->state == STATE_RESTING) {    /* an answer that nobody asked for breaks it too */
            fail(c);
            return;
        }
        totals.bytes += (uint64_t)n;
        if (c->state == STATE_HEAD) {
            c->have += (size_t)n;
            if (!take_head(c)) return;
            if (!c->ssl && c->state != STATE_BODY) return;    /* the rest of the answer was the rest of the data */
        } else if ((c->left -= (size_t)n) == 0) {
            complete(c);
            if (!c->ssl) return;
        }
    }
}

/* Returns 1 when the connection is ready to send. */
static int connected(struct client *c, uint32_t events) {
    if (events & EPOLLERR) {
        fail(c);
        return 0;
    }
    if (!c->ssl) return !!(events & EPOLLOUT);
    int n = SSL_do_handshake(c->ssl);
    if (n == 1) return 1;
    if (SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_READ) {
        if (c->wants_output) want(c, 0, EPOLL_CTL_MOD);
        return 0;
    }
    ERR_clear_error();
    fail(c);
    return 0;
}

void client_event(struct endpoint *endpoint, uint32_t events) {
    struct client *c = (struct client *)endpoint;
    if (c->state == STATE_CLOSED) return;
    if (c->state != STATE_CONNECTING) {
        read_all(c);
        return;
    }
    if (!connected(c, events)) return;
    connecting--;
    totals.connected++;
    if (c->wants_output) want(c, 0, EPOLL_CTL_MOD);
    fire(c);
}

/* Some clients go in the middle of a request: in turn with a reset, and by closing. */
void clients_vanish(uint64_t now) {
    const struct linger reset = { 1, 0 };
    if (!options.vanish_per_second || !clients_may_fire) return;
    if (!next_vanishing_ns) next_vanishing_ns = now;
    for (; next_vanishing_ns <= now; next_vanishing_ns += 1000000000u / (uint64_t)options.vanish_per_second) {
        struct client *c = &clients[lrand48() % options.connections];
        if (c->state != STATE_HEAD && c->state != STATE_BODY) continue;
        if (totals.vanished++ % 2) setsockopt(c->endpoint.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        hang_up(c);
        dial(c);
    }
}
