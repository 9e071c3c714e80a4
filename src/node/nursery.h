/*
 * Shims without an exec. A nursery is the shim's program, started once and waiting; asked for a
 * shim it forks one, which is the agent's child as if the agent had started it, and looks like it.
 * An exec and the C library's start cost a millisecond of processor time, a fork a tenth of it.
 *
 * It holds nothing: it may die at any time, and the next shim is started by exec. It ends with its
 * agent; the shims that came from it do not.
 */
#ifndef NODE_NURSERY_H
#define NODE_NURSERY_H

#include "base/cleanup.h"

#include <sys/types.h>

/* The agent's side; belongs to one thread. */
struct nursery;

/* PROGRAM is what shim_program() found. Nothing is started before the first shim is asked for. */
struct nursery *nursery_new(const char *program);
/* Ends the process. NULL is fine. */
void nursery_free(struct nursery *n);

/* A shim for FOLDER and the attempt ID, whose socket is THEIR_END. Returns its process, our child;
 * 0: it must be started otherwise, as the first one always. N may be NULL. */
pid_t nursery_fork(struct nursery *n, const char *folder, const char *id, int their_end);

/* The process's side: ARGV is main()'s. Whether it was started as a nursery; and then its life,
 * which only a new shim comes back from, with its folder. */
int nursery_is_meant(char *const *argv);
const char *nursery_run(char **argv);

DEFINE_AUTO(struct nursery, nursery_free)
#define auto_nursery AUTO(nursery_freep)

#endif
