// Certificates of clients: whom they may come from, and what they say. Each function leaves the error queue empty.
#pragma once
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <arpa/inet.h>
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
/* Clients are asked for a certificate of one of these authorities (PEM). Authorities taken; -1: the PEM is damaged. */
static inline int co_verify_clients(SSL_CTX *c, const void *p, int n, int depth, int required) {
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
    SSL_CTX_set_verify_depth(c, depth);
    return co_add_authorities(c, p, n, 1);
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
/* ---- all names of a certificate ---- */

/* Where records go: a letter, two bytes of length, the name. */
typedef struct { uint8_t *out; size_t room, used; int overflows; } co_names;

static inline void co_add_name(co_names *to, char letter, const void *p, size_t n) {
    const uint8_t *bytes = p;
    for (size_t i = 0; i < n; i++) if (!bytes[i]) return;   /* as in co_copy_text() */
    if (!n) return;
    if (n > 0xffff || to->room - to->used < n + 3) { to->overflows = 1; return; }
    uint8_t *at = to->out + to->used;
    at[0] = (uint8_t)letter; at[1] = (uint8_t)(n >> 8); at[2] = (uint8_t)n;
    memcpy(at + 3, p, n);
    to->used += n + 3;
}
static inline void co_add_distinguished(co_names *to, char letter, const X509_NAME *name, unsigned long escapes) {
    BIO *b = BIO_new(BIO_s_mem());
    char *p = NULL;
    if (b && X509_NAME_print_ex(b, name, 0, (XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) | escapes) >= 0) {
        size_t n = (size_t)BIO_get_mem_data(b, &p);
        co_add_name(to, letter, p, n);
    }
    BIO_free(b);
}
static inline void co_add_serial(co_names *to, const X509 *x) {
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
    char *text = number ? BN_bn2hex(number) : NULL;
    if (text) co_add_name(to, 's', text, strlen(text));
    OPENSSL_free(text);
    BN_free(number);
}
static inline void co_add_address(co_names *to, const ASN1_OCTET_STRING *address) {
    char text[INET6_ADDRSTRLEN];
    int n = ASN1_STRING_length(address);
    if (n != 4 && n != 16) return;
    if (inet_ntop(n == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(address), text, sizeof text)) co_add_name(to, 'I', text, strlen(text));
}
static inline void co_add_alternatives(co_names *to, const X509 *x) {
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
        char letter = g->type == GEN_DNS ? 'D' : g->type == GEN_URI ? 'U' : g->type == GEN_EMAIL ? 'E' : 0;
        if (g->type == GEN_IPADD) co_add_address(to, g->d.iPAddress);
        if (!letter) continue;
        const uint8_t *p = ASN1_STRING_get0_data(g->d.ia5);
        int n = ASN1_STRING_length(g->d.ia5), i5 = 0;
        while (i5 < n && p[i5] > 0x20 && p[i5] < 0x7f) i5++;
        if (i5 == n) co_add_name(to, letter, p, (size_t)n);   /* anything else is no such name (RFC 5280 section 4.2.1.6) */
    }
    GENERAL_NAMES_free(names);
}
/* Subject (d) with its common name (c), issuer (i), number (s), alternative names: host (D), URI (U), mail (E), address (I).
   Bytes written; 0 when the peer has no certificate or its names do not fit. */
static inline size_t co_peer_names(SSL *s, uint8_t *out, size_t room) {
    X509 *x = co_peer(s);
    co_names to = {out, room, 0, 0};
    uint8_t common[1024];
    if (!x) return 0;
    co_add_distinguished(&to, 'd', X509_get_subject_name(x), 0);
    co_add_name(&to, 'c', common, co_common_name(x, common, sizeof common));
    co_add_distinguished(&to, 'i', X509_get_issuer_name(x), 0);
    co_add_serial(&to, x);
    co_add_alternatives(&to, x);
    ERR_clear_error();
    return to.overflows ? 0 : to.used;
}

/* ---- single facts, for logs and fields ---- */

static inline size_t co_put(const char *text, uint8_t *out, size_t room) { return co_copy_text(text, strlen(text), out, room); }
/* The host that the client has named, if it could be one. */
static inline size_t co_named_host(SSL *s, uint8_t *out, size_t room) {
    const char *name = SSL_get_servername(s, TLSEXT_NAMETYPE_host_name);
    if (!name) return 0;
    return name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._")] ? 0 : co_put(name, out, room);
}
/* 0: the subject of the client's certificate, 1: its issuer, 2: its number, 3: whether it has one, 4: the host that it has
   named, 5: whether the session was resumed. Bytes written. */
static inline size_t co_fact(SSL *s, int which, uint8_t *out, size_t room) {
    X509 *x = which < 4 ? co_peer(s) : NULL;
    uint8_t record[2048];
    co_names to = {record, sizeof record, 0, 0};
    if (which == 3) return co_put(x ? "SUCCESS" : "NONE", out, room);
    if (which == 4) return co_named_host(s, out, room);
    if (which == 5) return co_put(SSL_session_reused(s) ? "r" : ".", out, room);
    if (!x) return 0;
    if (which == 2) co_add_serial(&to, x);
    else co_add_distinguished(&to, 'd', which ? X509_get_issuer_name(x) : X509_get_subject_name(x), ASN1_STRFLGS_ESC_MSB);
    ERR_clear_error();
    return to.used > 3 ? co_copy_text(record + 3, to.used - 3, out, room) : 0;
}

/* 0: alternative name, 1: common name, 2: the whole subject. Bytes written; 0 when there is none or it does not fit. */
static inline size_t co_peer_name(SSL *s, int which, uint8_t *out, size_t room) {
    X509 *x = co_peer(s);
    size_t n = !x ? 0 : which == 0 ? co_alternative_name(x, out, room) : which == 1 ? co_common_name(x, out, room)
                    : co_distinguished_name(x, out, room);
    ERR_clear_error();
    return n;
}
