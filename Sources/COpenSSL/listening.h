/* What a listener's TLS settings need beside OpenSSL's own, and the functions that OpenSSL calls for them: they read plain
   data that the SSL_CTX owns, and do nothing else. */
#pragma once
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* Seals tickets: what it is called in them, and the keys of cipher and MAC. */
typedef struct { unsigned char name[16], cipher[32], mac[32]; } co_ticket_key;
/* A proof that a certificate is not revoked, and until when it is one. */
typedef struct { const X509 *certificate; unsigned char *response; int length; int64_t until; } co_staple;

typedef struct {
    co_ticket_key keys[2];                            /* the first seals, both open */
    int key_count;
    EVP_CIPHER *cipher;                               /* fetched once: by its name it costs as much as the sealing */
    co_staple staples[4];
    int staple_count;
    int key_log;                                      /* descriptor; -1: secrets are told to nobody */
    char curves[128];
} co_listening;

static inline co_listening *co_listening_of(const SSL *s) { return SSL_CTX_get_app_data(SSL_get_SSL_CTX(s)); }
static inline void co_free_listening(void *parent, void *p, CRYPTO_EX_DATA *d, int i, long l, void *a) {
    (void)parent; (void)d; (void)i; (void)l; (void)a;
    co_listening *own = p;
    if (!own) return;
    for (int k = 0; k < own->staple_count; k++) OPENSSL_free(own->staples[k].response);
    if (own->key_log >= 0) close(own->key_log);
    EVP_CIPHER_free(own->cipher);
    OPENSSL_clear_free(own, sizeof *own);
}
/* Under this number an SSL_CTX owns its co_listening; asked for once. */
static inline int co_listening_slot(void) { return SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, co_free_listening); }
static inline co_listening *co_add_listening(SSL_CTX *c, int slot) {
    co_listening *own = OPENSSL_zalloc(sizeof *own);
    if (!own) return NULL;
    own->key_log = -1;
    if (!SSL_CTX_set_ex_data(c, slot, own)) { OPENSSL_free(own); return NULL; }
    SSL_CTX_set_app_data(c, own);
    return own;
}

/* ---- Session tickets ---- */

/* Keys of 80 bytes each, the newest first. */
static inline void co_set_ticket_keys(SSL_CTX *c, const void *p, size_t n) {
    co_listening *own = SSL_CTX_get_app_data(c);
    own->key_count = (int)(n / sizeof *own->keys);
    if (own->key_count > 2) own->key_count = 2;
    memcpy(own->keys, p, sizeof *own->keys * (size_t)own->key_count);
}
static inline int co_use_ticket_key(co_listening *own, const co_ticket_key *k, const unsigned char *iv, EVP_CIPHER_CTX *c, EVP_MAC_CTX *m, int seals) {
    OSSL_PARAM with[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)k->mac, sizeof k->mac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0), OSSL_PARAM_construct_end(),
    };
    if (!own->cipher) own->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    return own->cipher && EVP_CipherInit_ex(c, own->cipher, NULL, k->cipher, iv, seals) == 1 && EVP_MAC_CTX_set_params(m, with) == 1;
}
/* RFC 5077 section 4, as SSL_CTX_set_tlsext_ticket_key_evp_cb() wants it: 0: no key, no ticket; 2: opened, and a new one is
   due, always in TLS 1.3, where a ticket that is used once tells nobody who its owner is. */
static inline int co_ticket_key_for(SSL *s, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *c, EVP_MAC_CTX *m, int seals) {
    co_listening *own = co_listening_of(s);
    int i = 0;
    if (seals) {
        if (!own->key_count || RAND_bytes(iv, 16) != 1) return 0;
        memcpy(name, own->keys[0].name, 16);
        return co_use_ticket_key(own, own->keys, iv, c, m, 1) ? 1 : -1;
    }
    while (i < own->key_count && memcmp(name, own->keys[i].name, 16)) i++;
    if (i == own->key_count) return 0;
    if (!co_use_ticket_key(own, own->keys + i, iv, c, m, 0)) return -1;
    return i == 0 && SSL_version(s) != TLS1_3_VERSION ? 1 : 2;
}

