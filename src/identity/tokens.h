/*
 * Who shows which token. Tokens are 256 random bits; only their SHA-256 is kept, so what is read
 * here cannot be used to sign in. Any thread.
 */
#ifndef IDENTITY_TOKENS_H
#define IDENTITY_TOKENS_H

#include "base/digest.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct tokens;

/* The numbers of the first three are stored. */
enum token_kind {
    TOKEN_API,     /* holder: principal id */
    TOKEN_SESSION, /* the same, of a page; it always ends */
    TOKEN_LINK,    /* the same: its code makes one session */
    TOKEN_NODE,    /* holder: node id */
    TOKEN_ENROL,   /* holder: enrolment id; good once */
};

const char *
token_kind_name(enum token_kind kind); /* "token", "session", "link", "node", "enrolment" */

enum { TOKEN_NAME = 64 };

struct token_holder {
    enum token_kind kind;
    int64_t id; /* of the token itself */
    int64_t holder;
    int64_t expires_ms; /* Unix; 0: never */
    /* Not of a TOKEN_NODE: the rest of the record, which is written once more when it is over. */
    int64_t created_ms;
    int64_t until_ms;      /* TOKEN_LINK: its session ends then at the latest; 0: no such limit */
    char name[TOKEN_NAME]; /* its label, or the node it is for; "": none */
};

struct tokens *tokens_new(void);
void tokens_free(struct tokens *t);

void tokens_put(struct tokens *t, const struct digest *hash, const struct token_holder *holder);
void tokens_remove(struct tokens *t, const struct digest *hash);
/* Every token of this kind and holder. */
void tokens_remove_holder(struct tokens *t, enum token_kind kind, int64_t holder);

/* Whatever would end after FROM_MS ends so much later: the clock has stepped, no time has passed.
 * ON_POSTPONED hears of each and may not use T; NULL: nobody wants to. */
void tokens_postpone(struct tokens *t, int64_t from_ms, int64_t by_ms,
                     void (*on_postponed)(void *arg, const struct digest *hash,
                                          const struct token_holder *holder),
                     void *arg);

/* Forgets sessions and links that have ended at NOW_MS, at most MOST at once; ON_EXPIRED hears of
 * each and may not use T. */
void tokens_expire(struct tokens *t, int64_t now_ms, size_t most,
                   void (*on_expired)(void *arg, const struct token_holder *holder), void *arg);

/* False: unknown or expired at NOW_MS. */
bool tokens_find(struct tokens *t, const struct digest *hash, int64_t now_ms,
                 struct token_holder *ret);

/* The token of this kind and id, expired or not. Goes through all of them. */
bool tokens_find_id(struct tokens *t, enum token_kind kind, int64_t id, struct digest *ret_hash,
                    struct token_holder *ret);

/* How many of this kind this holder has. Goes through all of them. */
size_t tokens_count(struct tokens *t, enum token_kind kind, int64_t holder);

/* A new token as text ("rv_" and 64 hex digits) and its hash. The caller frees it. */
char *token_make(struct digest *ret_hash);
/* The code of a link: 128 bits in hexadecimal, short enough to be read out, good for minutes. */
char *token_code_make(struct digest *ret_hash);
/* The hash of what somebody shows as a token; any text. */
struct digest token_hash(const char *token);

#endif
