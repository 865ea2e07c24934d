/* frames.c - frames of HTTP/2 in and out, and compressed fields. */
#include "frames.h"

#include "load.h"

#include <stdlib.h>
#include <string.h>

void outbox_add(struct outbox *outbox, const void *bytes, size_t count) {
    if (outbox->room - outbox->count < count) {
        outbox->room = 2 * (outbox->count + count);
        outbox->bytes = realloc(outbox->bytes, outbox->room);
        if (!outbox->bytes) die("memory");
    }
    memcpy(outbox->bytes + outbox->count, bytes, count);
    outbox->count += count;
}

void outbox_consume(struct outbox *outbox, size_t count) {
    outbox->count -= count;
    if (outbox->count) memmove(outbox->bytes, outbox->bytes + count, outbox->count);
}

static struct frame frame_at(const char *at) {
    const uint8_t *p = (const uint8_t *)at;
    return (struct frame){
        .length = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2], .type = p[3], .flags = p[4],
        .stream = (int32_t)((uint32_t)(p[5] & 0x7f) << 24 | (uint32_t)p[6] << 16 | (uint32_t)p[7] << 8 | p[8]),
        .payload = p + FRAME_HEADER_BYTES,
    };
}

/* Moves bytes into the inbox until it holds `wanted`. Returns how many it took. */
static size_t top_up(struct inbox *inbox, size_t wanted, const char *bytes, size_t count) {
    size_t n = wanted > inbox->count ? wanted - inbox->count : 0;
    if (n > count) n = count;
    memcpy(inbox->bytes + inbox->count, bytes, n);
    inbox->count += n;
    return n;
}

int frames_receive(struct inbox *inbox, const char *bytes, size_t count, int (*take)(void *, const struct frame *),
                   void *owner) {
    for (;;) {
        /* A frame of which the beginning came earlier is put together; all others are taken where they lie. */
        if (inbox->count) {
            size_t n = top_up(inbox, FRAME_HEADER_BYTES, bytes, count);
            bytes += n;
            count -= n;
            if (inbox->count < FRAME_HEADER_BYTES) return 1;
            struct frame frame = frame_at(inbox->bytes);
            if (frame.length > FRAME_BYTES_MAX) return 0;
            n = top_up(inbox, FRAME_HEADER_BYTES + frame.length, bytes, count);
            bytes += n;
            count -= n;
            if (inbox->count < FRAME_HEADER_BYTES + frame.length) return 1;
            inbox->count = 0;
            if (!take(owner, &frame)) return 0;
        } else if (count < FRAME_HEADER_BYTES) {
            top_up(inbox, FRAME_HEADER_BYTES, bytes, count);
            return 1;
        } else {
            struct frame frame = frame_at(bytes);
            if (frame.length > FRAME_BYTES_MAX) return 0;
            size_t whole = FRAME_HEADER_BYTES + frame.length;
            if (count < whole) {
                top_up(inbox, whole, bytes, count);
                return 1;
            }
            bytes += whole;
            count -= whole;
            if (!take(owner, &frame)) return 0;
        }
    }
}

void frame_put(struct outbox *out, uint8_t type, uint8_t flags, int32_t stream, const void *payload, size_t length) {
    const uint8_t header[FRAME_HEADER_BYTES] = {
        (uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length, type, flags,
        (uint8_t)((uint32_t)stream >> 24), (uint8_t)(stream >> 16), (uint8_t)(stream >> 8), (uint8_t)stream,
    };
    outbox_add(out, header, sizeof header);
    if (length) outbox_add(out, payload, length);
}

uint32_t frame_word(const struct frame *frame, size_t at) {
    if (at + 4 > frame->length) return 0;
    const uint8_t *p = frame->payload + at;
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

void window_put(struct outbox *out, int32_t stream, uint32_t more) {
    const uint8_t payload[4] = { (uint8_t)(more >> 24), (uint8_t)(more >> 16), (uint8_t)(more >> 8), (uint8_t)more };
    frame_put(out, NGHTTP2_WINDOW_UPDATE, 0, stream, payload, sizeof payload);
}

void settings_take(const struct frame *frame, struct outbox *out, void (*each)(void *, unsigned id, uint32_t value),
                   void *owner) {
    if (frame->flags & NGHTTP2_FLAG_ACK) return;
    for (size_t at = 0; at + 6 <= frame->length; at += 6)
        each(owner, (unsigned)frame->payload[at] << 8 | frame->payload[at + 1], frame_word(frame, at + 2));
    frame_put(out, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0);
}

nghttp2_nv field(const char *name, const char *value) {
    return (nghttp2_nv){ (uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE };
}

nghttp2_hd_deflater *deflater_make(void) {
    nghttp2_hd_deflater *deflater;
    if (nghttp2_hd_deflate_new(&deflater, DEFAULT_TABLE_BYTES)) die("memory");
    return deflater;
}

struct block block_make(nghttp2_hd_deflater *deflater, const nghttp2_nv *fields, size_t count) {
    size_t room = nghttp2_hd_deflate_bound(deflater, fields, count);
    struct block block = { malloc(room), 0 };
    if (!block.bytes) die("memory");
    ssize_t n = nghttp2_hd_deflate_hd(deflater, (uint8_t *)block.bytes, room, fields, count);
    if (n < 0) die("compressing fields");
    block.length = (size_t)n;
    block.bytes = realloc(block.bytes, block.length);
    return block;
}