/* A ticket outlives nobody: a client whose certificate has expired since begins anew, and shows one that has not. */
static inline SSL_TICKET_RETURN co_judge_ticket(SSL *s, SSL_SESSION *x, const unsigned char *name, size_t n, SSL_TICKET_STATUS opened, void *u) {
    (void)s; (void)name; (void)n; (void)u;
    X509 *client = x ? SSL_SESSION_get0_peer(x) : NULL;
    if (client && X509_cmp_current_time(X509_get0_notAfter(client)) < 0) return SSL_TICKET_RETURN_IGNORE_RENEW;
    return opened == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE
        : opened == SSL_TICKET_SUCCESS_RENEW ? SSL_TICKET_RETURN_USE_RENEW : SSL_TICKET_RETURN_IGNORE_RENEW;
}

/* ---- OCSP (RFC 6066 section 8) ---- */

static inline int co_add_staple(SSL_CTX *c, const X509 *certificate, const void *p, int n, int64_t until) {
    co_listening *own = SSL_CTX_get_app_data(c);
    unsigned char *copy = own->staple_count < 4 ? OPENSSL_memdup(p, (size_t)n) : NULL;
    if (!copy) return 0;
    own->staples[own->staple_count++] = (co_staple){certificate, copy, n, until};
    return 1;
}
/* One that is no longer valid is worse than none: clients would end the handshake. */
static inline int co_give_staple(SSL *s, void *u) {
    (void)u;
    const co_listening *own = co_listening_of(s);
    const X509 *shown = SSL_get_certificate(s);
    for (int i = 0; i < own->staple_count; i++) {
        const co_staple *found = own->staples + i;
        if (found->certificate != shown || found->until <= (int64_t)time(NULL)) continue;
        unsigned char *copy = OPENSSL_memdup(found->response, (size_t)found->length);
        if (!copy) break;
        SSL_set_tlsext_status_ocsp_resp(s, copy, found->length);
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_NOACK;
}

/* ---- Secrets of sessions, for debugging (the NSS key log format) ---- */

static inline void co_log_key(const SSL *s, const char *line) {
    const co_listening *own = co_listening_of(s);
    struct iovec parts[] = {{(void *)line, strlen(line)}, {(void *)"\n", 1}};
    if (own->key_log >= 0 && writev(own->key_log, parts, 2) < 0) { /* who reads it misses a line */ }
}
/* A file that nobody else can read, and that is our own: its descriptor, or -errno. */
static inline int co_open_key_log(const char *path) {
    struct stat about;
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0) return -errno;
    int error = fstat(fd, &about) ? errno : !S_ISREG(about.st_mode) || about.st_uid != geteuid() ? EPERM : 0;
    if (!error && fchmod(fd, 0600)) error = errno;
    if (!error) return fd;
    close(fd);
    return -error;
}
static inline void co_log_keys(SSL_CTX *c, int descriptor) {
    ((co_listening *)SSL_CTX_get_app_data(c))->key_log = descriptor;
    SSL_CTX_set_keylog_callback(c, co_log_key);
}

/* ---- Settings ---- */

