/* origin_echo.c - the origin on connections that become WebSockets: every small message comes back (RFC 6455). */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { BYTES_MAX = 4096, START_BYTES = 2, MASK_BYTES = 4, SMALL_BYTES_MAX = 125, KEY_BYTES = 24 };

struct echo {
    struct endpoint *endpoint;
    int is_open;
    size_t have, out_count;
    char bytes[BYTES_MAX], out[BYTES_MAX];
};

static void *begin(struct endpoint *endpoint) {
    struct echo *e = calloc(1, sizeof *e);
    if (!e) die("memory");
    e->endpoint = endpoint;
    return e;
}

/* Returns 0 when the request does not ask for a WebSocket. */
static int take_head(struct echo *e) {
    static const char name[] = "\r\nsec-websocket-key:", guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char text[KEY_BYTES + sizeof guid];
    unsigned char digest[SHA_DIGEST_LENGTH], accept[64];
    e->bytes[e->have] = 0;
    const char *end = strstr(e->bytes, "\r\n\r\n"), *key = strcasestr(e->bytes, name);
    if (!end) return 1;
    if (!key || end + 4 != e->bytes + e->have) return 0;
    key += sizeof name - 1;
    key += strspn(key, " ");
    if (strcspn(key, "\r") != KEY_BYTES) return 0;
    memcpy(text, key, KEY_BYTES);
    memcpy(text + KEY_BYTES, guid, sizeof guid);
    SHA1((unsigned char *)text, KEY_BYTES + sizeof guid - 1, digest);
    EVP_EncodeBlock(accept, digest, sizeof digest);
    e->out_count = (size_t)snprintf(e->out, sizeof e->out,
                                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                    "Sec-WebSocket-Accept: %s\r\n\r\n", accept);
    e->is_open = 1;
    e->have = 0;
    return 1;
}

/* Messages that are whole go back, without the mask that clients must use. */
static int take_messages(struct echo *e) {
    size_t at = 0;
    while (e->have - at >= START_BYTES) {
        const char *p = e->bytes + at;
        size_t length = p[1] & 0x7f, whole = START_BYTES + MASK_BYTES + length;
        if (p[0] != (char)0x81 || !(p[1] & 0x80) || length > SMALL_BYTES_MAX) return 0;
        if (e->have - at < whole) break;
        if (e->out_count + START_BYTES + length > sizeof e->out) return 0;
        e->out[e->out_count++] = p[0];
        e->out[e->out_count++] = (char)length;
        for (size_t i = 0; i < length; i++)
            e->out[e->out_count++] = (char)(p[START_BYTES + MASK_BYTES + i] ^ p[START_BYTES + i % MASK_BYTES]);
        at += whole;
    }
    e->have -= at;
    memmove(e->bytes, e->bytes + at, e->have);
    return 1;
}

static int receive(void *speech, const char *bytes, size_t count) {
    struct echo *e = speech;
    if (count > sizeof e->bytes - 1 - e->have) return 0;
    memcpy(e->bytes + e->have, bytes, count);
    e->have += count;
    return e->is_open ? take_messages(e) : take_head(e);
}

/* What is owed always fits into an empty socket: nobody has more than one message out. */
static int send_all(void *speech) {
    struct echo *e = speech;
    size_t count = e->out_count;
    e->out_count = 0;
    return !count || send(e->endpoint->fd, e->out, count, MSG_NOSIGNAL) == (ssize_t)count;
}

const struct origin_speech origin_echo = { begin, receive, send_all, free };
