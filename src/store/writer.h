/*
 * The writer thread: commits batch after batch in the order given, while the next one fills (group
 * commit), and completes the ledger rows with their hashes. Nobody else writes to the store.
 */
#ifndef STORE_WRITER_H
#define STORE_WRITER_H

#include "base/digest.h"
#include "store/store.h"

struct writer;

struct writer_callbacks {
    /* All on the writer thread: post them on. Batches up to SEQ are durable. */
    void (*on_durable)(void *arg, int64_t seq);
    /* The disk is full (FULL true), or takes writes again. The batch is kept and tried again. */
    void (*on_full)(void *arg, bool full, const struct err *why);
    /* Deposed, or the store failed for good: nothing more is written, the program must end. */
    void (*on_broken)(void *arg, const struct err *why);
    void *arg;
};

/* LAST_SEQ: the last committed batch. HEAD: hash of the last ledger row (all zero: none yet). */
int writer_start(const struct store_ops *ops, struct store *s, int64_t last_seq,
                 const struct digest *head, const struct writer_callbacks *cb, struct writer **ret,
                 struct err *e);

/* Takes B. Owner thread only. At most 2 batches or 64 MiB may wait: ask writer_has_room() before
 * filling another one. */
void writer_commit(struct writer *w, struct batch *b);
bool writer_has_room(const struct writer *w);
/* True while nothing is being committed: a new batch need not wait for company. */
bool writer_is_idle(const struct writer *w);

/* Commits what was handed over, then ends the thread. */
void writer_stop(struct writer *w);

/* The chain: HASH of a row from the previous one's, its fixed columns and its body's hash. */
struct digest ledger_row_hash(const struct digest *previous, const struct ledger_row *row,
                              const struct digest *body_hash);

#endif
