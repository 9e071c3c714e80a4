/* Shared by the files of operator; not for anybody else. All on the operator's thread. */
#ifndef OPERATOR_INTERNAL_H
#define OPERATOR_INTERNAL_H

#include "base/mem.h"
#include "kube/object.h"
#include "kube/watch.h"
#include "operator/reconciler.h"

#define MARK_USER  "reeve.gpu/user" /* of a namespace: whom its objects act as */
/* Of an object: "SITE MS", which Reeve hands its job in, and since when (Unix time). On before the
 * job is handed in, together with our finalizer. */
#define MARK_TAKEN "reeve.gpu/taken-by"

/*
 * After a crash nobody knows whether a job was handed in whose number is not in the object's
 * status. The engine does, by the object's uid, for 24 hours (IDEMPOTENCY_MS). An object that was
 * taken before that is not handed in again.
 */
enum { SURE_MS = 20 * 3600 * 1000 };

/* ---- a job, as it is now ---- */

struct job_look {
    int64_t id, principal, position, attempts, exit_code;
    int64_t started_ms, ended_ms;
    bool has_exit_code, has_ended;
    bool is_deleted; /* it has ended, and Reeve has nothing of it any more */
    enum job_state state;
    char reason[48]; /* a word for programs; "" */
    char node[FLEET_NAME];
    struct text message; /* a sentence; may be empty */
    size_t device_count;
    struct {
        char uuid[FLEET_NAME + 32], model[FLEET_NAME], node[FLEET_NAME];
        int64_t number;
        bool is_counted; /* the cluster counts its devices: UUID is made up */
    } devices[JOB_GPUS_MOST];
};
struct job_look *job_look_new(void);
void job_look_free(struct job_look *l); /* NULL is fine */
DEFINE_AUTO(struct job_look, job_look_free)
#define auto_job_look AUTO(job_look_freep)

enum job_sight {
    JOB_NOT_YET, /* the view is older than the job */
    JOB_OPEN,    /* LOOK is filled */
    JOB_ENDED,   /* ask the store */
};
enum job_sight job_look_open(const struct fleet_view *v, int64_t id, struct job_look *ret);
/* The store's row of an ended job, with what the view knows of nodes and devices. */
void job_look_ended(const struct fleet_view *v, const struct job_history_row *h,
                    struct job_look *ret);

/* ---- kinds ---- */

struct wish;

