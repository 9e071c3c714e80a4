/*
 * A kubeconfig's "exec": a program that is run to learn who we are. It runs beside the loop, with a
 * time limit, and is ended together with what it started.
 */
#ifndef KUBE_EXEC_PLUGIN_H
#define KUBE_EXEC_PLUGIN_H

#include "kube/config.h"

#include <stdint.h>
#include <uv.h>

/* What it says. All texts are its own; NULL: not said. */
struct kube_exec_answer {
    char *token;
    char *cert, *key;   /* PEM */
    int64_t expires_ms; /* Unix time; 0: it does not say */
};

void kube_exec_answer_done(struct kube_exec_answer *a);

/* What it printed, which never goes into an error: it holds secrets. */
int kube_exec_answer_parse(const char *json, size_t len, const char *api_version,
                           struct kube_exec_answer *ret, struct err *e);

struct kube_exec_run;

/* ON_DONE is called once, from the loop, never from within this call. ANSWER (whose texts may be
 * taken) is NULL when WHY says what went wrong. Never NULL. X must last until then. */
struct kube_exec_run *kube_exec_start(uv_loop_t *loop, const struct kube_exec *x, int64_t limit_ms,
                                      void (*on_done)(void *arg, struct kube_exec_answer *answer,
                                                      const struct err *why),
                                      void *arg);

/* Ends it; ON_DONE will not be called. Only before it was called. The loop must run until its
 * handles have gone. */
void kube_exec_cancel(struct kube_exec_run *run);

#endif
