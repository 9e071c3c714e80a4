/* How an attempt is started and ended: one table of functions a way. All calls on the owner thread;
 * what they send may be lost, and is said again until the other side answers. */
#ifndef RUNNER_RUNNER_H
#define RUNNER_RUNNER_H

#include "base/text.h"
#include "core/fleet/fleet.h"

struct runner_start {
    const struct fleet_view *view;
    const struct job *job;
    const struct attempt *attempt;
    const char *name, *spec; /* of the job; SPEC is its JSON object */
};

struct runner {
    const char *name;
    /* One message that starts the attempt, and one that cancels it, appended to OUT. */
    void (*start)(const struct runner_start *s, struct text *out);
    void (*cancel)(const struct fleet_view *v, const struct job *j, const struct attempt *a,
                   struct text *out);
};

extern const struct runner runner_agent;

#endif
