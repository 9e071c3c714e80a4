/*
 * Requests to one API server: many at once, over kept connections (one, where the server speaks
 * HTTP/2), at a bounded rate, with who we are put in. What may be tried again is: after "too many
 * requests" as the server says, after cuts and server errors with a growing, spread pause where
 * doing it twice is doing it once. No call waits; all belongs to the loop's thread.
 */
#ifndef KUBE_CLIENT_H
#define KUBE_CLIENT_H

#include "kube/config.h"
#include "kube/path.h"
#include "kube/status.h"
#include "net/http_client.h"

#include <uv.h>

struct kube_client;

struct kube_client_options {
    /* Requests, on average; 0: 1000. The server judges better what it can bear (429); this bounds
     * what a mistake of ours does. */
    unsigned per_second;
    unsigned burst;                      /* at once, after a pause; 0: 1000 */
    unsigned most;                       /* under way at once, besides streams; 0: 64 */
    int64_t least_wait_ms, most_wait_ms; /* between tries; 0: 200 ms and 10 s */
    int64_t reread_ms;                   /* of files with certificates and tokens; 0: a minute */
    int64_t patience_ms; /* with a streamed list that begins and says nothing more; 0: a minute */
};

/* CONFIG is the client's from now on. O may be NULL. Never NULL. The program must ignore SIGPIPE.
 * Nothing is connected to yet: the first request does. */
struct kube_client *kube_client_new(uv_loop_t *loop, struct kube_config *config,
                                    const struct kube_client_options *o);

/* Cancels what is under way. Not from a call-back. The loop must run until its handles have gone,
 * and a look at a slow file under way with them. NULL is fine. */
void kube_client_free(struct kube_client *c);

/* The namespace of its context, for what names none; never NULL. */
const char *kube_client_namespace(const struct kube_client *c);
/* "https://10.0.0.1:6443", for people. */
const char *kube_client_server(const struct kube_client *c);
uv_loop_t *kube_client_loop(struct kube_client *c);

/* All of it is copied when the request is sent. */
struct kube_request {
    enum http_method method; /* 0: GET */
    const char *target;      /* "/api/v1/pods?limit=5", from kube_path() and kube_query() */
    const char *type;        /* of the body; NULL: application/json */
    const void *body;
    size_t len;
    const char *accept;  /* NULL: application/json */
    bool repeatable;     /* doing it twice is doing it once: it may be sent again when nobody knows
                            whether it was done. GET is, always */
    bool only_once;      /* hand every failure back, "too many requests" too. Streams are, always */
    int64_t timeout_ms;  /* of one try; 0: 30 s, or none for a stream */
    int64_t deadline_ms; /* of all tries together; 0: 60 s. Not for streams */
    size_t max_body;     /* 0: 16 MiB */

    /* For answers without an end: a stream. It gets the body piece by piece if the status is 2xx.
     * False ends it: on_done has no error then. */
    bool (*on_data)(void *arg, const char *bytes, size_t len);
    int64_t silence_ms; /* gives a stream up that is silent for so long; 0: never */
};

/* Good until the call-back returns. */
struct kube_answer {
    int http_status; /* 0: there was none */
    const char *body;
    size_t len;
    const char *warning;       /* what the server warns of; NULL: nothing */
    struct err err;            /* code ERR_NONE: done, and the answer is whole */
    struct kube_status status; /* when the server says why not */
    bool uncertain; /* it failed, and yet the server may have done it: look before asking anew */
};

struct kube_call;

/* ON_DONE is called once, from the loop, never from within this call; ARG is also on_data's. Both
 * may send and cancel. ON_DONE NULL: nobody wants to know. Never NULL. */
struct kube_call *kube_send(struct kube_client *c, const struct kube_request *r,
                            void (*on_done)(void *arg, const struct kube_answer *a), void *arg);

/* on_done will not be called. Only before it was; what was sent may have been done all the same. */
void kube_cancel(struct kube_call *call);

/* ---- for what else is in this folder ---- */

struct kube_build;
/* Room to read records with, shared by all: for one record at a time. */
struct kube_build *kube_client_build(struct kube_client *c);
/* Between half of a growing pause and all of it, after FAILURES (from 1) in a row. */
int64_t kube_client_pause_ms(const struct kube_client *c, unsigned failures);
int64_t kube_client_patience_ms(const struct kube_client *c);
/* Whether this server can list by a stream; it can until somebody says that it cannot. */
bool kube_client_streams_lists(const struct kube_client *c);
void kube_client_no_streamed_lists(struct kube_client *c);

#endif
