/* One job with its attempts, as the answer of a call. On a worker. */
#ifndef API_JOB_SHOW_H
#define API_JOB_SHOW_H

#include "api/call.h"

/* Fills C->answer. ERR_NOT_FOUND. */
int job_show(struct call *c, struct store_reader *r, int64_t id, struct err *e);

/* Whose job it is; 0 in RET_SUBMITTER when nobody remembers. RET_OPEN may be NULL. */
int job_find_owner(struct call *c, struct store_reader *r, int64_t id, int64_t *ret_principal,
                   int64_t *ret_submitter, bool *ret_open, struct err *e);

#endif
