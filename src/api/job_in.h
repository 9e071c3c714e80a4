/* A job as people write it -> a submission. Everything about its form is checked here. */
#ifndef API_JOB_IN_H
#define API_JOB_IN_H

#include "base/json.h"
#include "engine/engine.h"

/*
 * Fills RET, whose SPEC is the caller's then. ERR_INVALID names the field, also E->field; a field
 * that is planned but does not work yet is refused by name. RET_USER: the "user" field, borrowed
 * from the tree; NULL when it is absent.
 */
int job_in_read(const json_t *object, struct submission *ret, const char **ret_user, struct err *e);

/* "2h" or whole seconds; "8GiB" or whole MiB. NAME is the field's. */
int job_in_duration(const json_t *value, const char *name, int64_t *ret_ms, struct err *e);
int job_in_mib(const json_t *value, const char *name, int64_t *ret, struct err *e);

/* Whether what stands in this environment variable should not be shown. */
bool job_env_is_secret(const char *name);

#endif
