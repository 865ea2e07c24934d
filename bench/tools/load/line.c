/* line.c - one connection to the proxy: dialled, brought up, read, written and closed, in clear text or over TLS. */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BROKEN_MAX = 100000 };

static SSL_CTX *tls;

SSL_CTX *lines_begin(const char *protocol) {
    if (!options.tls) return NULL;
    unsigned char offer[32] = { (unsigned char)strlen(protocol) };
    memcpy(offer + 1, protocol, strlen(protocol));
    tls = SSL_CTX_new(TLS_client_method());
    if (!tls) die("TLS");
    SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION);
    SSL_CTX_set_ciphersuites(tls, "TLS_AES_128_GCM_SHA256");
    SSL_CTX_set1_groups_list(tls, "X25519");
    SSL_CTX_set_verify(tls, SSL_VERIFY_NONE, NULL);    /* a self-signed certificate on loopback */
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(tls, SSL_OP_NO_TICKET);
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_alpn_protos(tls, offer, (unsigned)offer[0] + 1);
    return tls;
}

void count_broken(void) {
    if (++totals.broken <= BROKEN_MAX) return;
    fprintf(stderr, "load: %d connections broke\n", BROKEN_MAX);
    exit(1);
}

int line_dial(struct line *line, uint32_t from_address, SSL_SESSION *session) {
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)options.port) };
    struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(from_address) };
    int one = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = line->endpoint.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) die("socket");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (from_address) {
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (bind(fd, (void *)&from, sizeof from)) die("bind");
    }
    if (connect(fd, (void *)&to, sizeof to) < 0 && errno != EINPROGRESS) return 0;
    if (tls) {
        line->ssl = SSL_new(tls);
        SSL_set_fd(line->ssl, fd);
        SSL_set_connect_state(line->ssl);
        SSL_set_tlsext_host_name(line->ssl, "localhost");
        if (session) SSL_set_session(line->ssl, session);
    }
    watch(&line->endpoint, EPOLLIN | EPOLLOUT, EPOLL_CTL_ADD);
    line->wants_output = 1;
    return 1;
}

void line_want(struct line *line, int output) {
    if (line->wants_output == output) return;
    watch(&line->endpoint, EPOLLIN | (output ? EPOLLOUT : 0), EPOLL_CTL_MOD);
    line->wants_output = output;
}

enum line_state line_connect(struct line *line, uint32_t events) {
    if (events & EPOLLERR) return LINE_FAILED;
    if (line->ssl) {
        int n = SSL_do_handshake(line->ssl);
        if (n != 1) {
            if (SSL_get_error(line->ssl, n) == SSL_ERROR_WANT_READ) {
                line_want(line, 0);
                return LINE_PENDING;
            }
            ERR_clear_error();
            return LINE_FAILED;
        }
    } else if (!(events & EPOLLOUT)) return LINE_PENDING;
    line_want(line, 0);
    return LINE_UP;
}

/* What an SSL function that returned `n` has to say, as recv and send say it. */
static ssize_t classify(struct line *line, int n) {
    int why = SSL_get_error(line->ssl, n);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
        errno = EAGAIN;
        return -1;
    }
    ERR_clear_error();
    errno = EPIPE;
    return why == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

ssize_t line_receive(struct line *line, void *into, size_t room, int flags) {
    if (!line->ssl) return recv(line->endpoint.fd, into, room, flags);
    int n = SSL_read(line->ssl, into, (int)room);
    return n > 0 ? n : classify(line, n);
}

ssize_t line_send(struct line *line, const void *bytes, size_t count) {
    if (!line->ssl) return send(line->endpoint.fd, bytes, count, MSG_NOSIGNAL);
    size_t sent = 0;
    while (sent < count) {    /* OpenSSL takes one record at a time */
        int n = SSL_write(line->ssl, (const char *)bytes + sent, (int)(count - sent));
        if (n <= 0) return sent ? (ssize_t)sent : classify(line, n);
        sent += (size_t)n;
    }
    return (ssize_t)sent;
}

void line_close(struct line *line) {
    SSL_free(line->ssl);
    line->ssl = NULL;
    if (line->endpoint.fd >= 0) close(line->endpoint.fd);
    line->endpoint.fd = -1;
}
