/*
 * What running attempts have used so far, as agents say. Memory only: after a restart agents say it
 * again. On the owner thread.
 */
#ifndef ENGINE_METERS_H
#define ENGINE_METERS_H

#include "engine/engine.h"

struct meters;

struct meters *meters_new(void);
void meters_free(struct meters *m);

/* What was said last counts. */
void meters_set(struct meters *m, const struct meter_report *r);
/* False: nothing is known, and RET stays. */
bool meters_find(const struct meters *m, int64_t job, int64_t n, struct meter_report *ret);
void meters_drop(struct meters *m, int64_t job);

#endif
