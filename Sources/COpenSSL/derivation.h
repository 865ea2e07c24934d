/* The key schedule of TLS 1.3 (RFC 8446 section 7.1) as a provider of OpenSSL, for contexts whose properties ask for it. A
   handshake derives two dozen secrets; OpenSSL's own derivation copies its inputs, looks up a digest and makes contexts for
   each of them. This one is given everything at once, keeps nothing and allocates nothing; the hashing is OpenSSL's. */
#pragma once
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/sha.h>
#include <stdint.h>
#include <string.h>

#define CO_PREFERS_OURS "?provider=gateway"

enum { CO_HASH_MAX = 48, CO_BLOCK_MAX = 128, CO_INFO_PART_MAX = 255 };

typedef struct { const uint8_t *p; size_t n; } co_octets;
/* SHA-256, or SHA-384: the hashes of TLS 1.3's ciphers. */
typedef struct { int is_384; union { SHA256_CTX small; SHA512_CTX large; } state; } co_hash;

static inline size_t co_hash_size(int is_384) { return is_384 ? 48 : 32; }
static inline void co_hash_begin(co_hash *h, int is_384) {
    h->is_384 = is_384;
    if (is_384) SHA384_Init(&h->state.large); else SHA256_Init(&h->state.small);
}
static inline void co_hash_add(co_hash *h, co_octets x) {
    if (h->is_384) SHA384_Update(&h->state.large, x.p, x.n); else SHA256_Update(&h->state.small, x.p, x.n);
}
static inline void co_hash_end(co_hash *h, uint8_t *out) {
    if (h->is_384) SHA384_Final(out, &h->state.large); else SHA256_Final(out, &h->state.small);
}

/* ---- HMAC (RFC 2104) ---- */

/* Begins a hash with the key, which is no longer than a block, and the pad. */
static inline void co_hash_begin_keyed(co_hash *h, int is_384, co_octets key, uint8_t pad) {
    uint8_t block[CO_BLOCK_MAX];
    size_t size = is_384 ? 128 : 64;
    memset(block, pad, size);
    for (size_t i = 0; i < key.n; i++) block[i] ^= key.p[i];
    co_hash_begin(h, is_384);
    co_hash_add(h, (co_octets){block, size});
    OPENSSL_cleanse(block, size);
}
static inline void co_keyed_hash(int is_384, co_octets key, const co_octets *parts, int count, uint8_t *out) {
    co_hash h;
    uint8_t digest[CO_HASH_MAX];
    size_t size = co_hash_size(is_384);
    if (key.n > (is_384 ? 128u : 64u)) {
        co_hash_begin(&h, is_384);
        co_hash_add(&h, key);
        co_hash_end(&h, digest);
        key = (co_octets){digest, size};
    }
    co_hash_begin_keyed(&h, is_384, key, 0x36);
    for (int i = 0; i < count; i++) co_hash_add(&h, parts[i]);
    uint8_t inner[CO_HASH_MAX];
    co_hash_end(&h, inner);
    co_hash_begin_keyed(&h, is_384, key, 0x5c);
    co_hash_add(&h, (co_octets){inner, size});
    co_hash_end(&h, out);
    OPENSSL_cleanse(&h, sizeof h);
    OPENSSL_cleanse(inner, sizeof inner);
    OPENSSL_cleanse(digest, sizeof digest);
}

/* ---- HKDF with TLS 1.3's labels ---- */

/* What libssl gives, by the names of OpenSSL's own TLS13-KDF. */
typedef struct { int mode, is_384; co_octets key, salt, prefix, label, data; } co_derivation;

/* HKDF-Expand-Label. 1: done. */
static inline int co_expand(const co_derivation *d, co_octets secret, co_octets context, uint8_t *out, size_t n) {
    size_t size = co_hash_size(d->is_384), have = 0, named = d->prefix.n + d->label.n;
    if (!secret.p || named > CO_INFO_PART_MAX || context.n > CO_INFO_PART_MAX || n > 255 * size) return 0;
    uint8_t head[] = {(uint8_t)(n >> 8), (uint8_t)n, (uint8_t)named}, length = (uint8_t)context.n;
    uint8_t block[CO_HASH_MAX];
    for (uint8_t round = 1; n; round++) {
        co_octets parts[] = {{block, have}, {head, sizeof head}, d->prefix, d->label, {&length, 1}, context, {&round, 1}};
        co_keyed_hash(d->is_384, secret, parts, 7, block);
        have = size;
        size_t taken = n < size ? n : size;
        memcpy(out, block, taken);
        out += taken;
        n -= taken;
    }
    OPENSSL_cleanse(block, sizeof block);
    return 1;
}
/* HKDF-Extract of a secret (or of zeros) with the secret before it, of which a salt is derived first. 1: done. */
static inline int co_extract(const co_derivation *d, uint8_t *out, size_t n) {
    static const uint8_t zeros[CO_HASH_MAX];
    size_t size = co_hash_size(d->is_384);
    uint8_t nothing[CO_HASH_MAX], salt[CO_HASH_MAX];
    co_octets key = {zeros, 0}, secret = d->key.p ? d->key : (co_octets){zeros, size};
    if (n != size) return 0;
    if (d->salt.p) {
        co_hash h;
        co_hash_begin(&h, d->is_384);
        co_hash_end(&h, nothing);
        if (!co_expand(d, d->salt, (co_octets){nothing, size}, salt, size)) return 0;
        key = (co_octets){salt, size};
    }
    co_keyed_hash(d->is_384, key, &secret, 1, out);
    OPENSSL_cleanse(salt, sizeof salt);
    return 1;
}

