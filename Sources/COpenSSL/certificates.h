// Certificates of clients: whom they may come from, and what they say. Each function leaves the error queue empty.
#pragma once
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

/* Authorities (PEM) that the context trusts from here on, and names to clients if told so. How many; -1: the PEM is damaged. */
static inline int co_add_authorities(SSL_CTX *c, const void *p, int n, int named) {
    BIO *b = BIO_new_mem_buf(p, n);
    X509_STORE *store = SSL_CTX_get_cert_store(c);
    X509 *x;
    int count = 0;
    while (b && count >= 0 && (x = PEM_read_bio_X509(b, NULL, NULL, NULL))) {
        count = X509_STORE_add_cert(store, x) == 1 && (!named || SSL_CTX_add_client_CA(c, x) == 1) ? count + 1 : -1;
        X509_free(x);
    }
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) count = -1;
    BIO_free(b);
    ERR_clear_error();
    return count;
}
/* Servers are believed by these authorities (PEM) and by no others. How many; -1: the PEM is damaged. */
static inline int co_trust_only(SSL_CTX *c, const void *p, int n) {
    X509_STORE *store = X509_STORE_new();
    if (!store) return -1;
    SSL_CTX_set_cert_store(c, store);
    return co_add_authorities(c, p, n, 0);
}
/* Clients are asked for a certificate of one of these authorities (PEM). The 32 bytes of `id` tell contexts apart that
   trust others: a session is resumed only where it would have been made. Authorities taken; -1: the PEM is damaged. */
static inline int co_verify_clients(SSL_CTX *c, const void *p, int n, int depth, int required, const uint8_t *id) {
    int count = co_add_authorities(c, p, n, 1);
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
    SSL_CTX_set_verify_depth(c, depth);
    if (SSL_CTX_set_session_id_context(c, id, 32) != 1) count = -1;
    return count;
}

/* The certificate that the peer proved to have; the session owns it. */
static inline X509 *co_peer(SSL *s) {
    return SSL_get_verify_result(s) == X509_V_OK ? SSL_get0_peer_certificate(s) : NULL;
}
static inline int co_peer_digest(SSL *s, uint8_t *out) {
    X509 *x = co_peer(s);
    unsigned n = 0;
    int ok = x && X509_digest(x, EVP_sha256(), out, &n) == 1 && n == 32;
    ERR_clear_error();
    return ok;
}

static inline size_t co_copy_text(const void *p, size_t n, uint8_t *out, size_t room) {
    if (!n || n > room || memchr(p, 0, n)) return 0;      /* a zero inside is there to end the name for somebody else */
    memcpy(out, p, n);
    return n;
}
/* The first of the alternative names that is a URI, a host name or a mail address (RFC 5280 section 4.2.1.6). */
static inline size_t co_alternative_name(X509 *x, uint8_t *out, size_t room) {
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    size_t n = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && !n; i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
        if (g->type != GEN_URI && g->type != GEN_DNS && g->type != GEN_EMAIL) continue;
        n = co_copy_text(ASN1_STRING_get0_data(g->d.ia5), (size_t)ASN1_STRING_length(g->d.ia5), out, room);
        break;
    }
    GENERAL_NAMES_free(names);
    return n;
}
/* The common name, if there is exactly one: who has two could be either. */
static inline size_t co_common_name(X509 *x, uint8_t *out, size_t room) {
    X509_NAME *name = X509_get_subject_name(x);
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    if (at < 0 || X509_NAME_get_index_by_NID(name, NID_commonName, at) >= 0) return 0;
    unsigned char *text = NULL;
    int n = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    size_t copied = n > 0 ? co_copy_text(text, (size_t)n, out, room) : 0;
    OPENSSL_free(text);
    return copied;
}
/* The whole subject as RFC 4514 writes it, in UTF-8. */
static inline size_t co_distinguished_name(X509 *x, uint8_t *out, size_t room) {
    BIO *b = BIO_new(BIO_s_mem());
    char *p = NULL;
    size_t n = 0;
    if (b && X509_NAME_print_ex(b, X509_get_subject_name(x), 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0)
        n = (size_t)BIO_get_mem_data(b, &p);
    n = n ? co_copy_text(p, n, out, room) : 0;
    BIO_free(b);
    return n;
}
/* 0: alternative name, 1: common name, 2: the whole subject. Bytes written; 0 when there is none or it does not fit. */
static inline size_t co_peer_name(SSL *s, int which, uint8_t *out, size_t room) {
    X509 *x = co_peer(s);
    size_t n = !x ? 0 : which == 0 ? co_alternative_name(x, out, room) : which == 1 ? co_common_name(x, out, room)
                    : co_distinguished_name(x, out, room);
    ERR_clear_error();
    return n;
}
