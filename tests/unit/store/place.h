/*
 * A store for one test, and words to fill and ask it. CONFORM("...") { ... } is a TEST for each
 * member: inside, P is an open and claimed store.
 */
#ifndef UNIT_STORE_PLACE_H
#define UNIT_STORE_PLACE_H

#include "base/mem.h"
#include "base/text.h"
#include "store/ledger.h"
#include "store/store.h"
#include "store/writer.h"
#include "test.h"

struct place {
    char folder[64]; /* "" in memory */
    char address[128];
    const struct store_ops *ops;
    struct store *s;
    struct store_reader *r;
    int64_t epoch, seq;
    struct text seen; /* what the last question gave, as text */
};

/* MEMBER: "sqlite" or "memory"; OPTIONS go behind "memory:". */
void place_make(struct place *p, const char *member, const char *options);
/* Closes and opens again, claims; sqlite only. */
void place_again(struct place *p);
void place_close(struct place *p);
void place_remove(struct place *p);

/* The next batch, to be filled; then place_commit() commits and frees it. */
struct batch *place_batch(struct place *p);
int place_commit(struct place *p, struct batch *b);

/* Asks and gives "job 7, job 6": table and keys of what came, in order. Limit 0 is 100, state 0 is
 * any. */
const char *place_ask(struct place *p, struct store_query q);
#define ASK(...) place_ask(p, (struct store_query){__VA_ARGS__})
/* The same for a load. */
const char *place_load(struct place *p, enum table_id table);
/* All columns of a record: "id=1 name=x hash=6162". */
void place_describe(struct text *t, enum table_id table, const void *record);

void put_job(struct batch *b, int64_t id, int64_t principal);
void end_job(struct batch *b, int64_t id, int64_t principal, int64_t state, const char *team);
void put_ledger(struct batch *b, int64_t seq, int64_t time_ms, int64_t subject, const char *body);

#define CONFORM(sentence)       CONFORM_AS(sentence, __COUNTER__)
#define CONFORM_AS(sentence, n) CONFORM_AS_(sentence, n)
#define CONFORM_AS_(sentence, n)                                                                   \
    static void conform_##n(struct place *p);                                                      \
    TEST(sentence " (sqlite)")                                                                     \
    {                                                                                              \
        struct place p = {0};                                                                      \
        place_make(&p, "sqlite", "");                                                              \
        conform_##n(&p);                                                                           \
        place_remove(&p);                                                                          \
    }                                                                                              \
    TEST(sentence " (memory)")                                                                     \
    {                                                                                              \
        struct place p = {0};                                                                      \
        place_make(&p, "memory", "");                                                              \
        conform_##n(&p);                                                                           \
        place_remove(&p);                                                                          \
    }                                                                                              \
    static void conform_##n(struct place *p)

#endif
