/*
 * One attempt's output on its way to the control plane: pushed as it grows, from where the other
 * side wants it, until its end is acknowledged. A first line leaves at once; what follows is
 * gathered for some milliseconds. Part of struct attempt.
 */
#ifndef AGENT_JOB_LOG_PUSH_H
#define AGENT_JOB_LOG_PUSH_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct agent;
struct attempt;
struct http_client_call;

struct job_log_push {
    int64_t offset; /* where to go on */
    bool is_asked;  /* OFFSET came from the other side, or it cannot have anything yet */
    bool is_done;   /* its end was taken, or nobody wants it */
    bool has_more;  /* something may be there that was not read yet */
    bool sends_end; /* the call under way says end=true */
    int watch;      /* inotify's number; -1: none */
    unsigned failures;
    int64_t not_before_ms; /* mono: next push */
    struct http_client_call *call;
};

struct log_pushes;

/* The one inotify descriptor and timer of all attempts. */
int log_pushes_start(struct agent *agent, struct log_pushes **ret, struct err *e);
void log_pushes_stop(struct log_pushes *p);

/* The attempt's folder is there: watch it. FRESH: nothing of it was ever pushed. */
void log_push_begin(struct attempt *a, bool fresh);
/* Look again: it ended, or the other side is back. */
void log_push_kick(struct attempt *a);
void log_push_kick_all(struct agent *agent);
/* The attempt goes: cancels what is under way. */
void log_push_end(struct attempt *a);

#endif
