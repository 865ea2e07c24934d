/* verify.c - what one bare OpenSSL verification of a token's signature costs here, in CPU microseconds.
 *
 *   cc -O2 -o verify verify.c -lcrypto
 *   verify TOKENS_DIR        -> one JSON object
 *
 * The least that any user of OpenSSL pays for a token it has not seen: SHA-256 of the signing input with a digest that
 * was fetched once, and EVP_PKEY_verify on a context that was made once. Nothing is parsed inside the timed loop. The
 * signatures are those of real tokens, many in turn, as a gateway sees them.
 */
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TOKENS = 1000, TOKEN_BYTES_MAX = 4096, SIGNATURE_BYTES_MAX = 512 };

static const double SECONDS = 0.5;    /* of measuring for each algorithm: thousands of verifications */

struct signed_input {
    unsigned char input[TOKEN_BYTES_MAX], signature[SIGNATURE_BYTES_MAX];
    size_t input_length, signature_length;
};

static struct signed_input tokens[TOKENS];

static void fail(const char *what) {
    fprintf(stderr, "verify: %s\n", what);
    exit(1);
}

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static FILE *open_in(const char *folder, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "r");
    if (!f) fail(path);
    return f;
}

static size_t decode_base64url(const char *text, size_t length, unsigned char *out, size_t room) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned bits = 0, have = 0;
    size_t n = 0;
    for (size_t i = 0; i < length; i++) {
        const char *at = memchr(alphabet, text[i], 64);
        if (!at) fail("a token is not base64url");
        bits = bits << 6 | (unsigned)(at - alphabet);
        have += 6;
        if (have < 8) continue;
        have -= 8;
        if (n == room) fail("a signature is too long");
        out[n++] = bits >> have & 0xff;
    }
    return n;
}

/* JWS carries r and s side by side (RFC 7518, 3.4); OpenSSL wants them in DER. */
static void to_der(struct signed_input *t) {
    int half = (int)t->signature_length / 2;
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(t->signature, half, NULL), *s = BN_bin2bn(t->signature + half, half, NULL);
    if (!sig || !r || !s || !ECDSA_SIG_set0(sig, r, s)) fail("an ECDSA signature cannot be read");
    unsigned char *out = t->signature;
    t->signature_length = (size_t)i2d_ECDSA_SIG(sig, &out);
    ECDSA_SIG_free(sig);
}

static int load_tokens(const char *folder, const char *name, int ecdsa) {
    char line[TOKEN_BYTES_MAX];
    FILE *f = open_in(folder, name);
    int n = 0;
    while (n < TOKENS && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        char *dot = strrchr(line, '.');
        if (!dot) fail("a line is no token");
        struct signed_input *t = &tokens[n++];
        t->input_length = (size_t)(dot - line);
        memcpy(t->input, line, t->input_length);
        t->signature_length = decode_base64url(dot + 1, strlen(dot + 1), t->signature, sizeof t->signature);
        if (ecdsa) to_der(t);
    }
    fclose(f);
    if (!n) fail("no tokens");
    return n;
}

static EVP_PKEY *load_key(const char *folder, const char *name) {
    FILE *f = open_in(folder, name);
    EVP_PKEY *key = PEM_read_PUBKEY(f, NULL, NULL, NULL);
    fclose(f);
    if (!key) fail("a public key cannot be read");
    return key;
}

static double time_prehashed(EVP_PKEY *key, int count) {
    EVP_MD *sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    if (!sha256 || !digest || !context || EVP_PKEY_verify_init(context) != 1
        || EVP_PKEY_CTX_set_signature_md(context, sha256) != 1) fail("OpenSSL refuses the key");
    double begun = cpu_seconds(), spent;
    long done = 0;
    do {
        for (int i = 0; i < 50; i++, done++) {
            const struct signed_input *t = &tokens[done % count];
            unsigned char hash[32];
            EVP_DigestInit_ex2(digest, sha256, NULL);
            EVP_DigestUpdate(digest, t->input, t->input_length);
            EVP_DigestFinal_ex(digest, hash, NULL);
            if (EVP_PKEY_verify(context, t->signature, t->signature_length, hash, sizeof hash) != 1)
                fail("a good signature was refused");
        }
        spent = cpu_seconds() - begun;
    } while (spent < SECONDS);
    EVP_PKEY_CTX_free(context);
    EVP_MD_CTX_free(digest);
    EVP_MD_free(sha256);
    return spent * 1e6 / done;
}

/* Ed25519 hashes inside (RFC 8032): the one-shot call is all there is. */
static double time_one_shot(EVP_PKEY *key, int count) {
    double begun = cpu_seconds(), spent;
    long done = 0;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    do {
        for (int i = 0; i < 10; i++, done++) {
            const struct signed_input *t = &tokens[done % count];
            EVP_MD_CTX_reset(context);
            if (EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) != 1
                || EVP_DigestVerify(context, t->signature, t->signature_length, t->input, t->input_length) != 1)
                fail("a good signature was refused");
        }
        spent = cpu_seconds() - begun;
    } while (spent < SECONDS);
    EVP_MD_CTX_free(context);
    return spent * 1e6 / done;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: verify TOKENS_DIR\n");
        return 2;
    }
    const char *folder = argv[1];
    EVP_PKEY *rsa = load_key(folder, "rsa.pub.pem"), *ec = load_key(folder, "ec.pub.pem");
    EVP_PKEY *ed = load_key(folder, "ed25519.pub.pem");
    double rs256 = time_prehashed(rsa, load_tokens(folder, "rs256.txt", 0));
    double es256 = time_prehashed(ec, load_tokens(folder, "es256.txt", 1));
    double eddsa = time_one_shot(ed, load_tokens(folder, "eddsa.txt", 0));
    printf("{\"rs256_us\": %.3f, \"es256_us\": %.3f, \"eddsa_us\": %.3f}\n", rs256, es256, eddsa);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(ec);
    EVP_PKEY_free(ed);
    return 0;
}
