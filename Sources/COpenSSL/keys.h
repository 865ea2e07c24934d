// Keys and signatures: each function leaves the error queue of its thread empty, so that a bad signature can never be
// mistaken for a failure of the TLS call that comes next.
#pragma once
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <string.h>

static const int CO_ED25519 = EVP_PKEY_ED25519, CO_ED448 = EVP_PKEY_ED448;

/* SHA-256 of n bytes. The old calls on purpose: EVP_DigestInit_ex2 allocates each time it is called, also with a kept
   context, and a cached token must not cost an allocation. */
static inline void co_sha256(const void *p, size_t n, void *out) {
    SHA256_CTX c;
    SHA256_Init(&c);
    SHA256_Update(&c, p, n);
    SHA256_Final((unsigned char *)out, &c);
}

static inline EVP_PKEY *co_import(const char *type, OSSL_PARAM_BLD *builder) {
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (!params || !c || EVP_PKEY_fromdata_init(c) != 1 || EVP_PKEY_fromdata(c, &key, EVP_PKEY_PUBLIC_KEY, params) != 1) key = NULL;
    EVP_PKEY_CTX_free(c);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    ERR_clear_error();
    return key;
}
/* A public RSA key of two big-endian numbers; NULL when they are none. */
static inline EVP_PKEY *co_rsa_key(const uint8_t *n, size_t nn, const uint8_t *e, size_t en) {
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    BIGNUM *bn = BN_bin2bn(n, (int)nn, NULL), *be = BN_bin2bn(e, (int)en, NULL);
    OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_N, bn);
    OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_E, be);
    EVP_PKEY *key = co_import("RSA", b);
    BN_free(bn); BN_free(be);
    return key;
}
/* A public key on P-256 of an uncompressed point (65 bytes); NULL when the point is not on the curve. */
static inline EVP_PKEY *co_p256_key(const uint8_t *point) {
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0);
    OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, point, 65);
    return co_import("EC", b);
}
/* A public Edwards key; type CO_ED25519 (32 bytes) or CO_ED448 (57). */
static inline EVP_PKEY *co_edwards_key(int type, const uint8_t *p, size_t n) {
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(type, NULL, p, n);
    ERR_clear_error();
    return key;
}

/* A context that verifies SHA-256 digests with this key, initialised once for all signatures. */
static inline EVP_PKEY_CTX *co_verifier(EVP_PKEY *key, int is_rsa) {
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
    if (c && (EVP_PKEY_verify_init(c) != 1 || EVP_PKEY_CTX_set_signature_md(c, EVP_sha256()) != 1
              || (is_rsa && EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PADDING) != 1))) {
        EVP_PKEY_CTX_free(c);
        c = NULL;
    }
    ERR_clear_error();
    return c;
}
static inline int co_verify_digest(EVP_PKEY_CTX *c, const uint8_t *s, size_t sn, const void *digest) {
    int r = EVP_PKEY_verify(c, s, sn, digest, 32);
    if (r != 1 || ERR_peek_error()) ERR_clear_error();
    return r == 1;
}
/* Edwards signatures are over the message itself (RFC 8032). */
static inline int co_verify_message(EVP_MD_CTX *c, EVP_PKEY *key, const uint8_t *s, size_t sn, const uint8_t *m, size_t mn) {
    int r = EVP_MD_CTX_reset(c) == 1 && EVP_DigestVerifyInit(c, NULL, NULL, NULL, key) == 1 ? EVP_DigestVerify(c, s, sn, m, mn) : 0;
    ERR_clear_error();
    return r == 1;
}

