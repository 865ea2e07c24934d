#include "cscan.h"

const unsigned char cs_tchar[256] = {
    ['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1, ['&'] = 1, ['\''] = 1, ['*'] = 1, ['+'] = 1,
    ['-'] = 1, ['.'] = 1, ['^'] = 1, ['_'] = 3, ['`'] = 1, ['|'] = 1, ['~'] = 1,
    ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1,
};

#define R4(c, v) [c] = (v), [(c) + 1] = (v) + 1, [(c) + 2] = (v) + 2, [(c) + 3] = (v) + 3
const unsigned char cs_base64url[256] = {
    [0 ... '-' - 1] = 255, ['-' + 1 ... '0' - 1] = 255, ['9' + 1 ... 'A' - 1] = 255, ['Z' + 1 ... '_' - 1] = 255,
    ['`'] = 255, ['z' + 1 ... 255] = 255,
    R4('A', 0), R4('E', 4), R4('I', 8), R4('M', 12), R4('Q', 16), R4('U', 20), ['Y'] = 24, ['Z'] = 25,
    R4('a', 26), R4('e', 30), R4('i', 34), R4('m', 38), R4('q', 42), R4('u', 46), ['y'] = 50, ['z'] = 51,
    R4('0', 52), R4('4', 56), ['8'] = 60, ['9'] = 61, ['-'] = 62, ['_'] = 63,
};

/* Not 0 if one of 64 bytes may be a control byte. Coarse: DEL and all above it, which are rare, count as one too, for
   then a single comparison does. */
static unsigned oddities64(const uint8_t *p) {
    cs_v16 a = cs_load16(p) - 0x20, b = cs_load16(p + 16) - 0x20, c = cs_load16(p + 32) - 0x20, d = cs_load16(p + 48) - 0x20;
    cs_v16 e = __builtin_elementwise_max(a, b), f = __builtin_elementwise_max(c, d);
    return cs_mask16((cs_s16)(__builtin_elementwise_max(e, f) > 0x7e - 0x20));
}

/* The last step ends at n, and looks once more at bytes before i (n >= 16: no load begins before p). */
size_t cs_find_control(const uint8_t *p, size_t i, size_t n) {
    unsigned m;
    while (i + 64 <= n && !oddities64(p + i)) i += 64;
    for (; i + 16 <= n; i += 16) {
        if ((m = cs_mask16(cs_control16(cs_load16(p + i)))) != 0) return i + (size_t)__builtin_ctz(m);
    }
    if (i < n && n >= 16) {
        m = cs_mask16(cs_control16(cs_load16(p + n - 16))) >> (16 - (n - i));
        return m ? i + (size_t)__builtin_ctz(m) : n;
    }
    while (i < n && p[i] >= 0x20 && p[i] != 0x7f) i++;
    return i;
}
