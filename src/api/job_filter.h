/* Which jobs a list is asked for. */
#ifndef API_JOB_FILTER_H
#define API_JOB_FILTER_H

#include "api/auth.h"
#include "api/job_rows.h"

enum {
    JOBS_OPEN = 1 << JOB_QUEUED | 1 << JOB_SCHEDULED | 1 << JOB_RUNNING,
    JOBS_ENDED = 1 << JOB_COMPLETED | 1 << JOB_FAILED | 1 << JOB_CANCELLED,
    FILTER_LABELS_MOST = 16,
};

struct label_filter {
    char name[64];
    const char *value; /* borrowed from the request */
};

struct job_filter {
    const struct call *call;
    const struct fleet_view *view;
    int64_t principal; /* 0: any */
    const char *team;  /* NULL: any */
    unsigned states;   /* a bit each */
    bool none;         /* nothing can match */
    const char *text;  /* in the id, the user's or the job's name; NULL: any */
    struct label_filter labels[FILTER_LABELS_MOST]; /* all of them */
    unsigned label_count;
};

/* From the parameters user, team, state, label and q. ERR_INVALID names the one to blame. */
int job_filter_read(struct call *c, const struct fleet_view *v, struct job_filter *ret,
                    struct err *e);

/* What is known of a job without its records of the store. */
struct job_outline {
    int64_t id, principal, submitter;
    const char *team;
    unsigned state;
};

enum filter_word {
    FILTER_NO,
    FILTER_YES,
    FILTER_UNSURE, /* its name or spec decides: ask again with them */
};

/*
 * Whether the job passes. SPEC: its record, NULL while that is not read. A question about what the
 * reader may not see finds nothing, else asking would tell it.
 */
enum filter_word job_filter_passes(const struct job_filter *f, const struct job_outline *j,
                                   const struct job_spec_row *spec);

#endif
