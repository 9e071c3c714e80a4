/*
 * A job's output on this node, within a quota: the first part and the last part are kept. Offsets
 * are logical: they count every byte that ever went into the log, also those that the quota has
 * taken since, so a reader can come back for more by offset and learns how much it missed.
 *
 * What never went in (lines cut at their limit, output above the rate, a full disk) is marked in
 * the text itself, by a line such as "[reeve: 1048576 bytes of output left out here: more than
 * 10485760 bytes a second]".
 *
 * Files: log.head, then log.<first offset, 20 digits>, all mode 0600.
 */
#ifndef NODE_JOB_LOG_H
#define NODE_JOB_LOG_H

#include "base/cleanup.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/* The writing side; belongs to the shim. */
struct job_log;

/* A quarter of QUOTA_BYTES is for the first part. 0 for LINE_BYTES or RATE_BYTES: no such limit.
 * The first file is made when there is something to write: many jobs say nothing. */
struct job_log *job_log_open(const char *folder, int64_t quota_bytes, int64_t line_bytes,
                             int64_t rate_bytes);
/* Never fails: what the disk does not take is counted and marked. Returns how many of these bytes
 * were left out because of the rate. */
size_t job_log_write(struct job_log *l, const char *p, size_t len, int64_t now_mono_ms);
/* A line of our own, outside rate and line limits. */
void job_log_note(struct job_log *l, const char *sentence);
/* Makes the end durable: the file that is written to, with the marks that are due. What was in
 * earlier files has long been written by the kernel itself. */
void job_log_sync(struct job_log *l);
/* Writes the marks that are due and closes. NULL is fine. */
void job_log_close(struct job_log *l);

int64_t job_log_length(const struct job_log *l);
int64_t job_log_dropped(const struct job_log *l);
/* The last bytes that came in, at most 4 KiB, from the start of a line where there is one in them;
 * also those that were left out. Good until the next write. */
const char *job_log_tail(const struct job_log *l, size_t *ret_len);

/*
 * Reads up to ROOM bytes at OFFSET. *RET_GAP is how many bytes between OFFSET and the first byte
 * returned are gone; *RET_NEXT is where to read on. No bytes and no gap: nothing more is there yet.
 * No log at all reads as an empty one. Any thread or process, also while the shim writes.
 */
int job_log_read(const char *folder, int64_t offset, char *buf, size_t room, size_t *ret_len,
                 int64_t *ret_next, int64_t *ret_gap, struct err *e);
/* The log's length by logical offset. */
int job_log_end(const char *folder, int64_t *ret, struct err *e);

DEFINE_AUTO(struct job_log, job_log_close)
#define auto_job_log AUTO(job_log_closep)

#endif
