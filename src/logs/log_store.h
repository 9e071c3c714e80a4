/*
 * What jobs printed, an attempt at a time: a stream of bytes that grows at its end until it is
 * ended. It comes in pieces with their offset in the stream, from whoever pulls it off the nodes; a
 * piece may come twice, and what was lost on the way is a gap that readers are told about.
 *
 * All calls may come from any thread and block on the disk or the network: doors call them from
 * their workers.
 */
#ifndef LOGS_LOG_STORE_H
#define LOGS_LOG_STORE_H

#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct log_store;
struct log_watch;

struct log_ref {
    int64_t job, n; /* both above 0 */
};

struct log_limits {
    int64_t attempt_bytes; /* kept of one attempt: its first and its last half; 0: 64 MiB */
    int64_t free_bytes;    /* appends fail while the disk has less than this free; 0: 64 MiB */
};

struct log_info {
    int64_t end;   /* where the next byte goes: the length of the stream so far */
    int64_t bytes; /* of it are kept */
    bool ended;    /* nothing follows */
};

/* What one read gave. */
struct log_piece {
    int64_t offset; /* of the first byte; more than asked for: what lies before is a gap */
    int64_t len;    /* 0: nothing there yet, or the end if ENDED */
    bool ended;     /* OFFSET + LEN is the end of an ended stream */
};

/* On the thread that appended or ended, with a lock held: only note it and wake somebody. */
typedef void (*log_on_change)(void *arg);

struct log_store_ops {
    const char *name; /* as in the address: "directory:..." */
    int (*open)(const char *where, const struct log_limits *limits, struct log_store **ret,
                struct err *e);
    /* All watches were ended before. */
    void (*close)(struct log_store *s);

    /*
     * LEN bytes (at most LOG_APPEND_MOST) that belong at OFFSET. What is there already is passed
     * over; beyond the end a gap is left. RET_END (may be NULL): the end afterwards, where to go
     * on. Not synced: sync() before the source forgets what it gave. ERR_CONFLICT: it has ended.
     * ERR_EXHAUSTED: the disk is full, try the same again later.
     */
    int (*append)(struct log_store *s, struct log_ref ref, int64_t offset, const void *data,
                  int64_t len, int64_t *ret_end, struct err *e);
    /* Makes what was appended durable. */
    int (*sync)(struct log_store *s, struct log_ref ref, struct err *e);
    /* Nothing follows; END is the stream's length (-1: what came so far). Durable when it returns.
     * Ending it again is fine. */
    int (*end)(struct log_store *s, struct log_ref ref, int64_t end, struct err *e);

    /* An attempt that never printed has an end of 0: only a failing disk is an error. */
    int (*info)(struct log_store *s, struct log_ref ref, struct log_info *ret, struct err *e);
    /* At most ROOM bytes from OFFSET on, or from the first kept one behind it. */
    int (*read)(struct log_store *s, struct log_ref ref, int64_t offset, void *buf, int64_t room,
                struct log_piece *ret, struct err *e);

    /* The attempts of a job that have something, n ascending; not 0 from ON_REF: stop with -1. */
    int (*list)(struct log_store *s, int64_t job, int (*on_ref)(void *arg, struct log_ref ref),
                void *arg, struct err *e);
    /* Everything of a job. Not there is fine. */
    int (*remove)(struct log_store *s, int64_t job, struct err *e);

    /*
     * ON_CHANGE is called after each change from now on, until log_unwatch() has returned. To
     * follow: watch, read up to the end, wait for a call, read on. Never NULL.
     */
    struct log_watch *(*watch)(struct log_store *s, struct log_ref ref, log_on_change on_change,
                               void *arg);
    void (*unwatch)(struct log_watch *w);
};

enum { LOG_APPEND_MOST = 4 << 20 };

extern const struct log_store_ops log_store_directory;

/* "directory:/var/lib/reeve/logs". Finds the member and opens it. LIMITS may be NULL. */
int log_store_open(const char *address, const struct log_limits *limits,
                   const struct log_store_ops **ret_ops, struct log_store **ret, struct err *e);

/* Where the last LINES lines begin, for `tail`; looks back at most 1 MiB. */
int log_tail(const struct log_store_ops *ops, struct log_store *s, struct log_ref ref,
             int64_t lines, int64_t *ret_offset, struct err *e);

#endif
