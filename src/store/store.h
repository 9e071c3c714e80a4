/*
 * The store: the truth about everything that was acknowledged. It speaks rows, not SQL; each member
 * (sqlite, memory, ...) stands behind this table of functions, and one conformance suite runs over
 * all of them.
 *
 * What could make a commit fail for what it holds was refused before: a member may take it that
 * texts are UTF-8 without NUL, that keys are not empty, and that numbers are in range.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/cleanup.h"
#include "base/err.h"
#include "record/batch.h"

#include <stdint.h>

struct store;
struct store_reader;

/* Called for each record; RECORD is good during the call, which must not wait for anything: a
 * snapshot is held meanwhile. Not 0: stop, and the caller returns -1
 * without touching its error. */
typedef int (*store_on_row)(void *arg, enum table_id table, const void *record);

/* What a reader may ask. Arguments stand beside each; LIMIT and PRINCIPAL hold for all. */
enum store_query_id {
    QUERY_JOB,         /* key: job. table JOB or JOB_SPEC: as submitted, with its cold columns */
    QUERY_JOBS,        /* from..upto: open jobs with cold columns, ids in between, descending */
    QUERY_JOB_HISTORY, /* key: job. table JOB_HISTORY */
    QUERY_HISTORY,     /* before (id; 0: newest), state (-1: any), team (text, NULL: any): ended
                          jobs, id descending; each JOB_HISTORY row is followed by its JOB_SPEC */
    QUERY_ATTEMPTS,    /* key: job. ATTEMPT and ATTEMPT_HISTORY rows, n ascending */
    QUERY_PARTS,       /* key: job. PART and PART_HISTORY rows, n, part ascending */
    QUERY_NOTES,       /* key: job, kind. ATTEMPT_NOTE rows, n ascending */
    QUERY_LEDGER, /* after (seq), upto (seq, 0: all), subject (0: any), kind (0: any): ascending */
    QUERY_LEDGER_NEWEST,  /* before (seq; 0: newest), subject, kind: descending */
    QUERY_DEVICE_TIME,    /* key: device (0: all), from..upto: days; device, day ascending */
    QUERY_SEGMENTS,       /* after (first_seq): LEDGER_SEGMENT rows, ascending */
    QUERY_TOKENS,         /* after (id): ascending, revoked ones too */
    QUERY_ENROLMENTS,     /* after (id): ascending, used ones too */
    QUERY_SNAPSHOTS,      /* before (seq; 0: newest): descending */
    QUERY_SNAPSHOT_PARTS, /* key: snapshot. ascending */
    QUERY_COUNT,
};

struct store_query {
    enum store_query_id id;
    /*
     * 0: everything. Else jobs, attempts, parts and notes only where the job belongs to this
     * principal, tokens only this one's, and ledger rows only where this one is the actor or the
     * one acted for. Device time, segments and enrolments belong to nobody: whether they may be
     * read is decided before.
     */
    int64_t principal;
    int64_t key, from, upto, after, before, subject, kind, state;
    const char *team;
    int64_t limit; /* 1..STORE_LIMIT rows of the main table */
    /* HISTORY: look at no more than so many rows, whether they match or not; 0: at any number. */
    int64_t looks;
    /* HISTORY, where not NULL: the id that the walk stopped behind for LIMIT or LOOKS; 0: it came
     * to the end. */
    int64_t *ret_stopped;
};

enum { STORE_LIMIT = 10000 };

struct store_stats {
    int64_t file_bytes, free_bytes; /* of the database and its log; of the disk below it */
};

/* Below this much free space submissions stop, so that the ends of jobs can still be written. */
#define STORE_FREE_LOW         ((int64_t)256 << 20)

/* META row that tells this store from any other. A backup lacks it, and its epoch is a million
 * ahead: who starts on a restored copy makes a new incarnation, and agents take its commands. */
#define STORE_META_INCARNATION "incarnation"

struct store_ops {
    const char *name; /* as in the address: "sqlite:..." */
    /*
     * Opens or creates it and brings it up to date. ERR_CONFLICT: it is newer than this program, or
     * another program has it open. The sentence says what to do about it, also for a damaged file
     * and for a disk that cannot be written.
     */
    int (*open)(const char *where, struct store **ret, struct err *e);
    /* All readers were closed before. */
    void (*close)(struct store *s);

    /* Becomes its one owner: raises the epoch and gives it and the number of the last batch. */
    int (*claim)(struct store *s, int64_t *ret_epoch, int64_t *ret_seq, struct err *e);
    /* Every record of TABLE in key order, without cold columns. Not from within ON_ROW. */
    int (*load)(struct store *s, enum table_id table, store_on_row on_row, void *arg,
                struct err *e);
    /*
     * All rows or none; durable when it returns 0. ERR_CONFLICT: deposed (another epoch or number),
     * stop at once. ERR_EXHAUSTED: the disk is full, nothing was written, the same batch may be
     * tried again. Anything else: the store cannot be relied on any more. Any thread, one at a
     * time.
     */
    int (*commit)(struct store *s, const struct batch *b, struct err *e);

    /*
     * Readers: each on a thread of its own, beside the owner. They see what is committed. A
     * snapshot is held for less than a second: a long answer comes from several, each row from one.
     * ERR_INVALID: the question makes no sense. ERR_TIMEOUT: too many rows had to be looked at
     * without finding LIMIT that match; what was found was delivered.
     */
    int (*reader_open)(struct store *s, struct store_reader **ret, struct err *e);
    void (*reader_close)(struct store_reader *r);
    int (*read)(struct store_reader *r, const struct store_query *q, store_on_row on_row, void *arg,
                struct err *e);

    /* Brings the schema to VERSION, up or down; -1 is the newest. Only while nobody has claimed it.
     * Afterwards an older schema can only be closed (or brought up again). */
    int (*migrate)(struct store *s, int version, struct err *e);
    /* A consistent copy at PATH while it is in use; an older file there is replaced. Any thread. */
    int (*backup)(struct store *s, const char *path, struct err *e);
    /* Drops the rows of the closed ledger segment that begins with FIRST_SEQ; its head stays. Any
     * thread: it goes in small steps between commits. ERR_NOT_FOUND: there is no such segment. */
    int (*segment_drop)(struct store *s, int64_t first_seq, struct err *e);
    /* Cheap: a few system calls. Any thread. */
    int (*stats)(struct store *s, struct store_stats *ret, struct err *e);
};

extern const struct store_ops store_sqlite, store_memory;

/*
 * "sqlite:/var/lib/reeve/reeve.db" or "memory:". Finds the member and opens it. "memory:" takes
 * "fail=OP@N", "full=OP@N" or "deposed=OP@N" (several with commas; OP: open, claim, load, commit,
 * read): that call, counted from 1, fails in this way; "full=commit@3-5" for several.
 */
int store_open(const char *address, const struct store_ops **ret_ops, struct store **ret,
               struct err *e);

#endif
