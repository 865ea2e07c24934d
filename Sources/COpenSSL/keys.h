// Keys and signatures: each function leaves the error queue of its thread empty, so that a bad signature can never be
// mistaken for a failure of the TLS call that comes next.
#pragma once
#include <openssl/core_names.h>
#include <openssl/ec.h>
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
/* OpenSSL's names of P-256, P-384 and P-521, by the bytes of a coordinate. */
static inline const char *co_group(size_t width) { return width == 32 ? "prime256v1" : width == 48 ? "secp384r1" : "secp521r1"; }
/* A public key of an uncompressed point, of coordinates of so many bytes; NULL when the point is not on the curve. */
static inline EVP_PKEY *co_ec_key(size_t width, const uint8_t *point) {
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, co_group(width), 0);
    OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, point, 2 * width + 1);
    return co_import("EC", b);
}
/* A public Edwards key; type CO_ED25519 (32 bytes) or CO_ED448 (57). */
static inline EVP_PKEY *co_edwards_key(int type, const uint8_t *p, size_t n) {
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(type, NULL, p, n);
    ERR_clear_error();
    return key;
}

/* SHA-1 of n bytes into 20, for handshakes that ask for it and keep no secret by it. */
static inline void co_sha1(const void *p, size_t n, void *out) {
    SHA_CTX c;
    SHA1_Init(&c);
    SHA1_Update(&c, p, n);
    SHA1_Final((unsigned char *)out, &c);
}

/* SHA-256, SHA-384 or SHA-512, by the bytes of the hash. */
static inline const EVP_MD *co_digest(size_t bytes) { return bytes == 32 ? EVP_sha256() : bytes == 48 ? EVP_sha384() : EVP_sha512(); }
/* SHA-384 or SHA-512 of n bytes, without an allocation as above. */
static inline void co_sha512(const void *p, size_t n, size_t bytes, void *out) {
    SHA512_CTX c;
    if (bytes == 48) SHA384_Init(&c); else SHA512_Init(&c);
    SHA512_Update(&c, p, n);
    SHA512_Final((unsigned char *)out, &c);
}

static const int CO_EC = 0, CO_PKCS1 = RSA_PKCS1_PADDING, CO_PSS = RSA_PKCS1_PSS_PADDING;

/* A context that verifies digests of so many bytes with this key, initialised once for all signatures. With CO_PSS the
   salt is as long as the hash, neither shorter nor longer, and the mask is made with the same hash (RFC 7518, 3.5). */
static inline EVP_PKEY_CTX *co_verifier(EVP_PKEY *key, size_t digest, int padding) {
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
    const EVP_MD *md = co_digest(digest);
    if (c && (EVP_PKEY_verify_init(c) != 1 || (padding && EVP_PKEY_CTX_set_rsa_padding(c, padding) != 1)
              || EVP_PKEY_CTX_set_signature_md(c, md) != 1
              || (padding == CO_PSS && (EVP_PKEY_CTX_set_rsa_mgf1_md(c, md) != 1
                                        || EVP_PKEY_CTX_set_rsa_pss_saltlen(c, RSA_PSS_SALTLEN_DIGEST) != 1)))) {
        EVP_PKEY_CTX_free(c);
        c = NULL;
    }
    ERR_clear_error();
    return c;
}
static inline int co_verify_digest(EVP_PKEY_CTX *c, const uint8_t *s, size_t sn, const void *digest, size_t n) {
    int r = EVP_PKEY_verify(c, s, sn, digest, n);
    if (r != 1 || ERR_peek_error()) ERR_clear_error();
    return r == 1;
}
/* Edwards signatures are over the message itself (RFC 8032). */
static inline int co_verify_message(EVP_MD_CTX *c, EVP_PKEY *key, const uint8_t *s, size_t sn, const uint8_t *m, size_t mn) {
    int r = EVP_MD_CTX_reset(c) == 1 && EVP_DigestVerifyInit(c, NULL, NULL, NULL, key) == 1 ? EVP_DigestVerify(c, s, sn, m, mn) : 0;
    ERR_clear_error();
    return r == 1;
}