/* ---- The provider ---- */

static inline int co_take_digest(const OSSL_PARAM *p, co_derivation *d) {
    const char *name = p->data_type == OSSL_PARAM_UTF8_STRING ? p->data : "";
    d->is_384 = !OPENSSL_strcasecmp(name, "SHA2-384") || !OPENSSL_strcasecmp(name, "SHA384");
    return d->is_384 || !OPENSSL_strcasecmp(name, "SHA2-256") || !OPENSSL_strcasecmp(name, "SHA256");
}
/* 1: everything that is needed is there, and of the right kind. */
static inline int co_take_parameters(const OSSL_PARAM *p, co_derivation *d) {
    int has_digest = 0;
    for (; p && p->key; p++) {
        co_octets *to = !strcmp(p->key, OSSL_KDF_PARAM_KEY) ? &d->key : !strcmp(p->key, OSSL_KDF_PARAM_SALT) ? &d->salt
            : !strcmp(p->key, OSSL_KDF_PARAM_PREFIX) ? &d->prefix : !strcmp(p->key, OSSL_KDF_PARAM_LABEL) ? &d->label
            : !strcmp(p->key, OSSL_KDF_PARAM_DATA) ? &d->data : NULL;
        if (to && p->data_type != OSSL_PARAM_OCTET_STRING) return 0;
        if (to) *to = (co_octets){p->data, p->data_size};
        else if (!strcmp(p->key, OSSL_KDF_PARAM_DIGEST)) has_digest = co_take_digest(p, d);
        else if (strcmp(p->key, OSSL_KDF_PARAM_MODE) || !OSSL_PARAM_get_int(p, &d->mode)) return 0;
    }
    return has_digest;
}
static inline int co_derive(void *own, unsigned char *out, size_t n, const OSSL_PARAM *given) {
    co_derivation d = {.mode = -1};
    (void)own;
    if (!co_take_parameters(given, &d)) return 0;
    if (d.mode == EVP_KDF_HKDF_MODE_EXPAND_ONLY) return co_expand(&d, d.key, d.data, out, n);
    return d.mode == EVP_KDF_HKDF_MODE_EXTRACT_ONLY && co_extract(&d, out, n);
}
/* There is nothing to keep between two derivations, so that all share it. */
static inline void *co_new_derivation(void *provider) { static char nothing; (void)provider; return &nothing; }
static inline void co_end_derivation(void *own) { (void)own; }

static inline const OSSL_ALGORITHM *co_algorithms(void *provider, int operation, int *changes) {
    static const OSSL_DISPATCH functions[] = {
        {OSSL_FUNC_KDF_NEWCTX, (void (*)(void))co_new_derivation}, {OSSL_FUNC_KDF_FREECTX, (void (*)(void))co_end_derivation},
        {OSSL_FUNC_KDF_RESET, (void (*)(void))co_end_derivation}, {OSSL_FUNC_KDF_DERIVE, (void (*)(void))co_derive}, {0, NULL},
    };
    static const OSSL_ALGORITHM all[] = {{"TLS13-KDF", "provider=gateway", functions, NULL}, {NULL, NULL, NULL, NULL}};
    (void)provider;
    *changes = 0;
    return operation == OSSL_OP_KDF ? all : NULL;
}
static inline int co_begin_provider(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **own) {
    static const OSSL_DISPATCH functions[] = {{OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))co_algorithms}, {0, NULL}};
    (void)in;
    *own = (void *)core;
    *out = functions;
    return 1;
}
/* Once for the process. Where the system's settings name providers of their own (FIPS), it stays with those: asking for one
   explicitly would otherwise take OpenSSL's default away, or bring it in. 1: contexts can prefer it. */
static inline int co_provide_derivation(void) {
    int done = OSSL_PROVIDER_available(NULL, "default") && OSSL_PROVIDER_add_builtin(NULL, "gateway", co_begin_provider) == 1
        && OSSL_PROVIDER_load(NULL, "default") && OSSL_PROVIDER_load(NULL, "gateway");
    ERR_clear_error();
    return done;
}
