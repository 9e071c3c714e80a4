/* One job with its attempts, as the answer of a call. On a worker. */
#ifndef API_JOB_SHOW_H
#define API_JOB_SHOW_H

#include "api/call.h"

struct job;
struct job_writer;

/* Fills C->answer with the fields that its parameter asks for. ERR_NOT_FOUND. */
int job_show(struct call *c, struct store_reader *r, int64_t id, struct err *e);

/* Whose job it is; 0 in RET_SUBMITTER when nobody remembers. RET_OPEN may be NULL. */
int job_find_owner(struct call *c, struct store_reader *r, int64_t id, int64_t *ret_principal,
                   int64_t *ret_submitter, bool *ret_open, struct err *e);

/* What only one job has: its attempts, read before; why it waits (J NULL: it does not). */
void job_write_attempts(struct job_writer *w, struct json_out *o, const char *key);
void job_write_why(struct job_writer *w, struct json_out *o, const char *key, const struct job *j);

#endif
