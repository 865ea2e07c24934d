// Comparing, and the inside of a JSON string (RFC 8259 section 7), 16 bytes at a time.
#pragma once
#include "cscan.h"

/* Asks for the cache line of p, which is about to be read; nothing happens when there is none. */
static inline void cs_prefetch(const void *p) { __builtin_prefetch(p); }

static inline int cs_equal(const uint8_t *a, const uint8_t *b, size_t n) { return n == 0 || memcmp(a, b, n) == 0; }

/* First index in [i, n) of a quote, a backslash, a control byte or a byte from 0x80 up; n if none. */
static inline size_t cs_scan_json_string(const uint8_t *p, size_t i, size_t n) {
    for (; i + 16 <= n; i += 16) {
        cs_v16 x = cs_load16(p + i);
        /* signed: >= 0x80 is negative, and so below 0x20 */
        unsigned m = cs_mask16((cs_s16)(((cs_s16)x < 0x20) | (cs_s16)(x == '"') | (cs_s16)(x == '\\')));
        if (m) return i + (size_t)__builtin_ctz(m);
    }
    while (i < n && p[i] >= 0x20 && p[i] < 0x80 && p[i] != '"' && p[i] != '\\') i++;
    return i;
}

/* Whether all n bytes are visible ASCII, and neither '%' nor `other`. */
static inline int cs_is_visible_without(const uint8_t *p, size_t n, uint8_t other) {
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        cs_v16 x = cs_load16(p + i);
        /* signed: >= 0x80 is negative, and so below 0x21 */
        if (cs_mask16((cs_s16)(((cs_s16)x < 0x21) | (cs_s16)(x == 0x7f) | (cs_s16)(x == '%') | (cs_s16)(x == other)))) return 0;
    }
    unsigned bad = 0;
    for (; i < n; i++) bad |= (p[i] < 0x21) | (p[i] > 0x7e) | (p[i] == '%') | (p[i] == other);
    return !bad;
}
