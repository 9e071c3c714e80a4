/*
 * What an attempt left: the listing that its shim's helper made under the job's own account, so any
 * bytes at all. Read strictly; what is odd is left out.
 */
#ifndef AGENT_RESULTS_H
#define AGENT_RESULTS_H

#include "base/err.h"

struct attempt_results {
    char *files;    /* {"path": ..., "files": [{"name", "size"}], "more": N}; NULL: none */
    char *metadata; /* the object in its result.json; NULL: none, or nothing that we take */
};

/* Pure. TEXT as result_describe() writes it; PATH is the folder. */
void attempt_results_parse(const char *text, size_t len, const char *path,
                           struct attempt_results *ret);
/* The same from the attempt's FOLDER. */
void attempt_results_read(const char *folder, const char *path, struct attempt_results *ret);
void attempt_results_done(struct attempt_results *r);

#endif