static inline EVP_PKEY *co_generate_rsa(size_t bits) { EVP_PKEY *k = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", bits); ERR_clear_error(); return k; }
static inline EVP_PKEY *co_generate_p256(void) { EVP_PKEY *k = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"); ERR_clear_error(); return k; }
static inline EVP_PKEY *co_generate_ed25519(void) { EVP_PKEY *k = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"); ERR_clear_error(); return k; }

/* PKCS#8 without a passphrase, or SubjectPublicKeyInfo, as PEM. Bytes written, 0 when it did not work or does not fit. */
static inline size_t co_write_pem(EVP_PKEY *key, int is_private, uint8_t *out, size_t room) {
    BIO *b = is_private ? BIO_new(BIO_s_secmem()) : BIO_new(BIO_s_mem());
    char *p = NULL;
    size_t n = 0;
    if (b && (is_private ? PEM_write_bio_PKCS8PrivateKey(b, key, NULL, NULL, 0, NULL, NULL) : PEM_write_bio_PUBKEY(b, key)) == 1)
        n = (size_t)BIO_get_mem_data(b, &p);
    if (n > room) n = 0;
    if (n) memcpy(out, p, n);
    BIO_free(b);
    ERR_clear_error();
    return n;
}

/* 1: RSA, 2: P-256, 3: Ed25519, 4: Ed448, 0: anything else. */
static inline int co_key_kind(EVP_PKEY *key) {
    char group[32] = "";
    size_t n = 0;
    if (EVP_PKEY_is_a(key, "RSA")) return 1;
    if (EVP_PKEY_is_a(key, "ED25519")) return 3;
    if (EVP_PKEY_is_a(key, "ED448")) return 4;
    int named = EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, &n) == 1;
    ERR_clear_error();
    return named && !strcmp(group, "prime256v1") ? 2 : 0;
}
/* One number of a key, big-endian: 0 = RSA n, 1 = RSA e, 2 = EC x, 3 = EC y; padded to width (0: as short as it is).
   Bytes written, 0 when there is none or it does not fit. */
static inline size_t co_key_number(EVP_PKEY *key, int which, size_t width, uint8_t *out, size_t room) {
    static const char *const names[] = {OSSL_PKEY_PARAM_RSA_N, OSSL_PKEY_PARAM_RSA_E, OSSL_PKEY_PARAM_EC_PUB_X, OSSL_PKEY_PARAM_EC_PUB_Y};
    BIGNUM *v = NULL;
    size_t n = 0;
    if (EVP_PKEY_get_bn_param(key, names[which & 3], &v) == 1) {
        n = width ? width : (size_t)BN_num_bytes(v);
        if (n > room || BN_bn2binpad(v, out, (int)n) < 0) n = 0;
    }
    BN_free(v);
    ERR_clear_error();
    return n;
}
static inline size_t co_edwards_bytes(EVP_PKEY *key, uint8_t *out, size_t room) {
    size_t n = room;
    int r = EVP_PKEY_get_raw_public_key(key, out, &n);
    ERR_clear_error();
    return r == 1 ? n : 0;
}

/* The public key of the next PEM block. *status: 0 a key or a foreign block (NULL), 1 the end, 2 damaged, 3 a private key. */
static inline EVP_PKEY *co_next_public_key(BIO *b, int *status) {
    char *name = NULL, *header = NULL;
    unsigned char *bytes = NULL;
    long n = 0;
    EVP_PKEY *key = NULL;
    ERR_clear_error();
    if (PEM_read_bio(b, &name, &header, &bytes, &n) != 1) {
        *status = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE ? 1 : 2;
        ERR_clear_error();
        return NULL;
    }
    const unsigned char *p = bytes;
    *status = 0;
    if (strstr(name, "PRIVATE KEY")) {
        OPENSSL_cleanse(bytes, (size_t)n);
        *status = 3;
    } else if (!strcmp(name, "PUBLIC KEY")) {
        key = d2i_PUBKEY(NULL, &p, n);
        if (!key) *status = 2;
    } else if (!strcmp(name, "CERTIFICATE")) {
        X509 *x = d2i_X509(NULL, &p, n);
        key = x ? X509_get_pubkey(x) : NULL;
        X509_free(x);
        if (!key) *status = 2;
    }
    OPENSSL_free(name); OPENSSL_free(header); OPENSSL_free(bytes);
    ERR_clear_error();
    return key;
}
