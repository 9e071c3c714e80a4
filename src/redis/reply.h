/*
 * What Redis answers, as a tree. The bytes are read by hiredis; what they may amount to is limited
 * here, since the other side may be anything.
 */
#ifndef REDIS_REPLY_H
#define REDIS_REPLY_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum redis_type {
    REDIS_NIL,
    REDIS_TEXT,
    REDIS_STATUS, /* "+OK" */
    REDIS_ERROR,  /* "-ERR ..." */
    REDIS_INT,
    REDIS_LIST,
};

struct redis_reply {
    enum redis_type type;
    int64_t number;
    size_t len;                 /* of TEXT */
    char *text;                 /* with a NUL behind it; never NULL for the three kinds of text */
    size_t count;               /* of ITEMS */
    struct redis_reply **items; /* none is NULL */
};

/* Items of a list, borrowed; what is not there or not of that kind reads as nothing. */
const struct redis_reply *redis_item(const struct redis_reply *r, size_t i);
const char *redis_text(const struct redis_reply *r, size_t i);
int64_t redis_int(const struct redis_reply *r, size_t i); /* also of a text with digits */
/* Whether it is an error that begins with this word: "NOSCRIPT". R may be NULL. */
bool redis_is_error(const struct redis_reply *r, const char *word);

enum {
    REDIS_REPLY_BYTES_MOST = 48 << 20, /* of one answer */
    REDIS_REPLY_ITEMS_MOST = 1 << 17,  /* of one list */
    REDIS_REPLY_NODES_MOST = 1 << 18,  /* in all, of one answer */
};

struct redis_reader;
struct redis_reader *redis_reader_new(void);
void redis_reader_free(struct redis_reader *r);

/* Bytes as they come. ERR_INVALID: it is not what a Redis says, or too much; the reader is of no
 * use any more. */
int redis_reader_feed(struct redis_reader *r, const char *p, size_t len, struct err *e);
/* The next whole answer; NULL: more must come first. The caller frees it. */
int redis_reader_next(struct redis_reader *r, struct redis_reply **ret, struct err *e);

void redis_reply_free(struct redis_reply *r);

#define auto_redis_reply AUTO(redis_reply_freep)
static inline void redis_reply_freep(struct redis_reply **r)
{
    redis_reply_free(*r);
}

/* One command as Redis reads it, behind what OUT has. Arguments may hold any bytes. */
struct text;
struct redis_arg {
    const char *p;
    size_t len;
};
void redis_command_write(struct text *out, const struct redis_arg *args, size_t count);

#endif
