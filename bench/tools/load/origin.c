/* origin.c - the server behind the proxy: reads requests without bodies, answers each with the same bytes. A connection that
 * begins otherwise speaks HTTP/2 (origin_frames.c) or becomes a WebSocket (origin_echo.c). */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct origin_connection {
    struct endpoint endpoint;
    int has_begun;
    const struct origin_speech *speech;    /* NULL: HTTP/1.1, here */
    void *spoken;
    int matched;          /* bytes of CR LF CR LF seen at the end of what was read */
    int blocked;          /* the socket would not take more: EPOLLOUT is on */
    unsigned long owed;   /* answers not completely sent */
    size_t sent;          /* bytes of the first of them that are */
};

const char origin_body[] =
    "{\"id\":8741,\"status\":\"shipped\",\"currency\":\"EUR\",\"total\":\"129.90\",\"items\":["
    "{\"sku\":\"A-100\",\"qty\":2},{\"sku\":\"B-220\",\"qty\":1}],\"ok\":true}";

static char *answer;
static size_t answer_length;
static struct endpoint listener;

static void origin_accept(struct endpoint *from, uint32_t events);
static void origin_event(struct endpoint *endpoint, uint32_t events);

static void make_answer(void) {
    size_t body = options.answer_bytes ? options.answer_bytes : sizeof origin_body - 1;
    answer = calloc(1, body + 512);
    if (!answer) die("memory");
    int head = snprintf(answer, 512,
                        "HTTP/1.1 200 OK\r\nServer: origin\r\nDate: Sat, 21 Nov 2026 04:00:00 GMT\r\n"
                        "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n", body);
    if (!options.answer_bytes) memcpy(answer + head, origin_body, body);
    else memset(answer + head, 'x', body);
    answer_length = (size_t)head + body;
}

void origin_begin(void) {
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)options.origin_port) };
    int one = 1;
    make_answer();
    listener.event = origin_accept;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener.fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener.fd, (void *)&address, sizeof address) || listen(listener.fd, 4096)) die("origin's port");
    watch(&listener, EPOLLIN, EPOLL_CTL_ADD);
}

static void origin_accept(struct endpoint *from, uint32_t events) {
    int fd, one = 1;
    (void)events;
    while ((fd = accept4(from->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct origin_connection *c = calloc(1, sizeof *c);
        if (!c) die("memory");
        c->endpoint = (struct endpoint){ origin_event, fd };
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        watch(&c->endpoint, EPOLLIN, EPOLL_CTL_ADD);
    }
}

/* One event for each socket and turn, so nothing else in this turn can name `c`. */
static void drop(struct origin_connection *c) {
    if (c->speech) c->speech->end(c->spoken);
    close(c->endpoint.fd);
    free(c);
}

/* Returns 0 when the connection is gone. */
static int send_owed(struct origin_connection *c) {
    while (c->owed) {
        ssize_t n = send(c->endpoint.fd, answer + c->sent, answer_length - c->sent, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno != EAGAIN) return 0;
            if (!c->blocked) watch(&c->endpoint, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
            c->blocked = 1;
            return 1;
        }
        c->sent += (size_t)n;
        if (c->sent < answer_length) continue;
        c->sent = 0;
        c->owed--;
    }
    if (c->blocked) watch(&c->endpoint, EPOLLIN, EPOLL_CTL_MOD);
    c->blocked = 0;
    return 1;
}

static void find_heads(struct origin_connection *c, const char *p, const char *end) {
    for (; p < end; p++) {
        if (!c->matched && !(p = memchr(p, '\r', (size_t)(end - p)))) return;
        if (*p != "\r\n\r\n"[c->matched]) c->matched = *p == '\r';
        else if (++c->matched == 4) {
            c->matched = 0;
            c->owed++;
        }
    }
}

/* A proxy sends the first bytes of what it has to say together. */
static const struct origin_speech *speech_of(const char *bytes, size_t count) {
    if (count >= 4 && !memcmp(bytes, "PRI ", 4)) return &origin_frames;
    return count >= 7 && !memcmp(bytes, "GET /ws", 7) ? &origin_echo : NULL;
}

/* Returns 0 when the connection is to be dropped. */
static int take(struct origin_connection *c, const char *bytes, size_t count) {
    if (!c->has_begun) {
        c->has_begun = 1;
        c->speech = speech_of(bytes, count);
        if (c->speech) c->spoken = c->speech->begin(&c->endpoint);
    }
    if (c->speech) return c->speech->receive(c->spoken, bytes, count);
    find_heads(c, bytes, bytes + count);
    return 1;
}

static void origin_event(struct endpoint *endpoint, uint32_t events) {
    struct origin_connection *c = (struct origin_connection *)endpoint;
    static char buffer[65536];
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        ssize_t n = recv(endpoint->fd, buffer, sizeof buffer, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN) || (n > 0 && !take(c, buffer, (size_t)n))) {
            drop(c);
            return;
        }
    }
    if (!(c->speech ? c->speech->send(c->spoken) : send_owed(c))) drop(c);
}
