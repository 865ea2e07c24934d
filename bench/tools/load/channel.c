/* channel.c - connections of HTTP/2 to the proxy: each keeps as many streams open as it was told, one request on each.
 *
 * What all streams of a connection have to say leaves in one write at the end of the event that made them say it, as real
 * clients do it. */
#define _GNU_SOURCE
#include "frames.h"
#include "load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

enum { STREAMS_MAX = 256, WINDOW_REFILL_BYTES = 1 << 24 };

enum channel_state { CHANNEL_CLOSED, CHANNEL_CONNECTING, CHANNEL_OPEN };

struct stream {
    int32_t number;
    uint64_t sent_at_ns;
    long promised, received;    /* bytes of the body; -1: no head came yet */
};

struct channel {
    struct line line;
    enum channel_state state;
    int32_t next_number;
    uint32_t unacknowledged;    /* bytes of bodies since the last WINDOW_UPDATE */
    nghttp2_hd_inflater *inflater;
    struct stream streams[STREAMS_MAX];
    struct outbox outbox;
    struct inbox inbox;
};

static struct channel *channels;
static int dialled, connecting;

static void channel_event(struct endpoint *endpoint, uint32_t events);

static void begin(void) {
    if (options.streams > STREAMS_MAX) {
        fprintf(stderr, "load: at most %d streams\n", STREAMS_MAX);
        exit(2);
    }
    channels = calloc((size_t)options.connections, sizeof *channels);
    if (!channels) die("memory");
    for (int i = 0; i < options.connections; i++) channels[i].line.endpoint = (struct endpoint){ channel_event, -1 };
    lines_begin("h2");
}

static void dial(struct channel *c) {
    c->state = CHANNEL_CONNECTING;
    c->next_number = 1;
    c->unacknowledged = 0;
    c->outbox.count = c->inbox.count = 0;
    if (nghttp2_hd_inflate_new(&c->inflater)) die("memory");
    connecting++;
    if (!line_dial(&c->line, 0, NULL)) die("connect");
}

static void dial_more(void) {
    while (dialled < options.connections && connecting < DIALS_AT_ONCE) dial(&channels[dialled++]);
}

/* The proxy hung up or the answer made no sense. Counted, and dialled again at once. */
static void fail(struct channel *c) {
    if (c->state == CHANNEL_CONNECTING) connecting--;
    line_close(&c->line);
    nghttp2_hd_inflate_del(c->inflater);
    c->state = CHANNEL_CLOSED;
    count_broken();
    if (clients_may_fire) dial(c);
}

static void fire(struct channel *c, struct stream *stream) {
    const struct request *r = c->next_number == 1 ? request_opening() : request_next();
    *stream = (struct stream){ c->next_number, now_ns(), -1, 0 };
    frame_put(&c->outbox, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, stream->number, r->bytes,
              r->length);
    c->next_number += 2;
}

static void complete(struct channel *c, struct stream *stream) {
    totals.answered++;
    meter_answer(stream->sent_at_ns);
    stream->number = 0;
    if (clients_may_fire) fire(c, stream);
}

static struct stream *find(struct channel *c, int32_t number) {
    for (int i = 0; number && i < options.streams; i++)
        if (c->streams[i].number == number) return &c->streams[i];
    return NULL;
}

/* Sends what waits. Returns 0 when the connection is gone. */
static int flush(struct channel *c) {
    while (c->outbox.count) {
        ssize_t n = line_send(&c->line, c->outbox.bytes, c->outbox.count);
        if (n < 0 && errno == EAGAIN) break;
        if (n <= 0) {
            fail(c);
            return 0;
        }
        outbox_consume(&c->outbox, (size_t)n);
    }
    line_want(&c->line, c->outbox.count > 0);
    return 1;
}

static void open_up(struct channel *c) {
    static const uint8_t settings[] = { 0, NGHTTP2_SETTINGS_ENABLE_PUSH, 0, 0, 0, 0 };
    if (c->line.ssl) {    /* a proxy that chose HTTP/1.1 would be measured at something else */
        const unsigned char *protocol;
        unsigned length;
        SSL_get0_alpn_selected(c->line.ssl, &protocol, &length);
        if (length != 2 || memcmp(protocol, "h2", 2)) {
            fail(c);
            return;
        }
    }
    c->state = CHANNEL_OPEN;
    connecting--;
    totals.connected++;
    outbox_add(&c->outbox, NGHTTP2_CLIENT_MAGIC, PREFACE_BYTES);
    frame_put(&c->outbox, NGHTTP2_SETTINGS, 0, 0, settings, sizeof settings);
    window_put(&c->outbox, 0, WINDOW_BYTES);
    for (int i = 0; i < options.streams; i++) fire(c, &c->streams[i]);
    flush(c);
}

