// Vector scans over bytes, and the tables behind them: baseline SSE2 or NEON through clang's own vectors, because
// <emmintrin.h> drags a large module into the importer.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t cs_v16 __attribute__((vector_size(16)));
typedef int8_t cs_s16 __attribute__((vector_size(16)));
typedef char cs_c16 __attribute__((vector_size(16)));

/* For scans that are all of a loop's work: a call costs as much as they do. */
#define cs_always_inline inline __attribute__((always_inline))

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

/* Not 0 for each tchar (RFC 9110 section 5.6.2): 1, and 3 for the underscore. */
extern const unsigned char cs_tchar[256];
/* The value of each base64url digit, 255 for any other byte (RFC 4648 section 5). */
extern const unsigned char cs_base64url[256];
static inline uint8_t cs_base64url_value(uint8_t c) { return cs_base64url[c]; }

/* Not 0 where a byte is CTL (HTAB is one) or DEL. */
static inline cs_s16 cs_control16(cs_v16 x) { return (cs_s16)((x < 0x20) | (x == 0x7f)); }

/* The first CTL or DEL in [i, n), 64 bytes a step; n if none. */
size_t cs_find_control(const uint8_t *p, size_t i, size_t n);

/* First index in [i, n) whose byte may not stand in a field value: CTL except HTAB, or DEL. n if none. An HTAB
   is so rare that it is looked at by itself. */
static inline size_t cs_scan_value(const uint8_t *p, size_t i, size_t n) {
    i = cs_find_control(p, i, n);
    while (i < n && p[i] == 9) i = cs_find_control(p, i + 1, n);
    return i;
}

/* The first CTL or DEL in [i, n); n if none. Most values are short: the first 64 bytes are looked at in place. */
static cs_always_inline size_t cs_find_control_near(const uint8_t *p, size_t i, size_t n) {
    for (size_t near = i + 64; i < near && i + 16 <= n; i += 16) {
        unsigned m = cs_mask16(cs_control16(cs_load16(p + i)));
        if (m) return i + (size_t)__builtin_ctz(m);
    }
    return cs_find_control(p, i, n);
}

/* First index in [i, n) whose byte is not a tchar. */
static inline size_t cs_scan_token(const uint8_t *p, size_t i, size_t n) {
    while (i < n && cs_tchar[p[i]]) i++;
    return i;
}

/* Names are letters and hyphens nearly always: one bit for each other byte of 16, the higher bits set. */
static inline unsigned cs_uncommon_in_name16(cs_v16 x) {
    return ~cs_mask16((cs_s16)((((x | 0x20) - 'a') < 26) | (x == '-')));
}

/* Twice the first index in [i, n) whose byte is not a tchar, plus 1 if an underscore stands before it. */
static inline size_t cs_scan_name(const uint8_t *p, size_t i, size_t n) {
    unsigned char kind, seen = 0;
    while (i < n && (kind = cs_tchar[p[i]]) != 0) { seen |= kind; i++; }
    return i << 1 | seen >> 1;
}

/* The parts of a field line: where its name ends, its value without the blanks around it, where the next line begins. */
typedef struct { size_t name_end, value, value_end, next; size_t has_underscore; } cs_field_line;

/* The first compare decides nearly always. */
static inline int cs_is_blank(uint8_t c) { return __builtin_expect(c <= ' ', 0) && (c == ' ' || c == 9); }

static inline int cs_is_pair(const uint8_t *p, const char *pair) { return memcmp(p, pair, 2) == 0; }

/* The line from i, if it is whole and in order: name ":" OWS value OWS CRLF (RFC 9112 section 5). If not, `next` is 0. */
static cs_always_inline cs_field_line cs_scan_field_line(const uint8_t *p, size_t i, size_t n) {
    const cs_field_line none = { 0 };
    size_t name = i, value, end, underscore = 0;
    if (i + 16 < n) name += (size_t)__builtin_ctz(cs_uncommon_in_name16(cs_load16(p + i)));
    if (name + 2 < n && cs_is_pair(p + name, ": ") && p[name + 2] > ' ') {
        value = name + 2;
    } else {
        size_t found = cs_scan_name(p, name, n);
        name = found >> 1;
        underscore = found & 1;
        if (name == n || p[name] != ':') return none;
        for (value = name + 1; value < n && cs_is_blank(p[value]); value++);
    }
    if (name == i) return none;
    end = cs_find_control_near(p, value, n);
    if (n - end < 2) return none;
    if (!cs_is_pair(p + end, "\r\n")) {
        end = cs_scan_value(p, end, n);
        if (n - end < 2 || !cs_is_pair(p + end, "\r\n")) return none;
    }
    size_t next = end + 2;
    if (p[end - 1] <= ' ') while (end > value && cs_is_blank(p[end - 1])) end--;
    return (cs_field_line){ name, value, end, next, underscore };
}

