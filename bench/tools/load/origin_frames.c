/* origin_frames.c - the origin on connections of HTTP/2: answers every request with the same fields and bytes. It does not look
 * at a request's fields, as the one of HTTP/1.1 does not; what all streams are answered leaves in one write. */
#define _GNU_SOURCE
#include "frames.h"
#include "load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { STREAMS_MAX = 256 };    /* offered, and so how many may be owed an answer */

struct channel {
    struct endpoint *endpoint;
    size_t preface;      /* bytes of it that have come */
    int has_answered;    /* the other side's table of fields is filled */
    int blocked;         /* the socket would not take more: EPOLLOUT is on */
    int64_t window;      /* bytes of bodies that the other side takes */
    int owed_count;
    int32_t owed[STREAMS_MAX];
    struct outbox outbox;
    struct inbox inbox;
};

static struct block first_answer, next_answer;
static size_t body_length;

static void make_answers(void) {
    static char length[24];
    body_length = strlen(origin_body);
    snprintf(length, sizeof length, "%zu", body_length);
    const nghttp2_nv fields[] = {
        field(":status", "200"), field("server", "origin"), field("date", "Sat, 21 Nov 2026 04:00:00 GMT"),
        field("content-type", "application/json"), field("content-length", length),
    };
    nghttp2_hd_deflater *deflater = deflater_make();
    first_answer = block_make(deflater, fields, sizeof fields / sizeof *fields);
    next_answer = block_make(deflater, fields, sizeof fields / sizeof *fields);
}

static void *begin(struct endpoint *endpoint) {
    static const uint8_t settings[] = {
        0, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0, 0, STREAMS_MAX >> 8, STREAMS_MAX & 0xff,
    };
    if (!next_answer.length) make_answers();
    struct channel *c = calloc(1, sizeof *c);
    if (!c) die("memory");
    c->endpoint = endpoint;
    c->window = DEFAULT_WINDOW_BYTES;
    frame_put(&c->outbox, NGHTTP2_SETTINGS, 0, 0, settings, sizeof settings);
    return c;
}

static void pay(struct channel *c) {
    int i = 0;
    for (; i < c->owed_count && c->window >= (int64_t)body_length; i++) {
        const struct block *head = c->has_answered ? &next_answer : &first_answer;
        frame_put(&c->outbox, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, c->owed[i], head->bytes, head->length);
        frame_put(&c->outbox, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, c->owed[i], origin_body, body_length);
        c->window -= (int64_t)body_length;
        c->has_answered = 1;
    }
    c->owed_count -= i;
    memmove(c->owed, c->owed + i, (size_t)c->owed_count * sizeof *c->owed);
}

static void take_setting(void *owner, unsigned id, uint32_t value) {
    (void)owner;
    if ((id == NGHTTP2_SETTINGS_HEADER_TABLE_SIZE && value < DEFAULT_TABLE_BYTES)
        || (id == NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE && value < body_length)) {
        fprintf(stderr, "load: the proxy allows its origin only %u for setting %u\n", value, id);
        exit(1);
    }
}

static int take(void *owner, const struct frame *frame) {
    struct channel *c = owner;
    switch (frame->type) {
    case NGHTTP2_HEADERS:
        if (!(frame->flags & NGHTTP2_FLAG_END_STREAM) || c->owed_count == STREAMS_MAX) return 0;
        c->owed[c->owed_count++] = frame->stream;
        return 1;
    case NGHTTP2_WINDOW_UPDATE:
        if (frame->stream == 0) c->window += frame_word(frame, 0) & 0x7fffffff;
        return 1;
    case NGHTTP2_SETTINGS: settings_take(frame, &c->outbox, take_setting, c); return 1;
    case NGHTTP2_PING:
        if (!(frame->flags & NGHTTP2_FLAG_ACK))
            frame_put(&c->outbox, NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, frame->payload, frame->length);
        return 1;
    case NGHTTP2_DATA: return 0;    /* no request here has a body */
    default: return 1;              /* a stream that was reset has its answer already, or gets one that nobody reads */
    }
}

static int receive(void *speech, const char *bytes, size_t count) {
    struct channel *c = speech;
    size_t n = PREFACE_BYTES - c->preface;
    if (n > count) n = count;
    c->preface += n;
    return frames_receive(&c->inbox, bytes + n, count - n, take, c);
}

static int send_all(void *speech) {
    struct channel *c = speech;
    pay(c);
    while (c->outbox.count) {
        ssize_t n = send(c->endpoint->fd, c->outbox.bytes, c->outbox.count, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) break;
        if (n < 0) return 0;
        outbox_consume(&c->outbox, (size_t)n);
    }
    int blocked = c->outbox.count > 0;
    if (blocked != c->blocked) watch(c->endpoint, EPOLLIN | (blocked ? EPOLLOUT : 0), EPOLL_CTL_MOD);
    c->blocked = blocked;
    return 1;
}

static void end(void *speech) {
    struct channel *c = speech;
    free(c->outbox.bytes);
    free(c);
}

const struct origin_speech origin_frames = { begin, receive, send_all, end };
