/* TLS to the servers that requests go to. Each function leaves the error queue empty. */
#pragma once
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>

/* What is offered: versions, and one protocol by ALPN (RFC 7301); for HTTP/2 none of the ciphers that it forbids
   (RFC 9113 section 9.2.2). */
static inline void co_upstream_defaults(SSL_CTX *c, int verify, int tls12, int tls13, int frames) {
    static const unsigned char h2[] = "\x02h2", http11[] = "\x08http/1.1";
    if (!verify) SSL_CTX_set_verify(c, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_min_proto_version(c, tls12 ? TLS1_2_VERSION : TLS1_3_VERSION);
    SSL_CTX_set_max_proto_version(c, tls13 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_read_ahead(c, 1);                     /* one read for header and body of a record */
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    if (frames) SSL_CTX_set_cipher_list(c, "ECDHE+AESGCM:ECDHE+CHACHA20");
    if (frames) SSL_CTX_set_alpn_protos(c, h2, sizeof h2 - 1);
    else SSL_CTX_set_alpn_protos(c, http11, sizeof http11 - 1);
}
/* Why a handshake failed, in words. 1: because of the server's certificate; -1: it had not begun. */
static inline int co_handshake_failure(SSL *s, char *out, size_t n) {
    if (SSL_in_before(s)) return -1;
    unsigned long e = (unsigned long)SSL_get_app_data(s);
    long verified = SSL_get_verify_result(s);
    int untrusted = verified != X509_V_OK && SSL_get_verify_mode(s) & SSL_VERIFY_PEER;
    const char *r = untrusted ? X509_verify_cert_error_string(verified) : e ? ERR_reason_error_string(e) : NULL;
    if (!r) r = SSL_is_init_finished(s) ? "the server chose none of the protocols that were offered" : "the connection ended";
    snprintf(out, n, "%s", r);
    return untrusted;
}
/* The session, if another connection may go on with it: whoever asks frees it. */
static inline SSL_SESSION *co_take_session(SSL *s) {
    SSL_SESSION *x = SSL_get0_session(s);
    return x && SSL_SESSION_is_resumable(x) ? SSL_get1_session(s) : NULL;
}
