/* requests.c - the requests that are sent: ten fields as an app on a phone sends them, with a token from a file. */
#define _GNU_SOURCE
#include "frames.h"
#include "load.h"

#include <stdlib.h>
#include <string.h>

enum { TOKEN_BYTES_MAX = 8192 };

struct list {
    struct request *all;
    long count, next;
};
static struct list good, flood;
static struct request opening;
static nghttp2_hd_deflater *deflater;

/* The same fields, compressed. The token is never put into the table (RFC 7541 section 7.1.3), so all blocks but the first
 * need the same table, whichever connection sends them. */
static struct request compress(const char *token) {
    char bearer[TOKEN_BYTES_MAX + 64];
    nghttp2_nv fields[] = {
        field(":method", "GET"), field(":scheme", options.tls ? "https" : "http"),
        field(":authority", "api.example.com"), field(":path", options.path), field("user-agent", "okhttp/4.12.0"),
        field("accept", "application/json"), field("accept-language", "en-GB,en;q=0.8"),
        field("accept-encoding", "gzip"), field("x-request-id", "5f0c7a52-8d0e-4a55-9f0e-0b6f2c9d7a11"),
        field("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        field("x-client-version", "5.14.2"), field("cache-control", "no-cache"), { 0 },
    };
    size_t count = sizeof fields / sizeof *fields - 1;
    if (token) {
        snprintf(bearer, sizeof bearer, "Bearer %s", token);
        fields[count++] = field("authorization", bearer);
    }
    struct block block = block_make(deflater, fields, count);
    return (struct request){ block.bytes, block.length };
}

static void add(struct list *list, const char *token) {
    if (options.streams) {
        if (!opening.bytes) {
            deflater = deflater_make();
            opening = compress(token);
        }
        list->all[list->count++] = compress(token);
        return;
    }
    char field[TOKEN_BYTES_MAX + 64] = "";
    if (token) snprintf(field, sizeof field, "Authorization: Bearer %s\r\n", token);
    struct request *r = &list->all[list->count++];
    int n = asprintf(&r->bytes,
                     "GET %s HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: okhttp/4.12.0\r\n"
                     "Accept: application/json\r\nAccept-Language: en-GB,en;q=0.8\r\nAccept-Encoding: gzip\r\n%s"
                     "X-Request-Id: 5f0c7a52-8d0e-4a55-9f0e-0b6f2c9d7a11\r\n"
                     "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n"
                     "X-Client-Version: 5.14.2\r\nCache-Control: no-cache\r\n\r\n",
                     options.path, field);
    if (n < 0) die("memory");
    r->length = (size_t)n;
}

/* Another signature of the same length, and of about the same value, so that checking it is the whole work. */
static void break_signature(char *token) {
    char *signature = strrchr(token, '.');
    if (!signature || strlen(signature) < 40) {
        fprintf(stderr, "load: a token without a signature\n");
        exit(1);
    }
    signature[20] = signature[20] == 'A' ? 'B' : 'A';
    signature[30] = signature[30] == 'a' ? 'b' : 'a';
}

static void read_tokens(struct list *list, const char *file, long wanted, void (*change)(char *)) {
    FILE *f = fopen(file, "r");
    if (!f) die(file);
    char line[TOKEN_BYTES_MAX];
    while (list->count < wanted && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        if (change) change(line);
        add(list, line);
    }
    fclose(f);
    if (list->count < wanted) {
        fprintf(stderr, "load: %s has only %ld tokens\n", file, list->count);
        exit(1);
    }
}

static void make_room(struct list *list, long count) {
    list->all = calloc((size_t)count, sizeof *list->all);
    if (!list->all) die("memory");
}

/* All requests are built before the first is sent: the generator shares a core with the origin. */
void requests_load(void) {
    make_room(&good, options.tokens);
    if (options.token_file) read_tokens(&good, options.token_file, options.tokens, NULL);
    else add(&good, NULL);
    if (!options.flood_rate) return;
    make_room(&flood, options.flood_tokens);
    read_tokens(&flood, options.flood_file, options.flood_tokens, break_signature);
}

const struct request *request_next(void) {
    if (good.next == good.count) {
        if (options.mode == MODE_ONCE) return NULL;
        good.next = 0;
    }
    return &good.all[good.next++];
}

const struct request *flood_next(void) {
    return flood.next == flood.count ? NULL : &flood.all[flood.next++];
}

const struct request *request_opening(void) { return &opening; }

size_t request_length(void) { return good.count ? good.all[0].length : 0; }
