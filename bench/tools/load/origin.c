/* origin.c - the server behind the proxy: reads requests without bodies, answers each with the same bytes. */
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
    int matched;          /* bytes of CR LF CR LF seen at the end of what was read */
    int blocked;          /* the socket would not take more: EPOLLOUT is on */
    unsigned long owed;   /* answers not completely sent */
    size_t sent;          /* bytes of the first of them that are */
};

static const char BODY[] =
    "{\"id\":8741,\"status\":\"shipped\",\"currency\":\"EUR\",\"total\":\"129.90\",\"items\":["
    "{\"sku\":\"A-100\",\"qty\":2},{\"sku\":\"B-220\",\"qty\":1}],\"ok\":true}";

static char *answer;
static size_t answer_length;
static struct endpoint listener = { .kind = ENDPOINT_LISTENER };

static void make_answer(void) {
    size_t body = options.answer_bytes ? options.answer_bytes : sizeof BODY - 1;
    answer = calloc(1, body + 512);
    if (!answer) die("memory");
    int head = snprintf(answer, 512,
                        "HTTP/1.1 200 OK\r\nServer: origin\r\nDate: Sat, 21 Nov 2026 04:00:00 GMT\r\n"
                        "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n", body);
    if (!options.answer_bytes) memcpy(answer + head, BODY, body);
    else memset(answer + head, 'x', body);
    answer_length = (size_t)head + body;
}

void origin_begin(void) {
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)options.origin_port) };
    int one = 1;
    make_answer();
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener.fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener.fd, (void *)&address, sizeof address) || listen(listener.fd, 4096)) die("origin's port");
    watch(&listener, EPOLLIN, EPOLL_CTL_ADD);
}

void origin_accept(struct endpoint *from) {
    int fd, one = 1;
    while ((fd = accept4(from->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct origin_connection *c = calloc(1, sizeof *c);
        if (!c) die("memory");
        c->endpoint = (struct endpoint){ ENDPOINT_ORIGIN, fd };
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        watch(&c->endpoint, EPOLLIN, EPOLL_CTL_ADD);
    }
}

/* One event for each socket and turn, so nothing else in this turn can name `c`. */
static void drop(struct origin_connection *c) {
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

void origin_event(struct endpoint *endpoint, uint32_t events) {
    struct origin_connection *c = (struct origin_connection *)endpoint;
    static char buffer[65536];
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        ssize_t n = recv(endpoint->fd, buffer, sizeof buffer, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            drop(c);
            return;
        }
        if (n > 0) find_heads(c, buffer, buffer + n);
    }
    if (!send_owed(c)) drop(c);
}
