/* Kubernetes Jobs, and Argo's Workflows: what runs pods for us. */
#ifndef KUBE_JOB_H
#define KUBE_JOB_H

#include "kube/kind.h"
#include "kube/node.h"

struct kube_job {
    struct kube_head head;
    bool is_suspended;
    int64_t parallelism, completions;
    int64_t active, ready, succeeded, failed, terminating;
    int64_t started_ms, completed_ms;
    /* Final with "Complete" or "Failed" being "True"; others tell of what is under way. */
    const struct kube_condition *conditions;
};

extern const struct kube_kind kube_jobs;

/* The condition that ended it, NULL while it has not ended. Its type is "Complete" or "Failed". */
const struct kube_condition *kube_job_end(const struct kube_job *j);

/* One step of a workflow that is a pod. */
struct kube_workflow_step {
    const struct kube_workflow_step *next;
    const char *id, *name, *template; /* NAME: as shown to people */
    const char *phase, *message;
    const char *host; /* the node it ran on */
    const char *progress;
    const char *exit_code; /* "0"; "" while there is none */
    int64_t started_ms, finished_ms;
};

struct kube_workflow {
    struct kube_head head;
    const char *phase; /* "" until a controller has seen it; "Pending", "Running", "Succeeded",
                          "Failed", "Error" */
    const char *message;
    const char *progress; /* "3/7" */
    const char *shutdown; /* "Stop", "Terminate"; "" */
    bool is_suspended;
    bool is_packed; /* its steps are compressed or elsewhere: STEPS is empty */
    int64_t started_ms, finished_ms;
    const struct kube_workflow_step *steps; /* pods only, at most 64 */
};

extern const struct kube_kind kube_workflows;

bool kube_workflow_is_over(const struct kube_workflow *w);

#endif
