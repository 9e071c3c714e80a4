/* A job as people read it, from wherever it is now: the snapshot or the history. */
#ifndef API_JOB_JSON_H
#define API_JOB_JSON_H

#include "api/auth.h"
#include "api/job_fields.h"
#include "api/job_spec.h"
#include "base/json_out.h"
#include "core/explain/when.h"

struct attempt_list; /* job_show.h */

/* What is known of a job. Texts are borrowed. */
struct job_facts {
    int64_t id, principal, submitter;
    const char *team;
    const char *selector, *tolerations; /* joined by ','; NULL or "" is none */
    enum job_state state;
    int64_t submitted_ms, scheduled_ms, started_ms, ended_ms;
    int64_t attempts, run_ms, energy_mj, cost_micros;
    int64_t gpus, gpu_memory_mib, cpu_milli, memory_mib, time_limit_s, retries, flags;
    int64_t position; /* 0: not known, or it does not wait */
    bool has_exit_code;
    int64_t exit_code;

    const struct job *open;        /* NULL: it has ended */
    const struct attempt *attempt; /* open one, or NULL */
    const char *name, *spec;       /* NULL: not read */
    /* Of an ended one. */
    int64_t last_node;
    const char *last_devices; /* ids with commas between */
    const char *reason_text;
    enum attempt_outcome outcome;
};

struct job_reason {
    const char *code; /* NULL: not worked out yet */
    uint32_t shape;
    int64_t job; /* not 0: of this one alone */
    struct text sentence;
};

enum { JOB_REASONS = 64 /* a power of two */ };

/* Whoever renders jobs: what is the same for all of a list, and what was worked out before. */
struct job_writer {
    struct api *api;
    const struct caller *caller;
    const struct fleet_view *view;
    int64_t now_ms;
    struct job_fields fields; /* all zero: all that lists have */
    const struct attempt_list
        *attempts; /* where one job is shown: for the fields that only it has */

    /* Kept between jobs. Jobs of one shape wait for the same reason: it has its place by shape. */
    struct job_reason reasons[JOB_REASONS];
    /* Of the job that is being written: read when its first field wants it. */
    bool spec_is_read, start_is_read;
    struct job_spec spec;
    struct when_start start;
};
void job_writer_done(struct job_writer *w);

void job_facts_of_open(const struct fleet_view *v, const struct job *j, struct job_facts *ret);
/* H and, where it was kept, S: rows of JOB_HISTORY and JOB_SPEC. The facts borrow their texts. */
void job_facts_of_ended(const struct job_history_row *h, const struct job_spec_row *s,
                        struct job_facts *ret);
/* One just accepted, before anything happened to it. */
void job_facts_of_new(const struct submission *s, int64_t principal, int64_t submitter,
                      int64_t now_ms, struct job_facts *ret);

/* Writes the job as an object: the fields wanted, without those that the reader may not see. */
void job_write(struct job_writer *w, struct json_out *o, const struct job_facts *f);

/* {"node", "index", ...} of a device, into a list. */
void job_write_device(struct json_out *o, const struct fleet_view *v, const struct device *d);

/* A sentence that is kept, in the reader's language; null where there is none. */
void job_write_sentence(struct json_out *o, const char *key, const struct caller *w,
                        const char *sentence);

/* "user": null where the reader may not see it, or nobody has this id. */
void job_write_user(struct json_out *o, const char *key, const struct fleet_view *v,
                    int64_t principal, bool shown);

/* What attempt A (NULL: none) has used from its start until now; all zero before that. */
struct job_used {
    int64_t run_ms, energy_mj, cost_micros;
    bool measured;
};
struct job_used job_used_now(struct job_writer *w, const struct attempt *a);

#endif