/* Why there is no job for an object (yet): a word, a sentence. */
struct verdict {
    const char *reason; /* NULL: nothing is wrong */
    char message[512];
};
int verdict_set(struct verdict *v, const char *reason, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* What makes a custom resource one of ours; pure. */
struct wish_kind {
    const char *group, *version, *resource, *kind;
    const char *finalizer; /* ours, on objects whose job is open */
    /* The job that it wants, as people write them. -1: it cannot be one, E says why. */
    int (*to_job)(const struct reconciler_config *c, const char *name, const json_t *spec,
                  json_t **ret, struct err *e);
    /* Its phase, for the state of its job; NULL: no job, with this reason. */
    const char *(*phase)(const struct job_look *look, const char *reason);
    /* Members of the status that only it has. LOOK NULL: there is no job. */
    void (*add_members)(json_t *status, const json_t *spec, const struct job_look *look);
    const char *const *members; /* all that it may add; NULL ends them */
    /* Conditions: in which states of the job each is true. */
    struct wish_condition {
        const char *type;
        unsigned states; /* bits of enum job_state */
    } conditions[4];
};
extern const struct wish_kind training_jobs, gpu_allocations;

/* "gpuMemory" -> "gpu_memory", and the other way. The caller frees it. */
char *snake_of(const char *camel);
char *camel_of(const char *snake);

/* ---- status.c: pure ---- */

struct status_facts {
    const struct wish_kind *kind;
    const json_t *spec, *before; /* BEFORE: its status as it is; both may be NULL */
    int64_t generation, now_ms;
    const char *site, *user;
    const struct job_look *look; /* NULL: there is no job, for the reason in VERDICT */
    const struct verdict *verdict;
};
json_t *status_make(const struct status_facts *f);
/* The same as a merge patch {"status": ...}: what is not in it goes. */
char *status_patch(const struct wish_kind *kind, const json_t *status);
/* Whether A tells nothing that B does not, but for a place in the queue and words. */
bool status_is_small_change(const json_t *a, const json_t *b);

/* ---- one object ---- */

struct kind_watch {
    struct reconciler *reconciler;
    const struct wish_kind *kind;
    struct kube_kind record;
    struct kube_watch *watch;
    bool was_told; /* that it cannot be watched */
};

enum wish_errand { ERRAND_NONE, ERRAND_TAKE, ERRAND_TELL, ERRAND_LET_GO };

/*
 *   seen -> taken -> handed in -> told, as often as it changes -> ended, told -> let go
 *                                      deleted -> cancelled ------------------> let go
 *
 * "Taken": our finalizer and mark are on, durable, before the job is handed in.
 */
struct wish {
    struct wish *next_by_uid, *next_by_job, *next_due;
    struct kind_watch *of;
    char *ns, *name, *uid;
    int64_t job; /* 0: none that we know of */
    bool is_due; /* in the list of those to be looked at */

    struct kube_call *call; /* about its object; NULL: none under way */
    enum wish_errand errand;
    bool is_asking; /* the engine or the store is asked */
    bool is_missed; /* it was due while one of these was under way */

    /* What the watch may not show yet. */
    bool is_taken, is_let_go;
    int64_t taken_ms; /* by our own clock */

    bool is_refused;    /* the engine has said that it made no job of it */
    bool is_looked_for; /* ... or that it knows of none */
    bool is_cancelled;  /* or cannot be */
    int64_t cancel_ms;  /* steady: since when that is tried; 0 */
    struct verdict why; /* the engine's */
    int64_t why_generation;
    char *cancel_why;     /* of its job, where that was cancelled in this life of ours; NULL */
    struct job_look *end; /* read from the store; NULL: not yet */

    json_t *told; /* the status that was written last, or is being; NULL */
    char old_phase[24];
    /* Steady. Nothing is sent before AGAIN_MS, nothing handed in before SUBMIT_MS. */
    int64_t told_ms, looked_ms, again_ms, submit_ms;
    int64_t
        refresh_ms; /* when a small change is told, if nothing greater comes first; 0: none waits */
    unsigned failures, happened; /* in a row; events of its job */
    bool is_over;                /* its end is told, and it is let go */
};

enum { WISH_BUCKETS = 4096, CALLS_MOST = 8 };

struct reconciler {
    struct reconciler_config config;
    struct engine *engine;
    struct kube_client *client;
    struct mailbox *box;
    uv_timer_t tick;
    bool stopped, is_synced;
    bool was_told; /* that namespaces cannot be seen */
    char site[16];

    struct kube_kind namespaces;
    struct kube_watch *namespace_watch;
    struct kind_watch kinds[2];
    struct wish *by_uid[WISH_BUCKETS], *by_job[WISH_BUCKETS];
    size_t wish_count;
    struct wish *due, **last_due;
    unsigned calls; /* under way */
};

int64_t reconciler_mono(void);
/* Whom objects of this namespace act as; NULL: nobody, and why. */
const struct principal *reconciler_user(const struct reconciler *o, const struct fleet_view *v,
                                        const char *ns, struct verdict *why);
/* Something about it is to be done. */
void reconciler_due(struct wish *w);
void reconciler_pump(struct reconciler *o);
void reconciler_remark(const struct wish *w, bool is_warning, const char *reason, const char *fmt,
                       ...) PRINTF_LIKE(4, 5);

/* ---- wish.c ---- */

struct wish *wish_find(const struct reconciler *o, const char *uid); /* NULL */
struct wish *wish_of_job(const struct reconciler *o, int64_t job);   /* the first; NULL */
struct wish *wish_new(struct kind_watch *of, const struct kube_head *head);
void wish_free(struct wish *w);
void wish_set_job(struct wish *w, int64_t job);
/* Whatever is to be done next. W may be freed. */
void wish_step(struct wish *w);
/* For how long to wait now, each time longer: a time of the steady clock. */
int64_t wish_pause(struct wish *w);
/* Nothing is sent before. */
void wish_later(struct wish *w);
/* Its job may be another than it was, or have ended anew. */
void wish_forget_end(struct wish *w);
/* Its object as the watch has it; NULL: it is gone. */
const struct kube_custom *wish_object(const struct wish *w);

/* ---- ask.c: the engine and the store ---- */

void ask_submit(struct wish *w, const struct kube_custom *object, const struct principal *user,
                struct submission *s);
/* Whether a job was handed in before a crash. */
void ask_for_job(struct wish *w, const struct principal *user);
void ask_cancel(struct wish *w, int64_t principal);
void ask_end(struct wish *w);

#endif
