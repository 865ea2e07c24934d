// hiredis as a reader of replies alone: its connections are not used.
#pragma once
#include <hiredis/hiredis.h>
#include <stdlib.h>

typedef struct {
    redisReplyObjectFunctions limited;
    redisReplyObjectFunctions *usual;
    int elements;
} ch_functions;

static void *ch_array(const redisReadTask *task, int elements) {
    const ch_functions *f = task->privdata;
    return elements > f->elements ? NULL : f->usual->createArray(task, elements);
}
/* A reader with memory for its own functions; freed by ch_free. `elements` is the largest list in a reply that is read:
   a server's word for how many come is not worth memory. */
static inline redisReader *ch_reader(int elements) {
    redisReader *r = redisReaderCreate();
    ch_functions *f = malloc(sizeof *f);
    if (!r || !f) { if (r) redisReaderFree(r); free(f); return NULL; }
    f->usual = r->fn;
    f->limited = *r->fn;
    f->limited.createArray = ch_array;
    f->elements = elements;
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
