// Vector scans over bytes, and the tables behind them: baseline SSE2 or NEON through clang's own vectors, because
// <emmintrin.h> drags a large module into the importer.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t cs_v16 __attribute__((vector_size(16)));
typedef int8_t cs_s16 __attribute__((vector_size(16)));
typedef char cs_c16 __attribute__((vector_size(16)));

static inline cs_v16 cs_load16(const uint8_t *p) { cs_v16 x; memcpy(&x, p, 16); return x; }

/* One bit per byte of a comparison result, lowest byte first. */
static inline unsigned cs_mask16(cs_s16 m) {
#if defined(__SSE2__)
    return (unsigned)__builtin_ia32_pmovmskb128((cs_c16)m);
#else
    typedef _Bool b16 __attribute__((ext_vector_type(16)));
    b16 b = __builtin_convertvector(m != 0, b16);
    unsigned short r; memcpy(&r, &b, 2); return r;
#endif
}

/* 1 for each tchar (RFC 9110 section 5.6.2). */
extern const unsigned char cs_tchar[256];
/* The value of each base64url digit, 255 for any other byte (RFC 4648 section 5). */
extern const unsigned char cs_base64url[256];

/* First index in [i, n) whose byte may not stand in a field value: CTL except HTAB, or DEL. n if none. */
static inline size_t cs_scan_value(const uint8_t *p, size_t i, size_t n) {
    for (; i + 16 <= n; i += 16) {
        cs_v16 x = cs_load16(p + i);
        unsigned m = cs_mask16((cs_s16)(((x < 0x20) & (x != 9)) | (x == 0x7f)));
        if (m) return i + (size_t)__builtin_ctz(m);
    }
    for (; i < n; i++) { uint8_t c = p[i]; if ((c < 0x20 && c != 9) || c == 0x7f) return i; }
    return n;
}

/* First index in [i, n) whose byte is not a tchar. */
static inline size_t cs_scan_token(const uint8_t *p, size_t i, size_t n) {
    while (i < n && cs_tchar[p[i]]) i++;
    return i;
}

/* First index in [i, n) whose byte is not VCHAR (RFC 5234): <= SP, DEL, or >= 0x80. */
static inline size_t cs_scan_target(const uint8_t *p, size_t i, size_t n) {
    for (; i + 16 <= n; i += 16) {
        cs_v16 x = cs_load16(p + i);
        unsigned m = cs_mask16((cs_s16)(((cs_s16)x < 0x21) | (cs_s16)(x == 0x7f)));   /* signed: >= 0x80 is negative */
        if (m) return i + (size_t)__builtin_ctz(m);
    }
    for (; i < n; i++) { uint8_t c = p[i]; if (c <= 0x20 || c >= 0x7f) return i; }
    return n;
}
