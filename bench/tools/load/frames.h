/* frames.h - what both ends of HTTP/2 need: frames in and out, and compressed fields (RFC 9113, RFC 7541).
 *
 * The generator shares a core with the origin and must not be the slower side, so fields are compressed once, before the
 * load begins: the first block on a connection fills the table of fields, and all that follow refer to it. */
#ifndef FRAMES_H
#define FRAMES_H

#include <nghttp2/nghttp2.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FRAME_HEADER_BYTES = 9,
    FRAME_BYTES_MAX = 16384,
    PREFACE_BYTES = 24,
    WINDOW_BYTES = 1 << 30,          /* what we let the other side send, so that it never waits for us */
    DEFAULT_WINDOW_BYTES = 65535,
    DEFAULT_TABLE_BYTES = 4096,
};

struct frame {
    uint32_t length;
    uint8_t type, flags;
    int32_t stream;
    const uint8_t *payload;
};

/* Bytes that wait to be sent. */
struct outbox {
    char *bytes;
    size_t count, room;
};
void outbox_add(struct outbox *outbox, const void *bytes, size_t count);
void outbox_consume(struct outbox *outbox, size_t count);

/* Bytes of a frame that has not come whole. */
struct inbox {
    size_t count;
    char bytes[FRAME_HEADER_BYTES + FRAME_BYTES_MAX];
};
/* Gives each whole frame to `take` until it returns 0. Returns 0 then, and when the bytes are no frames. */
int frames_receive(struct inbox *inbox, const char *bytes, size_t count, int (*take)(void *, const struct frame *),
                   void *owner);

void frame_put(struct outbox *out, uint8_t type, uint8_t flags, int32_t stream, const void *payload, size_t length);
uint32_t frame_word(const struct frame *frame, size_t at);    /* 32 bits of the payload, 0 beyond its end */
void window_put(struct outbox *out, int32_t stream, uint32_t more);
/* Calls `each` for every entry of SETTINGS and acknowledges them. */
void settings_take(const struct frame *frame, struct outbox *out, void (*each)(void *, unsigned id, uint32_t value),
                   void *owner);

/* Compresses fields with a table of its own; the caller frees nothing, blocks live as long as the program. */
struct block {
    char *bytes;
    size_t length;
};
nghttp2_nv field(const char *name, const char *value);
struct block block_make(nghttp2_hd_deflater *deflater, const nghttp2_nv *fields, size_t count);
nghttp2_hd_deflater *deflater_make(void);

#endif
