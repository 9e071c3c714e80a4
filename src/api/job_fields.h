/* The fields of a job as people read it, by name: which of them an answer is to have. */
#ifndef API_JOB_FIELDS_H
#define API_JOB_FIELDS_H

#include "api/call.h"

struct job_fields {
    uint64_t bits; /* one each, in the order of the table in job_fields.c; 0: all */
};

/* The parameter fields=a,b,c. Without it, all: of one job, or (LIST) all that lists have.
 * ERR_INVALID names what is no field, or none of a list. */
int job_fields_read(struct call *c, bool list, struct job_fields *ret, struct err *e);

/* What a reader has to get from the store for them. */
bool job_fields_need_name(struct job_fields f);
bool job_fields_need_spec(struct job_fields f);
bool job_fields_need_attempts(struct job_fields f);
/* expected_refresh() first. */
bool job_fields_need_expected(struct job_fields f);

/* The name of field I of the table, for tests; NULL behind the last one. ONE_ONLY: not of lists. */
const char *job_field_name(size_t i, bool *ret_one_only);

#endif