/* First index in [i, n) at which a host name stops: at a byte that is not unreserved (RFC 3986 section 2.3), or at the
   dot of an empty label. n if none. Loads, but does not judge, bytes up to `limit` (>= n). */
static inline size_t cs_scan_host(const uint8_t *p, size_t i, size_t n, size_t limit) {
    unsigned dot = 1;   /* 1: no dot may stand here */
    for (; i < n && i + 16 <= limit; i += 16) {
        cs_v16 x = cs_load16(p + i);
        unsigned dots = cs_mask16((cs_s16)(x == '.'));
        unsigned m = cs_mask16((cs_s16)((((x | 0x20) - 'a') < 26) | ((x - '0') < 10) | (x == '-') | (x == '.')
            | (x == '_') | (x == '~')));
        m = (m ^ 0xffff) | (dots & (dots << 1 | dot));
        if (n - i < 16) m &= (1u << (n - i)) - 1;
        if (m) return i + (size_t)__builtin_ctz(m);
        dot = dots >> 15;
    }
    for (; i < n; i++) {
        uint8_t x = p[i];
        int plain = (uint8_t)((x | 0x20) - 'a') < 26 || (uint8_t)(x - '0') < 10 || x == '-' || x == '_' || x == '~';
        if (!plain && (x != '.' || dot)) return i;
        dot = x == '.';
    }
    return n;
}

/* Copies n bytes, letters in lower case. */
static inline void cs_lower(uint8_t *restrict to, const uint8_t *restrict from, size_t n) {
    for (size_t i = 0; i < n; i++) to[i] = (uint8_t)(from[i] | ((uint8_t)(from[i] - 'A') < 26) << 5);
}

/* First index in [i, n) of the byte; n if none. */
static inline size_t cs_find(const uint8_t *p, size_t i, size_t n, int byte) {
    const uint8_t *found = i < n ? memchr(p + i, byte, n - i) : 0;
    return found ? (size_t)(found - p) : n;
}

/* First index in [i, n) whose byte may not stand in a request-target: <= SP, DEL, >= 0x80 (no VCHAR of RFC 5234), or
   '#', for a fragment is not sent (RFC 9112 section 3.2). */
static inline size_t cs_scan_target(const uint8_t *p, size_t i, size_t n) {
    for (; i + 16 <= n; i += 16) {
        cs_v16 x = cs_load16(p + i);
        unsigned m = cs_mask16((cs_s16)(((cs_s16)x < 0x21) | (cs_s16)(x == 0x7f) | (cs_s16)(x == '#')));   /* signed: >= 0x80 is negative */
        if (m) return i + (size_t)__builtin_ctz(m);
    }
    for (; i < n; i++) { uint8_t c = p[i]; if (c <= 0x20 || c >= 0x7f || c == '#') return i; }
    return n;
}

/* First index in [i, n) at which a path stops being plain: at its end ('?'), or at a byte that some server reads
   otherwise: '%', ';', '\', an upper-case letter, the '/' of "//" and "/.", the '.' of "./". n if none. Loads, but does
   not judge, bytes up to `limit` (>= n), which is why the last steps need no loop. */
static inline size_t cs_scan_path(const uint8_t *p, size_t i, size_t n, size_t limit) {
    for (; i < n && i + 17 <= limit; i += 16) {
        cs_v16 x = cs_load16(p + i), y = cs_load16(p + i + 1);
        unsigned m = cs_mask16((cs_s16)((x == '%') | (x == ';') | (x == '\\') | (x == '?')
            | ((x - 'A') < 26) | ((x == '/') & ((y == '/') | (y == '.'))) | ((x == '.') & (y == '/'))));
        if (n - i < 16) m &= (1u << (n - i)) - 1;
        if (m) return i + (size_t)__builtin_ctz(m);
    }
    for (; i < n; i++) {
        uint8_t x = p[i], y = i + 1 < n ? p[i + 1] : 0;
        if (x == '%' || x == ';' || x == '\\' || x == '?' || (uint8_t)(x - 'A') < 26
            || (x == '/' && (y == '/' || y == '.')) || (x == '.' && y == '/')) return i;
    }
    return n;
}