/* Sessions are resumed only under settings that say the same about who is who: these bytes, of any number, tell them apart. */
static inline int co_tell_apart(SSL_CTX *c, const void *p, size_t n) {
    unsigned char id[32];
    co_sha256(p, n, id);
    return SSL_CTX_set_session_id_context(c, id, sizeof id) == 1;
}
/* 1: done; 0: out of memory; -1: the ciphers, -2: the curves say nothing to OpenSSL. */
static inline int co_server_defaults(SSL_CTX *c, int slot, int tls12, int tls13, const char *ciphers, const char *curves) {
    co_listening *own = co_add_listening(c, slot);
    if (!own) return 0;
    strncpy(own->curves, curves, sizeof own->curves - 1);
    SSL_CTX_set_min_proto_version(c, tls12 ? TLS1_2_VERSION : TLS1_3_VERSION);
    SSL_CTX_set_max_proto_version(c, tls13 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_mode(c, SSL_MODE_NO_AUTO_CHAIN);      /* what the file says is shown; no chain is looked for each time */
    SSL_CTX_set_read_ahead(c, 1);                     /* one read for header and body of a record */
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(c, 1);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(c, co_ticket_key_for);
    SSL_CTX_set_session_ticket_cb(c, NULL, co_judge_ticket, NULL);
    SSL_CTX_set_tlsext_status_cb(c, co_give_staple);
    SSL_CTX_set_alpn_select_cb(c, co_select_alpn, NULL);
    return SSL_CTX_set_cipher_list(c, ciphers) != 1 ? -1 : SSL_CTX_set1_groups_list(c, own->curves) != 1 ? -2 : 1;
}
static inline void co_use_no_tickets(SSL_CTX *c) {
    SSL_CTX_set_num_tickets(c, 0);
    SSL_CTX_set_options(c, SSL_OP_NO_TICKET);
}
/* The first cipher that is not fit to be offered: without forward secrecy, or without authenticated encryption (RFC 9325
   section 4.2, and what RFC 9113 appendix A forbids for HTTP/2). NULL: all are fit. */
static inline const char *co_unfit_cipher(const SSL_CTX *c) {
    const STACK_OF(SSL_CIPHER) *all = SSL_CTX_get_ciphers(c);
    for (int i = 0; i < sk_SSL_CIPHER_num(all); i++) {
        const SSL_CIPHER *one = sk_SSL_CIPHER_value(all, i);
        int exchange = SSL_CIPHER_get_kx_nid(one), signs = SSL_CIPHER_get_auth_nid(one);
        if (exchange == NID_kx_any) continue;         /* TLS 1.3 */
        if (exchange != NID_kx_ecdhe || (signs != NID_auth_rsa && signs != NID_auth_ecdsa) || !SSL_CIPHER_is_aead(one)
            || SSL_CIPHER_get_bits(one, NULL) < 128) return SSL_CIPHER_get_name(one);
    }
    return NULL;
}

/* ---- Several servers on one listener (RFC 6066 section 3) ---- */

/* Halts the handshake before anything is chosen; the second time it goes on. */
static inline int co_halt_once(SSL *s, int *alert, void *u) {
    (void)alert; (void)u;
    return SSL_get_app_data(s) ? SSL_CLIENT_HELLO_SUCCESS : SSL_CLIENT_HELLO_RETRY;
}
static inline int co_is_halted(const SSL *s) { return SSL_want_client_hello_cb(s) && !SSL_get_app_data(s); }
static inline void co_halt_for_name(SSL_CTX *c) { SSL_CTX_set_client_hello_cb(c, co_halt_once, NULL); }
/* Of a handshake that halts: the host that the client asks for, and its length; 0: it names none, or not as one should. */
static inline size_t co_requested_name(SSL *s, const unsigned char **name) {
    const unsigned char *p = NULL;
    size_t n = 0;
    if (SSL_client_hello_get0_ext(s, TLSEXT_TYPE_server_name, &p, &n) != 1 || n < 6) return 0;
    size_t list = (size_t)p[0] << 8 | p[1], length = (size_t)p[3] << 8 | p[4];
    if (list != n - 2 || p[2] != TLSEXT_NAMETYPE_host_name || length != n - 5 || length > TLSEXT_MAXLEN_host_name) return 0;
    *name = p + 5;
    return memchr(p + 5, 0, length) ? 0 : length;
}
/* Goes on under other settings than it began with. OpenSSL takes the certificates from them and keeps the rest, which is
   therefore set again: whom clients must be, versions, tickets, curves. */
static inline int co_adopt(SSL *s, SSL_CTX *c) {
    SSL_set_app_data(s, s);
    if (SSL_get_SSL_CTX(s) == c) return 1;
    if (!SSL_set_SSL_CTX(s, c)) return 0;
    SSL_set_verify(s, SSL_CTX_get_verify_mode(c), NULL);
    SSL_set_verify_depth(s, SSL_CTX_get_verify_depth(c));
    SSL_clear_options(s, SSL_get_options(s) & ~SSL_CTX_get_options(c));
    SSL_set_options(s, SSL_CTX_get_options(c));
    SSL_set_num_tickets(s, SSL_CTX_get_num_tickets(c));
    return SSL_set_min_proto_version(s, SSL_CTX_get_min_proto_version(c)) == 1
        && SSL_set_max_proto_version(s, SSL_CTX_get_max_proto_version(c)) == 1
        && SSL_set1_groups_list(s, co_listening_of(s)->curves) == 1;
}
