/*
 * A node that cannot start jobs (no process left, disk full, shims that die) would be given the
 * next one at once, and the next: so it calls itself busy for a while, longer each time, until a
 * start succeeds.
 */
#ifndef AGENT_TROUBLE_H
#define AGENT_TROUBLE_H

#include <stdbool.h>

struct agent;

/* A start failed here for a reason that is not the job's. */
void trouble_note(struct agent *agent);
/* A start succeeded. */
void trouble_over(struct agent *agent);
/* The agent ends. */
void trouble_stop(struct agent *agent);

#endif
