/*
 * What happens between the shim's fork and the job's own program: another account, another folder,
 * a fresh environment. Also what the shim does on a job's behalf, in a child with the job's
 * identity.
 */
#ifndef NODE_JOB_CHILD_H
#define NODE_JOB_CHILD_H

#include "node/attempt_spec.h"

#include <sys/types.h>

struct job_child {
    const struct attempt_spec *spec;
    const char *folder; /* the attempt's */
    const char *result; /* its result folder; NULL: none */
    int go;             /* a byte comes when the start is recorded; end of file: never run */
    int report;         /* gets a struct job_child_failure; closed by a successful exec */
    int output;         /* what becomes standard output and error */
    pid_t shim;
    const struct cgroup *cgroup;
    bool inside_cgroup; /* by cgroup_fork() */
};

/* What could not be done, and the errno. */
enum job_child_step {
    JOB_CHILD_ACCOUNT,
    JOB_CHILD_WORK_DIR,
    JOB_CHILD_GROUP,
    JOB_CHILD_LIMITS,
    JOB_CHILD_NOT_FOUND,   /* no such command on the PATH */
    JOB_CHILD_INTERPRETER, /* the file is there, what it asks for to be run is not */
    JOB_CHILD_EXEC,
};
struct job_child_failure {
    enum job_child_step step;
    int why;
};
/* A sentence for people. */
void job_child_explain(const struct job_child_failure *f, const struct attempt_spec *spec,
                       char *ret, size_t room);

_Noreturn void job_child_run(const struct job_child *c);

/* Where the job is, and what its environment holds: NULL-ended, freed with list_free(). */
char *job_work_dir(const struct job_child *c);
char **job_environment(const struct job_child *c);

/* Takes the job's account: groups, gid, uid, no new privileges. Returns 0 or an errno. */
int job_become(const struct attempt_spec *spec);

/*
 * Forks a child with the job's identity, which calls FN and ends; it is killed after a second.
 * *RET_FD gets what it writes, of at most a pipe's size. Returns its pid, -1 when it can't be made.
 */
pid_t job_helper(const struct attempt_spec *spec, void (*fn)(int out, void *arg), void *arg,
                 int *ret_fd);

#endif
