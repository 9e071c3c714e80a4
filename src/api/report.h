/* An agent's report -> what the engine takes. */
#ifndef API_REPORT_H
#define API_REPORT_H

#include "api/progress.h"
#include "base/json.h"
#include "engine/engine.h"

struct progress_report {
    int64_t job;
    struct job_progress value;
};

struct report_in {
    int64_t seq;
    int64_t now_ms;        /* the agent's wall clock; 0: not told */
    struct report *report; /* without its node */
    struct progress_report *progress;
    size_t progress_count;
};

/* Whether an agent of this version ("1.4.2") is served: one of our major version, and neither newer
 * than we are nor older than two minor versions. ERR_UNPROCESSABLE says which ones are. */
int report_check_version(const char *version, struct err *e);

/* ERR_INVALID names the field. Unknown fields are passed over: a newer agent sent them. Give RET to
 * report_in_done() when it succeeded. */
int report_read(const json_t *object, struct report_in *ret, struct err *e);
void report_in_done(struct report_in *in);

#endif
