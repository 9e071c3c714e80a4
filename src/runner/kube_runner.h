/*
 * How an attempt runs in a Kubernetes cluster: one table of functions a way. They make the object's
 * JSON and judge what became of it; nothing here talks to anybody. What is sent, when, and how
 * often is src/cluster's.
 *
 * An object is named as the attempt is (ATTEMPT_NAME_SIZE), carries our labels, and a finalizer
 * that holds it until its end is durable here. Whatever pods belong to it are found by their labels
 * or by their owner.
 */
#ifndef RUNNER_KUBE_RUNNER_H
#define RUNNER_KUBE_RUNNER_H

#include "base/json_out.h"
#include "kube/node.h"
#include "kube/pod.h"
#include "net/http.h"
#include "record/job.h"
#include "runner/kube_settings.h"
#include "runner/runner.h"

#define KUBE_LABEL_SITE          "reeve.gpu/site"
#define KUBE_LABEL_JOB           "reeve.gpu/job"
#define KUBE_LABEL_ATTEMPT       "reeve.gpu/attempt" /* its number */
#define KUBE_LABEL_USER          "reeve.gpu/user"
#define KUBE_ANNOTATION_ID       "reeve.gpu/attempt-id" /* 32 hex digits */
#define KUBE_ANNOTATION_NODE     "reeve.gpu/node"
#define KUBE_ANNOTATION_LIMIT    "reeve.gpu/time-limit-ms" /* what the job may run; not there: any */
#define KUBE_ANNOTATION_RUNNER   "reeve.gpu/runner"
#define KUBE_ANNOTATION_PROGRESS "reeve.gpu/progress" /* the job's pattern, see node/progress.h */
#define KUBE_NO_LABEL            "reeve.gpu/prefers-model" /* in selectors: a wish, no node has it */
#define KUBE_FINALIZER           "reeve.gpu/result"

/* So many devices of one sort. */
struct kube_claim {
    const char *resource; /* "nvidia.com/gpu" */
    int64_t count;
};
enum { KUBE_CLAIMS_MOST = 8 };

/* Where an attempt goes, as Reeve has decided. Borrowed for the call. */
struct kube_place {
    const char *runner;   /* the name of its struct kube_runner */
    const char *site;     /* of the store */
    const char *node;     /* its name in the cluster */
    const char *hostname; /* its label kubernetes.io/hostname; "" when it has none */
    struct kube_claim claims[KUBE_CLAIMS_MOST];
    size_t claim_count;
    bool memory_is_default; /* the limit is ours, nobody asked for it: little is requested */
    const char *selector;   /* "a=b,c=d": the labels that were asked for; NULL or "" for none */
    const char *const *tolerations; /* "key", "key=value", "key:Effect", "key=value:Effect" */
    size_t toleration_count;
    int64_t start_limit_ms; /* that it may take until it runs */
};

/* The job's spec, its parts borrowed from TREE. */
struct kube_work {
    json_t *tree;
    const json_t *command;                    /* list of texts; NULL: the image's own */
    const json_t *env;                        /* object of texts; NULL */
    const json_t *labels, *mounts, *template; /* NULL when not given */
    const json_t *owner; /* the custom resource that it came from: apiVersion, kind, namespace,
                            name, uid; NULL */
    const char *image, *runner, *work_dir, *config_file, *progress;
};
int kube_work_read(const char *spec, struct kube_work *ret, struct err *e);
void kube_work_done(struct kube_work *w);
#define auto_kube_work AUTO(kube_work_done)

enum runner_state {
    RUNNER_WAITING, /* WHY: for what */
    RUNNER_RUNNING,
    RUNNER_ENDED,
    RUNNER_REFUSED, /* nothing of it ran, and it may be decided anew: WHY */
    RUNNER_LOST,    /* over without its own end, and not by the user's doing: tried again */
};

/* What became of an object, all in one. */
struct runner_view {
    enum runner_state state;
    enum attempt_outcome outcome;   /* ENDED */
    int64_t exit_code, term_signal; /* ENDED; -1 and 0: nobody knows */
    int64_t started_ms, ended_ms;   /* Unix time by the cluster's clocks; 0: not yet, or not told */
    int64_t done, total;            /* progress; TOTAL 0: none */
    bool main_is_over;              /* RUNNING: the job itself has ended, others in its pod go on */
    bool is_crowded;  /* WAITING for what others hold now: another decision may find better */
    bool is_hopeless; /* WAITING for what will not come by itself: an image that is not there */
    char why[256];    /* for people: "the image cannot be pulled: ..."; "" */
};

/* One request. The texts are the caller's to free: runner_request_done(). */
struct runner_request {
    enum http_method method;
    struct text target, body;
    const char *type; /* of the body; NULL: application/json */
    bool repeatable;  /* twice is once */
};
void runner_request_done(struct runner_request *r);
#define auto_request AUTO(runner_request_done)

/* Who takes the requests and knows the objects. */
enum kube_transport {
    KUBE_BY_API,         /* the Kubernetes API: objects are watched */
    KUBE_BY_ARGO_SERVER, /* the REST interface of Argo Server: objects are listed now and then */
};

