// RSASSA-PKCS1-v1_5 signatures (RFC 8017 section 8.2.2) of keys with the exponent 65537, as nearly all are: sixteen squarings and
// a multiplication of OpenSSL's with a modulus that was prepared once. EVP_PKEY_verify prepares and clears more than a public
// operation needs: a tenth of its time.
#pragma once
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

enum { CO_PKCS1_BYTES_MAX = 2048, CO_PKCS1_EXPONENT = 65537, CO_PKCS1_SQUARINGS = 16 };

typedef struct {
    BN_CTX *scratch;
    BN_MONT_CTX *modulus;
    BIGNUM *n, *s, *power;
} co_pkcs1;

static inline void co_pkcs1_free(co_pkcs1 *v) {
    if (!v) return;
    BN_free(v->n); BN_free(v->s); BN_free(v->power);
    BN_MONT_CTX_free(v->modulus);
    BN_CTX_free(v->scratch);
    OPENSSL_free(v);
}

/* NULL for a key with another exponent, and for none at all. */
static inline co_pkcs1 *co_pkcs1_new(EVP_PKEY *key) {
    BIGNUM *e = NULL;
    co_pkcs1 *v = OPENSSL_zalloc(sizeof *v);
    int ok = v && EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) == 1 && BN_is_word(e, CO_PKCS1_EXPONENT)
             && EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &v->n) == 1 && BN_num_bytes(v->n) <= CO_PKCS1_BYTES_MAX
             && (v->s = BN_new()) && (v->power = BN_new()) && (v->scratch = BN_CTX_new()) && (v->modulus = BN_MONT_CTX_new())
             && BN_MONT_CTX_set(v->modulus, v->n, v->scratch) == 1;
    BN_free(e);
    ERR_clear_error();
    if (ok) return v;
    co_pkcs1_free(v);
    return NULL;
}

/* What a signature over this digest (of 32, 48 or 64 bytes) is the root of: k bytes, EMSA-PKCS1-v1_5 of RFC 8017 section 9.2.
   There is one encoding, and it is compared whole: nothing of a signature is parsed. */
static inline void co_pkcs1_encode(unsigned char *out, size_t k, const void *digest, size_t n) {
    unsigned char info[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
    info[1] = (unsigned char)(0x11 + n);
    info[14] = n == 32 ? 1 : n == 48 ? 2 : 3;
    info[18] = (unsigned char)n;
    size_t start = k - n - sizeof info;
    out[0] = 0;
    out[1] = 1;
    memset(out + 2, 0xff, start - 3);
    out[start - 1] = 0;
    memcpy(out + start, info, sizeof info);
    memcpy(out + start + sizeof info, digest, n);
}

/* Whether the k bytes of s, as many as the modulus has, are the signature over this digest. */
static inline int co_pkcs1_verify(co_pkcs1 *v, const uint8_t *s, size_t sn, const void *digest, size_t n) {
    unsigned char got[CO_PKCS1_BYTES_MAX], wanted[CO_PKCS1_BYTES_MAX];
    size_t k = (size_t)BN_num_bytes(v->n);
    if (sn != k || k < n + 64) return 0;
    int ok = BN_bin2bn(s, (int)sn, v->s) && BN_ucmp(v->s, v->n) < 0
             && BN_to_montgomery(v->s, v->s, v->modulus, v->scratch) && BN_copy(v->power, v->s);
    for (int i = 0; ok && i < CO_PKCS1_SQUARINGS; i++)
        ok = BN_mod_mul_montgomery(v->power, v->power, v->power, v->modulus, v->scratch);
    ok = ok && BN_mod_mul_montgomery(v->power, v->power, v->s, v->modulus, v->scratch)
         && BN_from_montgomery(v->power, v->power, v->modulus, v->scratch)
         && BN_bn2binpad(v->power, got, (int)k) == (int)k;
    if (!ok) {
        ERR_clear_error();
        return 0;
    }
    co_pkcs1_encode(wanted, k, digest, n);
    return memcmp(got, wanted, k) == 0;
}
