/*
 * What an attempt is to run, under which name and account, and within which limits. The agent fills
 * one in and writes it into the attempt's folder; the shim reads it there. The form is strict
 * (NUL-separated key=value, a first and a last line), because both sides are the same release: an
 * attempt that already runs needs no spec any more.
 */
#ifndef NODE_ATTEMPT_SPEC_H
#define NODE_ATTEMPT_SPEC_H

#include "base/err.h"
#include "base/text.h"
#include "node/account.h"
#include "node/cgroup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ATTEMPT_ID_SIZE       33  /* 128 bits as hex, with the NUL */
#define ATTEMPT_NAME_MOST     100 /* bytes of an external name */
#define ATTEMPT_SPEC_MOST     (2 * 1024 * 1024)
#define ATTEMPT_SECRETS_MOST  (64 * 1024) /* all secret variables together */
#define ATTEMPT_WARN_MS       60000       /* SIGUSR1 this long before the time limit */
#define ATTEMPT_GRACE_MS      30000       /* from SIGTERM to SIGKILL */
#define ATTEMPT_LOG_QUOTA     (64 << 20)
#define ATTEMPT_LOG_LINE_MOST (64 << 10)
#define ATTEMPT_LOG_RATE      (10 << 20) /* bytes a second */

/* All texts and lists belong to the spec; lists end with NULL. NULL texts are "not given". */
struct attempt_spec {
    char id[ATTEMPT_ID_SIZE]; /* what REEVE_ATTEMPT holds */
    char *name;               /* external name, that of the folder and of the cgroup */
    int64_t job_id;
    int64_t number; /* of the attempt, from 1 */
    char *user;     /* in Reeve; the account below may have another name */

    char **command; /* never empty; found by the job's PATH */
    char **env;     /* "NAME=value"; cannot replace what Reeve itself sets */
    /* Goes to the shim by its socket and never into a file. */
    char **secret_env;
    char *work_dir;         /* absolute; NULL: the result folder, else the job's own small folder */
    char *devices;          /* CUDA_VISIBLE_DEVICES; NULL: not set, "": no device */
    char *progress_pattern; /* progress.h; NULL: the usual forms */
    char *results;          /* the folder of all results; NULL: none is made */
    char *params;           /* JSON that is kept as params.json beside the results; NULL: none */

    bool has_account; /* false: as whoever runs the agent (isolation "none") */
    struct account account;

    /* 0 everywhere: no limit. */
    struct cgroup_limits limits;
    struct cgroup_parent cgroup; /* where the job's group may be made */
    int64_t time_limit_ms;       /* from the exec */
    int64_t warn_ms, grace_ms;
    int64_t log_quota_bytes, log_line_bytes, log_rate_bytes;
};

/* All zero but the times and log limits above, which get their usual values. */
void attempt_spec_init(struct attempt_spec *s);
void attempt_spec_done(struct attempt_spec *s);

/* ERR_INVALID says what is wrong: an empty command, a relative work dir, a variable without '=',
 * a NUL, a name that could leave its folder, numbers out of range. */
int attempt_spec_check(const struct attempt_spec *s, struct err *e);

/* The file's bytes; without secret_env. The spec must have passed the check. */
void attempt_spec_write(const struct attempt_spec *s, struct text *out);
/* S was just set up by attempt_spec_init(); on failure it still is to be freed. */
int attempt_spec_parse(struct attempt_spec *s, const char *p, size_t len, struct err *e);

/* A list of texts that ends with NULL: a copy with one more, and the end of it. */
char **list_add(char **list, const char *item);
void list_free(char **list);
size_t list_count(char *const *list);

#define auto_attempt_spec AUTO(attempt_spec_done)

#endif