struct kube_runner {
    const char *name; /* as jobs and options say it: "kube-pod" */
    enum kube_transport transport;
    const struct kube_kind *kind; /* of its object */
    bool is_pod;                  /* the object is its only pod */

    /* The request that makes the object. ERR_INVALID: it cannot run in this way, whatever is tried
     * again; the words are for its user. */
    int (*make)(const struct runner_attempt *a, const struct kube_place *p,
                const struct kube_settings *s, struct runner_request *ret, struct err *e);

    /* What became of it; PODS are those it made, in no order (none where it is one itself). Of an
     * object that is being deleted, too. */
    void (*judge)(const struct kube_head *object, const struct kube_pod *const *pods, size_t count,
                  struct runner_view *ret);

    /* The request that ends it; it stays to be looked at until it is forgotten. GRACE_S: between
     * the first and the last word to its processes. NULL: it is deleted (its finalizer keeps it).
     */
    void (*cancel)(const struct kube_head *object, int64_t grace_s, struct runner_request *ret);

    /* ---- NULL where the transport is the Kubernetes API ---- */

    void (*get)(const char *ns, const char *name, struct runner_request *ret);
    /* Its end is durable: takes our finalizer off. */
    void (*release)(const struct kube_head *object, struct runner_request *ret);
    void (*remove)(const struct kube_head *object, struct runner_request *ret);
    /* All of ours, with SELECTOR as their labels; the answer is an object with "items". */
    void (*list)(const char *ns, const char *selector, struct runner_request *ret);
};

extern const struct kube_runner kube_runner_pod, kube_runner_job, kube_runner_argo,
    kube_runner_argo_server;

/* All there are; a NULL ends them. */
extern const struct kube_runner *const kube_runners[];
const struct kube_runner *kube_runner_find(const char *name); /* NULL: no such one */
/* The way that this job goes: as it says, else as its template says, else as the settings say. */
const struct kube_runner *kube_runner_of(const struct kube_work *w, const struct kube_settings *s,
                                         struct err *e);

/* The requests of any runner: its own, or those of the Kubernetes API. */
void kube_runner_get(const struct kube_runner *r, const char *ns, const char *name,
                     struct runner_request *ret);
void kube_runner_release(const struct kube_runner *r, const struct kube_head *object,
                         struct runner_request *ret);
void kube_runner_cancel(const struct kube_runner *r, const struct kube_head *object,
                        int64_t grace_s, struct runner_request *ret);
void kube_runner_remove(const struct kube_runner *r, const struct kube_head *object,
                        struct runner_request *ret);

/* ---- for the files of runners ---- */

/* The POST that makes an object of KIND in NS from the body that RET has already. */
void kube_request_create(const struct kube_kind *kind, const char *ns, struct runner_request *ret);

/* Members "labels" and "annotations" of what belongs to an attempt. */
void kube_write_marks(struct json_out *o, const struct runner_attempt *a,
                      const struct kube_place *p, const struct kube_work *w);
/* Member "metadata" of our own object: its name, namespace, marks and finalizer. */
void kube_write_metadata(struct json_out *o, const struct runner_attempt *a,
                         const struct kube_place *p, const struct kube_settings *s,
                         const struct kube_work *w);

/* The members of a pod's spec (the object is open): container "main" with the job's command,
 * environment, limits and mounts; placed on P's node; what the settings add merged in. LIMIT_S:
 * activeDeadlineSeconds; 0: none. */
int kube_write_pod_spec(struct json_out *o, const struct runner_attempt *a,
                        const struct kube_place *p, const struct kube_settings *s,
                        const struct kube_work *w, int64_t limit_s, struct err *e);

/* Parts of it, for those that put them elsewhere (podSpecPatch); each is one member. */
void kube_write_resources(struct json_out *o, const struct runner_attempt *a,
                          const struct kube_place *p, const struct kube_settings *s);
void kube_write_env(struct json_out *o, const struct runner_attempt *a,
                    const struct kube_settings *s, const struct kube_work *w);
void kube_write_tolerations(struct json_out *o, const struct kube_place *p);
/* "imagePullSecrets", where there are any. */
void kube_write_pull_secrets(struct json_out *o, const struct kube_settings *s);
/* "volumes", "volumeMounts" of the mounts that the job names. ERR_INVALID: there is no such mount.
 */
int kube_write_volumes(struct json_out *o, const struct kube_settings *s, const struct kube_work *w,
                       struct err *e);
int kube_write_volume_mounts(struct json_out *o, const struct runner_attempt *a,
                             const struct kube_settings *s, const struct kube_work *w,
                             struct err *e);

/* The limit of a pod for whom we are away, 0: none. Its clock begins when kubelet takes it in,
 * images not yet pulled; the job's own begins later, and is looked at by us. */
int64_t kube_deadline_s(const struct runner_attempt *a, const struct kube_place *p);

/* V->why: WORDS, and what the cluster says itself, where it says something. Both may be "", or
 * within V. */
void runner_view_say(struct runner_view *v, const char *words, const char *message);

/* What a pod says of how it goes; what its container CONTAINER ended with counts ("main"). */
void kube_judge_pod(const struct kube_pod *pod, const char *container, struct runner_view *ret);

#endif
