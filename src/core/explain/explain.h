/* Why a job waits, from the same facts that plans are made from. */
#ifndef CORE_EXPLAIN_EXPLAIN_H
#define CORE_EXPLAIN_EXPLAIN_H

#include "base/text.h"
#include "core/fleet/fleet.h"

/* A stable word for programs, and into OUT one sentence for people: "needs 1 GPU with 8192 MiB
 * free; node a has 2311 MiB free on GPU 0, used by job 12 of bob". MASK_USERS leaves out whose jobs
 * hold things. For a job that does not wait: "" and nothing is added. */
const char *explain_wait(const struct fleet_view *v, const struct job *j, bool mask_users,
                         struct text *out);

#endif
