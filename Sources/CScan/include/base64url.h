// base64url digits to bytes, 16 at a time (RFC 4648 section 5).
#pragma once
#include "cscan.h"

/* Decodes whole groups of 16 digits, and writes 12 bytes for each; gives the digits taken. Stops before the first group with
   a byte that is no digit, or when fewer than 16 bytes of room are left (each step writes 16, of which the last 4 mean
   nothing). */
static inline size_t cs_base64url_decode(const uint8_t *p, size_t n, uint8_t *out, size_t room) {
    size_t i = 0, o = 0;
    for (; i + 16 <= n && o + 16 <= room; i += 16, o += 12) {
        cs_v16 c = cs_load16(p + i);
        cs_v16 upper = (cs_v16)((c - 'A') < 26), lower = (cs_v16)((c - 'a') < 26), digit = (cs_v16)((c - '0') < 10);
        cs_v16 minus = (cs_v16)(c == '-'), line = (cs_v16)(c == '_');
        if (cs_mask16((cs_s16)(upper | lower | digit | minus | line)) != 0xffff) break;
        cs_v16 v = c - (upper & 'A') - (lower & ('a' - 26)) + (digit & (52 - '0')) + (minus & (62 - '-'))
            - (line & ('_' - 63));
        typedef uint64_t v2 __attribute__((vector_size(16)));
        /* Four digits of six bits: pairs to 12 bits, pairs of those to 24, first digit highest; two of those to 48. */
        v2 x = (v2)v;
        x = (x & 0x003f003f003f003f) << 6 | (x >> 8 & 0x003f003f003f003f);
        x = (x & 0x00000fff00000fff) << 12 | (x >> 16 & 0x00000fff00000fff);
        x = (x & 0xffffff) << 40 | (x >> 32) << 16;
        uint64_t a = __builtin_bswap64(x[0]), b = __builtin_bswap64(x[1]);
        memcpy(out + o, &a, 8);
        memcpy(out + o + 6, &b, 8);
    }
    return i;
}
