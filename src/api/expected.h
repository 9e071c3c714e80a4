/*
 * When waiting jobs are expected to start (core/explain/when.h), worked out by workers on a
 * snapshot, at most once a second, and kept while nothing has changed. Any thread.
 */
#ifndef API_EXPECTED_H
#define API_EXPECTED_H

#include "core/explain/when.h"
#include "store/store.h"

struct api;
struct expected;

struct expected *expected_new(void);
void expected_free(struct expected *x);

/*
 * On a worker with its reader, before expected_get(): sees to it that there is an answer. While
 * readers keep coming the door's tick keeps it fresh, so they do not wait; the first one does (a
 * tenth of a second where the fleet is large).
 */
void expected_refresh(struct api *a, struct store_reader *r);

/* False: the job does not wait, or is not among the first. */
bool expected_get(struct expected *x, int64_t job, struct when_start *ret);

/* Counts the changes, for tags. */
uint64_t expected_version(struct expected *x);

/* On the door's thread, once a second. */
void expected_tick(struct api *a);

#endif
