/* socket.c - WebSockets through the proxy: each sends a small message, waits until it comes back, and sends it again. */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD_BYTES_MAX = 4096, MESSAGE_BYTES = 32, FRAME_START_BYTES = 2, MASK_BYTES = 4 };

/* The example of RFC 6455 section 1.3. */
static const char REQUEST[] =
    "GET /ws HTTP/1.1\r\nHost: api.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
static const char ACCEPT[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
static const char MESSAGE[MESSAGE_BYTES + 1] = "{\"type\":\"tick\",\"n\":12345,\"ok\":1}";
static const unsigned char MASK[MASK_BYTES] = { 0x37, 0xfa, 0x21, 0x3d };

enum state { STATE_CLOSED, STATE_CONNECTING, STATE_HEAD, STATE_OPEN };

struct socket {
    struct line line;
    enum state state;
    uint64_t sent_at_ns;
    size_t have;
    char bytes[HEAD_BYTES_MAX];
};

static struct socket *sockets;
static int dialled, opening;
static char frame[FRAME_START_BYTES + MASK_BYTES + MESSAGE_BYTES];

static void socket_event(struct endpoint *endpoint, uint32_t events);

static void begin(void) {
    frame[0] = (char)0x81;    /* a whole message of text */
    frame[1] = (char)(0x80 | MESSAGE_BYTES);
    memcpy(frame + FRAME_START_BYTES, MASK, MASK_BYTES);
    for (int i = 0; i < MESSAGE_BYTES; i++)
        frame[FRAME_START_BYTES + MASK_BYTES + i] = (char)(MESSAGE[i] ^ MASK[i % MASK_BYTES]);
    sockets = calloc((size_t)options.connections, sizeof *sockets);
    if (!sockets) die("memory");
    for (int i = 0; i < options.connections; i++) sockets[i].line.endpoint = (struct endpoint){ socket_event, -1 };
    lines_begin("http/1.1");
}

static void dial(struct socket *s) {
    s->state = STATE_CONNECTING;
    s->have = 0;
    opening++;
    if (!line_dial(&s->line, 0, NULL)) die("connect");
}

static void dial_more(void) {
    while (dialled < options.connections && opening < DIALS_AT_ONCE) dial(&sockets[dialled++]);
}

static void fail(struct socket *s) {
    if (s->state != STATE_OPEN) opening--;
    line_close(&s->line);
    s->state = STATE_CLOSED;
    count_broken();
    if (clients_may_fire) dial(s);
}

static void send_all(struct socket *s, const char *bytes, size_t count) {
    s->have = 0;
    s->sent_at_ns = now_ns();
    /* It always fits into an empty socket. */
    if (line_send(&s->line, bytes, count) != (ssize_t)count) fail(s);
}

/* Returns 0 when the answer is none that opens a WebSocket. */
static int take_head(struct socket *s) {
    s->bytes[s->have] = 0;
    const char *end = strstr(s->bytes, "\r\n\r\n");
    if (!end) return s->have < HEAD_BYTES_MAX - 1;
    if (memcmp(s->bytes + 9, "101", 3) || !strstr(s->bytes, ACCEPT) || end + 4 != s->bytes + s->have) return 0;
    opening--;
    s->state = STATE_OPEN;
    if (dialled == options.connections && !opening)    /* all messages begin when all are open */
        for (int i = 0; i < options.connections; i++)
            if (sockets[i].state == STATE_OPEN && !sockets[i].sent_at_ns) send_all(&sockets[i], frame, sizeof frame);
    return 1;
}

static int take_message(struct socket *s) {
    if (s->have < FRAME_START_BYTES + MESSAGE_BYTES) return 1;
    if (s->have > FRAME_START_BYTES + MESSAGE_BYTES || s->bytes[0] != (char)0x81 || s->bytes[1] != MESSAGE_BYTES
        || memcmp(s->bytes + FRAME_START_BYTES, MESSAGE, MESSAGE_BYTES)) return 0;
    totals.answered++;
    meter_answer(s->sent_at_ns);
    if (clients_may_fire) send_all(s, frame, sizeof frame);
    return 1;
}

static void socket_event(struct endpoint *endpoint, uint32_t events) {
    struct socket *s = (struct socket *)endpoint;
    if (s->state == STATE_CLOSED) return;
    if (s->state == STATE_CONNECTING) {
        switch (line_connect(&s->line, events)) {
        case LINE_PENDING: return;
        case LINE_FAILED: fail(s); return;
        case LINE_UP: break;
        }
        totals.connected++;
        s->state = STATE_HEAD;
        send_all(s, REQUEST, sizeof REQUEST - 1);
        s->sent_at_ns = 0;
        return;
    }
    ssize_t n = line_receive(&s->line, s->bytes + s->have, HEAD_BYTES_MAX - 1 - s->have, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n > 0) {
        totals.bytes += (uint64_t)n;
        s->have += (size_t)n;
    }
    if (n <= 0 || !(s->state == STATE_HEAD ? take_head(s) : take_message(s))) fail(s);
}

const struct load socket_load = { begin, dial_more };
