/* The number of a job as people type it. */
#ifndef CLI_JOB_ID_H
#define CLI_JOB_ID_H

#include "base/err.h"

#include <stdint.h>

int job_id_parse(const char *word, int64_t *ret, struct err *e);

#endif