/* Status and length of an answer out of its fields. Returns 0 when they cannot be read. */
static int take_fields(struct channel *c, struct stream *stream, const uint8_t *p, size_t count) {
    int status = 0;
    for (;;) {
        nghttp2_nv nv;
        int what = 0;
        ssize_t n = nghttp2_hd_inflate_hd2(c->inflater, &nv, &what, p, count, 1);
        if (n < 0) return 0;
        p += n;
        count -= (size_t)n;
        if (what & NGHTTP2_HD_INFLATE_EMIT) {
            if (nv.namelen == 7 && !memcmp(nv.name, ":status", 7)) status = atoi((const char *)nv.value);
            else if (nv.namelen == 14 && !memcmp(nv.name, "content-length", 14))
                stream->promised = strtol((const char *)nv.value, NULL, 10);
        }
        if (what & NGHTTP2_HD_INFLATE_FINAL) break;
        if (!(what & NGHTTP2_HD_INFLATE_EMIT) && !count) return 0;
    }
    nghttp2_hd_inflate_end_headers(c->inflater);
    if (status / 100 != 2) totals.refused++;
    return 1;
}

static int take_head(struct channel *c, const struct frame *frame) {
    const uint8_t *p = frame->payload;
    size_t count = frame->length, padding = 0;
    struct stream *stream = find(c, frame->stream);
    if (!stream || !(frame->flags & NGHTTP2_FLAG_END_HEADERS)) return 0;
    if (frame->flags & NGHTTP2_FLAG_PADDED) {
        if (!count) return 0;
        padding = *p;
        p++, count--;
    }
    size_t priority = frame->flags & NGHTTP2_FLAG_PRIORITY ? 5 : 0;
    if (count < priority + padding) return 0;
    if (!take_fields(c, stream, p + priority, count - priority - padding)) return 0;
    if (frame->flags & NGHTTP2_FLAG_END_STREAM) {
        if (stream->promised > 0) return 0;
        complete(c, stream);
    }
    return 1;
}

static int take_data(struct channel *c, const struct frame *frame) {
    struct stream *stream = find(c, frame->stream);
    if (!stream || stream->promised < 0) return 0;
    size_t padding = frame->flags & NGHTTP2_FLAG_PADDED && frame->length ? 1u + frame->payload[0] : 0;
    if (padding > frame->length) return 0;
    stream->received += frame->length - (long)padding;
    c->unacknowledged += frame->length;
    if (c->unacknowledged > WINDOW_REFILL_BYTES) {
        window_put(&c->outbox, 0, c->unacknowledged);
        c->unacknowledged = 0;
    }
    if (!(frame->flags & NGHTTP2_FLAG_END_STREAM)) return 1;
    if (stream->received != stream->promised) return 0;
    complete(c, stream);
    return 1;
}

static void take_setting(void *owner, unsigned id, uint32_t value) {
    (void)owner;
    if ((id == NGHTTP2_SETTINGS_HEADER_TABLE_SIZE && value < DEFAULT_TABLE_BYTES)
        || (id == NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS && value < (uint32_t)options.streams)) {
        fprintf(stderr, "load: the proxy allows only %u for setting %u\n", value, id);
        exit(1);
    }
}

static int take(void *owner, const struct frame *frame) {
    struct channel *c = owner;
    switch (frame->type) {
    case NGHTTP2_HEADERS: return take_head(c, frame);
    case NGHTTP2_DATA: return take_data(c, frame);
    case NGHTTP2_SETTINGS: settings_take(frame, &c->outbox, take_setting, c); return 1;
    case NGHTTP2_PING:
        if (!(frame->flags & NGHTTP2_FLAG_ACK))
            frame_put(&c->outbox, NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, frame->payload, frame->length);
        return 1;
    /* A stream that was reset, or a connection that will end: neither is to be seen while something is measured. */
    case NGHTTP2_RST_STREAM: case NGHTTP2_GOAWAY: case NGHTTP2_CONTINUATION: case NGHTTP2_PUSH_PROMISE: return 0;
    default: return 1;
    }
}

static void read_all(struct channel *c) {
    static char buffer[262144];
    for (;;) {
        ssize_t n = line_receive(&c->line, buffer, sizeof buffer, 0);
        if (n < 0 && errno == EAGAIN) break;
        if (n > 0) totals.bytes += (uint64_t)n;
        if (n <= 0 || !frames_receive(&c->inbox, buffer, (size_t)n, take, c)) {
            fail(c);
            return;
        }
        if (!c->line.ssl && n < (ssize_t)sizeof buffer) break;
    }
    flush(c);
}

static void channel_event(struct endpoint *endpoint, uint32_t events) {
    struct channel *c = (struct channel *)endpoint;
    if (c->state == CHANNEL_CLOSED) return;
    if (c->state == CHANNEL_OPEN) {
        if (events & ~(uint32_t)EPOLLOUT) read_all(c);
        else flush(c);
        return;
    }
    switch (line_connect(&c->line, events)) {
    case LINE_PENDING: return;
    case LINE_FAILED: fail(c); return;
    case LINE_UP: open_up(c);
    }
}

const struct load channel_load = { begin, dial_more };
