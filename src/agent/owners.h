/*
 * Whose process is it? Ours are those below a shim of ours: shims are reapers of what their jobs
 * leave behind, so ancestry does not lie. Answers are kept by pid and start time, since neither
 * changes; a look at a known process costs one read in /proc.
 */
#ifndef AGENT_OWNERS_H
#define AGENT_OWNERS_H

#include "agent/devices.h"

#include <sys/types.h>

struct owners;

/* IS_SHIM says whether a process is the shim of an attempt of ours. Never NULL. */
struct owners *owners_new(bool (*is_shim)(void *arg, pid_t pid), void *arg);
void owners_free(struct owners *o);

enum owner owners_find(struct owners *o, uint32_t pid);

/* Forgets answers that were not asked for since the last call: once a sample. */
void owners_sweep(struct owners *o);

#endif
