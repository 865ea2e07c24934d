/* requests.c - the requests that are sent: ten fields as an app on a phone sends them, with a token from a file. */
#define _GNU_SOURCE
#include "load.h"

#include <stdlib.h>
#include <string.h>

enum { TOKEN_BYTES_MAX = 8192 };

static struct request *requests;
static long count, next;

static void add(const char *token) {
    char field[TOKEN_BYTES_MAX + 64] = "";
    if (token) snprintf(field, sizeof field, "Authorization: Bearer %s\r\n", token);
    struct request *r = &requests[count++];
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

/* All requests are built before the first is sent: the generator shares a core with the origin. */
void requests_load(void) {
    requests = calloc((size_t)options.tokens, sizeof *requests);
    if (!requests) die("memory");
    if (!options.token_file) {
        add(NULL);
        return;
    }
    FILE *f = fopen(options.token_file, "r");
    if (!f) die(options.token_file);
    char line[TOKEN_BYTES_MAX];
    while (count < options.tokens && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        add(line);
    }
    fclose(f);
    if (count < options.tokens) {
        fprintf(stderr, "load: %s has only %ld tokens\n", options.token_file, count);
        exit(1);
    }
}

const struct request *request_next(void) {
    if (next == count) {
        if (options.mode == MODE_ONCE) return NULL;
        next = 0;
    }
    return &requests[next++];
}

size_t request_length(void) { return count ? requests[0].length : 0; }
