/*
 * What we show a server: certificates and a token, held in memory. Files are read again every
 * minute, on a thread of libuv's, since tokens of pods are replaced all the time; programs are run
 * again before what they gave runs out. While a new one cannot be had, the last good one is used.
 */
#ifndef KUBE_CREDENTIALS_H
#define KUBE_CREDENTIALS_H

#include "kube/config.h"
#include "net/http_client.h"

#include <stdint.h>
#include <uv.h>

/* Does not change once it is made. */
struct kube_material {
    unsigned held;       /* how often */
    struct http_tls tls; /* its texts belong to it */
    char *bearer;        /* "Bearer ..."; NULL: none */
    int64_t expires_ms;  /* Unix time; 0: who knows */
};

void kube_material_drop(struct kube_material *m); /* NULL is fine */

struct kube_credentials;

struct kube_credentials_options {
    int64_t reread_ms;     /* 0: a minute */
    int64_t exec_limit_ms; /* 0: a minute */
    /* Something new is there, or could not be had. From the loop, never from within a call. */
    void (*on_change)(void *arg);
    void *arg;
};

/* Begins to read. Belongs to LOOP's thread. CONFIG must last as long. Never NULL. */
struct kube_credentials *kube_credentials_new(uv_loop_t *loop, const struct kube_config *config,
                                              const struct kube_credentials_options *o);

/* What to use now, to be dropped after use. NULL: there is nothing yet, and E says why; with code
 * ERR_NONE it is on its way, and on_change follows. */
struct kube_material *kube_credentials_hold(struct kube_credentials *c, struct err *e);

/* The server did not take M (401). True: there is or will be another one: ask again. */
bool kube_credentials_reject(struct kube_credentials *c, const struct kube_material *m);

/* The loop must run until its handles have gone. NULL is fine. */
void kube_credentials_free(struct kube_credentials *c);

#endif
