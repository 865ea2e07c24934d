// hiredis as a reader of replies alone: its connections are not used.
#pragma once
#include <hiredis/hiredis.h>
#include <stdlib.h>

/* The largest list in a reply that is read: a server's word for how many elements come is not worth memory. */
enum { CH_ELEMENTS = 64 };

typedef struct {
    redisReplyObjectFunctions limited;
    redisReplyObjectFunctions *usual;
} ch_functions;

static void *ch_array(const redisReadTask *task, int elements) {
    return elements > CH_ELEMENTS ? NULL : ((ch_functions *)task->privdata)->usual->createArray(task, elements);
}
/* A reader with memory for its own functions; freed by ch_free. */
static inline redisReader *ch_reader(void) {
    redisReader *r = redisReaderCreate();
    ch_functions *f = malloc(sizeof *f);
    if (!r || !f) { if (r) redisReaderFree(r); free(f); return NULL; }
    f->usual = r->fn;
    f->limited = *r->fn;
    f->limited.createArray = ch_array;
    r->fn = &f->limited;
    r->privdata = f;
    return r;
}
static inline void ch_free(redisReader *r) {
    ch_functions *f = r->privdata;
    redisReaderFree(r);
    free(f);
}
/* Bytes that were fed and belong to no whole reply yet. */
static inline size_t ch_pending(const redisReader *r) { return r->len - r->pos; }
