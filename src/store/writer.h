/*
 * The writer thread: commits batch after batch in the order given, while the next one fills (group
 * commit), completes the ledger rows with their hashes and closes ledger segments. Nobody else
 * writes to the store.
 */
#ifndef STORE_WRITER_H
#define STORE_WRITER_H

#include "store/ledger.h"
#include "store/store.h"

#include <stdbool.h>

struct writer;

struct writer_callbacks {
    /* All on the writer thread: post them on. Batches up to SEQ are durable. */
    void (*on_durable)(void *arg, int64_t seq);
    /* The disk is full (FULL true), or takes writes again (WHY is NULL). The batch is kept and
     * tried again. */
    void (*on_full)(void *arg, bool full, const struct err *why);
    /* Deposed (ERR_CONFLICT), or the store failed for good: nothing more is written, the program
     * must end. Called once. */
    void (*on_broken)(void *arg, const struct err *why);
    void *arg;
    int64_t retry_ms; /* how long to wait while the disk is full; 0: a second */
};

/* LAST_SEQ: the last committed batch, from claim(). TAIL: from ledger_read_tail(). */
int writer_start(const struct store_ops *ops, struct store *s, int64_t last_seq,
                 const struct ledger_tail *tail, const struct writer_callbacks *cb,
                 struct writer **ret, struct err *e);

/*
 * Takes B, which has its epoch and seq. Owner thread only. At most 2 batches or 64 MiB may wait:
 * ask writer_has_room() before filling another one.
 */
void writer_commit(struct writer *w, struct batch *b);
/* Any thread. */
bool writer_has_room(const struct writer *w);
/* True while nothing is being committed: a new batch need not wait for company. Any thread. */
bool writer_is_idle(const struct writer *w);

/* Commits what was handed over, then ends the thread and frees W. On a full disk it tries once
 * more: what cannot be written then was never reported as durable. NULL is fine. */
void writer_stop(struct writer *w);

#endif
