/* floor.c - what forwarding bytes costs on this kernel, and nothing else: the yardstick of the benchmark.
 *
 *   cc -O2 -o floor floor.c
 *   floor LISTEN_PORT ORIGIN_PORT
 *
 * One thread, level-triggered epoll. Each client connection has one kept-alive connection to the origin. Bytes go
 * across with one recv and one send in each direction; nothing is parsed, nothing is checked. A gateway on plain
 * sockets can approach it, not beat it, unless it sends several requests with one call or leaves the socket interface.
 * For large bodies it is no bound: its buffer is 64 KiB, and a larger one needs fewer calls.
 *
 * No HTTP, no limits, no timeouts: for measuring on loopback only.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

struct end {
    int fd;
    struct end *peer;
    char *pend;            /* bytes that peer's socket would not take yet */
    size_t len, off;
    int dead;
};

static int ep;
static struct end *graves[1024];   /* two for each event of a batch, freed after it: events may still name them */
static int ngraves;

static void die(const char *what) { perror(what); exit(1); }

static void watch(struct end *e, unsigned ev, int op) {
    struct epoll_event x = { .events = ev, .data.ptr = e };
    epoll_ctl(ep, op, e->fd, &x);
}

static void bury(struct end *e) {
    struct end *pair[2] = { e, e->peer };
    for (int i = 0; i < 2; i++) {
        if (pair[i]->dead) continue;
        pair[i]->dead = 1;
        close(pair[i]->fd);
        free(pair[i]->pend);
        graves[ngraves++] = pair[i];
    }
}

static struct end *mk(int fd) {
    struct end *e = calloc(1, sizeof *e);
    int one = 1;
    if (!e) die("calloc");
    e->fd = fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return e;
}

static void accept_all(int ls, const struct sockaddr_in *up) {
    for (;;) {
        int c = accept4(ls, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (c < 0) return;
        int u = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (u < 0) { close(c); return; }
        if (connect(u, (const void *)up, sizeof *up) < 0 && errno != EINPROGRESS) {
            close(c); close(u); continue;
        }
        struct end *a = mk(c), *b = mk(u);
        a->peer = b; b->peer = a;
        watch(a, EPOLLIN, EPOLL_CTL_ADD);
        watch(b, EPOLLIN, EPOLL_CTL_ADD);
    }
}

static void readable(struct end *e) {
    static char buf[65536];
    struct end *p = e->peer;
    if (e->pend) return;                         /* backpressure: peer is full */
    ssize_t n = recv(e->fd, buf, sizeof buf, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) { bury(e); return; }
    ssize_t w = send(p->fd, buf, n, MSG_NOSIGNAL);
    if (w < 0) {
        if (errno != EAGAIN && errno != ENOTCONN) { bury(e); return; }
        w = 0;
    }
    if (w < n) {
        e->len = n - w; e->off = 0;
        e->pend = malloc(e->len);
        if (!e->pend) die("malloc");
        memcpy(e->pend, buf + w, e->len);
        watch(e, 0, EPOLL_CTL_MOD);
        watch(p, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
    }
}

static void writable(struct end *p) {
    struct end *e = p->peer;
    if (!e->pend) { watch(p, p->pend ? 0 : EPOLLIN, EPOLL_CTL_MOD); return; }
    ssize_t w = send(p->fd, e->pend + e->off, e->len - e->off, MSG_NOSIGNAL);
    if (w < 0) { if (errno != EAGAIN) bury(p); return; }
    e->off += w;
    if (e->off < e->len) return;
    free(e->pend); e->pend = NULL;
    watch(e, EPOLLIN, EPOLL_CTL_MOD);
    watch(p, p->pend ? 0 : EPOLLIN, EPOLL_CTL_MOD);
}

int main(int argc, char **argv) {
    if (argc != 3) { fprintf(stderr, "usage: floor LISTEN_PORT ORIGIN_PORT\n"); return 2; }
    struct rlimit rl;
    if (!getrlimit(RLIMIT_NOFILE, &rl)) { rl.rlim_cur = rl.rlim_max; setrlimit(RLIMIT_NOFILE, &rl); }
    signal(SIGPIPE, SIG_IGN);
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(atoi(argv[1])) }, up = a;
    a.sin_addr.s_addr = up.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    up.sin_port = htons(atoi(argv[2]));
    int ls = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    setsockopt(ls, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(ls, (void *)&a, sizeof a) || listen(ls, 4096)) die("listen");
    ep = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event l = { .events = EPOLLIN, .data.ptr = NULL };
    epoll_ctl(ep, EPOLL_CTL_ADD, ls, &l);
    static struct epoll_event ev[512];
    for (;;) {
        int n = epoll_wait(ep, ev, 512, -1);
        for (int i = 0; i < n; i++) {
            struct end *e = ev[i].data.ptr;
            if (!e) { accept_all(ls, &up); continue; }
            if (e->dead) continue;
            if (ev[i].events & EPOLLOUT) { writable(e); if (e->dead) continue; }
            if (ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) readable(e);
        }
        while (ngraves) free(graves[--ngraves]);
    }
}