/* HMAC with a digest of so many bytes; the secret is worked in once. NULL when there is no memory. */
static inline EVP_MAC_CTX *co_hmac(const uint8_t *secret, size_t n, size_t digest) {
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *c = mac ? EVP_MAC_CTX_new(mac) : NULL;
    char name[] = "SHA512";
    if (digest != 64) memcpy(name + 3, digest == 32 ? "256" : "384", 3);
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0), OSSL_PARAM_construct_end()};
    if (c && EVP_MAC_init(c, secret, n, params) != 1) {
        EVP_MAC_CTX_free(c);
        c = NULL;
    }
    EVP_MAC_free(mac);
    ERR_clear_error();
    return c;
}
/* Whether t is the tag of m. The time that it takes says nothing about where a wrong one differs. */
static inline int co_hmac_verify(EVP_MAC_CTX *c, const uint8_t *m, size_t mn, const uint8_t *t, size_t tn) {
    unsigned char tag[EVP_MAX_MD_SIZE];
    size_t n = 0;
    int r = EVP_MAC_init(c, NULL, 0, NULL) == 1 && EVP_MAC_update(c, m, mn) == 1 && EVP_MAC_final(c, tag, &n, sizeof tag) == 1
            && n == tn && CRYPTO_memcmp(tag, t, n) == 0;
    OPENSSL_cleanse(tag, sizeof tag);
    ERR_clear_error();
    return r;
}

static inline EVP_PKEY *co_generate_rsa(size_t bits) { EVP_PKEY *k = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", bits); ERR_clear_error(); return k; }
static inline EVP_PKEY *co_generate_ec(size_t width) { EVP_PKEY *k = EVP_PKEY_Q_keygen(NULL, NULL, "EC", co_group(width)); ERR_clear_error(); return k; }
static inline EVP_PKEY *co_generate_ed25519(void) { EVP_PKEY *k = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"); ERR_clear_error(); return k; }

/* The JWS signature of m by a private key (RFC 7518, 3): over a hash of so many bytes, 0 for Edwards keys; on a curve two
   numbers of `width` bytes side by side. Bytes written, 0 when it did not work or does not fit. */
static inline size_t co_sign(EVP_PKEY *key, size_t digest, size_t width, const uint8_t *m, size_t mn, uint8_t *out, size_t room) {
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    size_t n = room;
    int ok = c && EVP_DigestSignInit(c, NULL, digest ? co_digest(digest) : NULL, NULL, key) == 1 && EVP_DigestSign(c, out, &n, m, mn) == 1;
    if (ok && width) {
        const uint8_t *p = out;
        ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &p, (long)n);
        ok = s && 2 * width <= room && BN_bn2binpad(ECDSA_SIG_get0_r(s), out, (int)width) == (int)width
             && BN_bn2binpad(ECDSA_SIG_get0_s(s), out + width, (int)width) == (int)width;
        n = 2 * width;
        ECDSA_SIG_free(s);
    }
    EVP_MD_CTX_free(c);
    ERR_clear_error();
    return ok ? n : 0;
}

/* The private key of a PEM text that needs no passphrase; NULL when there is none. */
static inline EVP_PKEY *co_read_private(const void *p, size_t n) {
    BIO *b = BIO_new_mem_buf(p, (int)n);
    EVP_PKEY *k = b ? PEM_read_bio_PrivateKey(b, NULL, co_no_passphrase, NULL) : NULL;
    BIO_free(b);
    ERR_clear_error();
    return k;
}

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

/* 1: RSA, 2: Ed25519, 3: Ed448, 32, 48, 66: P-256, P-384, P-521, 0: anything else. */
static inline int co_key_kind(EVP_PKEY *key) {
    char group[32] = "";
    size_t n = 0;
    if (EVP_PKEY_is_a(key, "RSA")) return 1;
    if (EVP_PKEY_is_a(key, "ED25519")) return 2;
    if (EVP_PKEY_is_a(key, "ED448")) return 3;
    int named = EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, &n) == 1;
    ERR_clear_error();
    for (int width = 32; named && width <= 66; width += width == 48 ? 18 : 16)
        if (!strcmp(group, co_group((size_t)width))) return width;
    return 0;
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
