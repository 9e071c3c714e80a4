/* From a start command to what a shim runs (node/attempt_spec.h). Pure. */
#ifndef AGENT_JOB_SPEC_H
#define AGENT_JOB_SPEC_H

#include "agent/command.h"
#include "node/attempt_spec.h"

/* What of an attempt does not come from the command. */
struct job_spec_place {
    const char *results;                /* folder of all results; NULL: none */
    const struct account *account;      /* NULL: as whoever runs the agent */
    const struct cgroup_parent *cgroup; /* NULL: none */
    int64_t grace_ms;
};

/* RET is to be freed by attempt_spec_done() in any case. ERR_INVALID: the job can never run. */
int job_spec_make(const struct command *c, const struct job_spec_place *place,
                  struct attempt_spec *ret, struct err *e);

/* Whether the value of a variable of this name should not be shown ("API_KEY", "DB_PASSWORD"). */
bool job_spec_is_secret_name(const char *name);

#endif
