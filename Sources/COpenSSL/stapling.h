/* OCSP responses from files (RFC 6960): whether one speaks of a certificate, and how long it holds. */
#pragma once
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <time.h>

/* Of this certificate: the same number, from an issuer of the same name; the signature tells the issuer's key. */
static inline int co_speaks_of(const OCSP_CERTID *id, X509 *leaf) {
    ASN1_OCTET_STRING *name = NULL;
    ASN1_OBJECT *digest = NULL;
    ASN1_INTEGER *serial = NULL;
    unsigned char own[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    OCSP_id_get0_info(&name, &digest, NULL, &serial, (OCSP_CERTID *)id);
    const EVP_MD *md = EVP_get_digestbyobj(digest);
    return md && !ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(leaf))
        && X509_NAME_digest(X509_get_issuer_name(leaf), md, own, &n) == 1
        && (int)n == ASN1_STRING_length(name) && !memcmp(own, ASN1_STRING_get0_data(name), n);
}
/* Signed by the certificate's issuer, or by somebody whom that issuer has signed for it (RFC 6960 section 4.2.2.2). */
static inline int co_is_signed(OCSP_BASICRESP *b, STACK_OF(X509) *chain, X509 *issuer) {
    X509 *signer = NULL;
    if (OCSP_basic_verify(b, chain, NULL, OCSP_NOVERIFY) <= 0 || !OCSP_resp_get0_signer(b, &signer, chain)) return 0;
    if (!X509_cmp(signer, issuer)) return 1;
    return (X509_get_extended_key_usage(signer) & XKU_OCSP_SIGN) && X509_get_extended_key_usage(signer) != UINT32_MAX
        && X509_verify(signer, X509_get0_pubkey(issuer)) == 1;
}
static inline int64_t co_end_of(const ASN1_GENERALIZEDTIME *next) {
    int days = 0, seconds = 0;
    if (!next || !ASN1_TIME_diff(&days, &seconds, NULL, next)) return INT64_MAX;
    return (int64_t)time(NULL) + (int64_t)days * 86400 + seconds;
}
/* 1: the response (DER) says that the first certificate of the chain is good, until *end in seconds since 1970. 0: it speaks
   of other certificates. -1: it is no response, -2: its signature is not good, -3: its time is over or yet to come, -4: the
   certificate is revoked, -5: nothing is known of it. */
static inline int co_read_staple(STACK_OF(X509) *chain, const void *p, int n, int64_t *end) {
    const unsigned char *at = p;
    OCSP_RESPONSE *r = d2i_OCSP_RESPONSE(NULL, &at, n);
    OCSP_BASICRESP *b = r && OCSP_response_status(r) == OCSP_RESPONSE_STATUS_SUCCESSFUL ? OCSP_response_get1_basic(r) : NULL;
    X509 *issuer = sk_X509_num(chain) > 1 ? sk_X509_value(chain, 1) : NULL;
    int result = b && at == (const unsigned char *)p + n ? 0 : -1;
    for (int i = 0; !result && i < OCSP_resp_count(b); i++) {
        OCSP_SINGLERESP *one = OCSP_resp_get0(b, i);
        if (!co_speaks_of(OCSP_SINGLERESP_get0_id(one), sk_X509_value(chain, 0))) continue;
        ASN1_GENERALIZEDTIME *from = NULL, *until = NULL;
        int status = OCSP_single_get0_status(one, NULL, NULL, &from, &until);
        result = status == V_OCSP_CERTSTATUS_REVOKED ? -4 : status != V_OCSP_CERTSTATUS_GOOD ? -5
            : OCSP_check_validity(from, until, 300, -1) != 1 || co_end_of(until) <= (int64_t)time(NULL) ? -3 : 1;
        *end = co_end_of(until);
    }
    if (result == 1 && issuer && !co_is_signed(b, chain, issuer)) result = -2;
    OCSP_BASICRESP_free(b);
    OCSP_RESPONSE_free(r);
    ERR_clear_error();
    return result;
}
