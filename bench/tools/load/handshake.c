/* handshake.c - TLS handshakes, full ones or resumed ones: dial, shake hands, end in order, wait until the proxy did so too,
 * and again. The proxy's end shows that it has seen all of ours. */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { ADDRESSES = 200 };    /* dialled from in turn, so that ports that rest after their end do not run out */

enum attempt_state { ATTEMPT_CLOSED, ATTEMPT_SHAKING, ATTEMPT_AWAITS_TICKET, ATTEMPT_ENDING };

struct attempt {
    struct line line;
    enum attempt_state state;
    uint64_t begun_ns;
};

static struct attempt *attempts;
static int dialled;
static unsigned next_address;
static SSL_SESSION *session;    /* that all resume; the first attempt gets it */

static void attempt_event(struct endpoint *endpoint, uint32_t events);

static int take_ticket(SSL *ssl, SSL_SESSION *ticket) {
    if (session) return 0;
    session = ticket;
    /* With a cache, even one that keeps nothing, OpenSSL lets a ticket be used once. */
    SSL_CTX_set_session_cache_mode(SSL_get_SSL_CTX(ssl), SSL_SESS_CACHE_OFF);
    return 1;    /* it is ours */
}

static void begin(void) {
    options.tls = 1;
    SSL_CTX *tls = lines_begin("http/1.1");
    if (options.resumes) {
        SSL_CTX_clear_options(tls, SSL_OP_NO_TICKET);
        SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(tls, take_ticket);
    }
    attempts = calloc((size_t)options.connections, sizeof *attempts);
    if (!attempts) die("memory");
    for (int i = 0; i < options.connections; i++) attempts[i].line.endpoint = (struct endpoint){ attempt_event, -1 };
}

static void dial(struct attempt *a) {
    a->state = ATTEMPT_SHAKING;
    a->begun_ns = now_ns();
    if (!line_dial(&a->line, INADDR_LOOPBACK + 256 + next_address++ % ADDRESSES, session)) die("connect");
}

static void dial_more(void) {
    if (options.resumes && !session && dialled) return;    /* the first one fetches the ticket for all */
    while (dialled < options.connections) {
        dial(&attempts[dialled++]);
        if (options.resumes && !session) return;
    }
}

static void end(struct attempt *a) {
    line_close(&a->line);
    a->state = ATTEMPT_CLOSED;
    if (clients_may_fire) dial(a);
}

static void fail(struct attempt *a) {
    count_broken();
    end(a);
}

static void say_goodbye(struct attempt *a) {
    SSL_shutdown(a->line.ssl);
    shutdown(a->line.endpoint.fd, SHUT_WR);
    a->state = ATTEMPT_ENDING;
}

static void shaken(struct attempt *a) {
    totals.connected++;
    if (options.resumes && !session) {
        a->state = ATTEMPT_AWAITS_TICKET;
        return;
    }
    if (SSL_session_reused(a->line.ssl) != options.resumes) totals.refused++;
    say_goodbye(a);
}

/* A ticket is read like what the application receives, of which there is nothing. */
static void await_ticket(struct attempt *a) {
    char nothing;
    if (line_receive(&a->line, &nothing, 1, 0) >= 0 || errno != EAGAIN) {
        fail(a);
        return;
    }
    if (session) say_goodbye(a);
}

static void await_end(struct attempt *a) {
    static char buffer[16384];
    ssize_t n;
    while ((n = recv(a->line.endpoint.fd, buffer, sizeof buffer, 0)) > 0) totals.bytes += (uint64_t)n;
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) {
        fail(a);
        return;
    }
    totals.answered++;
    meter_answer(a->begun_ns);
    end(a);
}

static void attempt_event(struct endpoint *endpoint, uint32_t events) {
    struct attempt *a = (struct attempt *)endpoint;
    switch (a->state) {
    case ATTEMPT_CLOSED: return;
    case ATTEMPT_AWAITS_TICKET: await_ticket(a); return;
    case ATTEMPT_ENDING: await_end(a); return;
    case ATTEMPT_SHAKING: break;
    }
    switch (line_connect(&a->line, events)) {
    case LINE_PENDING: return;
    case LINE_FAILED: fail(a); return;
    case LINE_UP: shaken(a);
    }
    if (a->state == ATTEMPT_AWAITS_TICKET) await_ticket(a);
}

const struct load handshake_load = { begin, dial_more };
