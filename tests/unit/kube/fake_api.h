/*
 * A server on loopback that a test makes say anything: each connection has a thread, and each
 * request is given to the test's function, which answers byte by byte if it likes.
 */
#ifndef UNIT_KUBE_FAKE_API_H
#define UNIT_KUBE_FAKE_API_H

#include "base/cleanup.h"
#include "base/text.h"
#include "kube/client.h"
#include "test.h"

#include <pthread.h>
#include <uv.h>

struct fake_conn;

struct fake_request {
    char method[12];
    char target[2048];
    char head[8192]; /* as it came */
    struct text body;
    int number; /* of this method and path, query aside, from 1 */
};

typedef void fake_answer(struct fake_conn *c, const struct fake_request *r, void *arg);

struct fake_api {
    fake_answer *answer;
    void *arg;
    const char *cert, *key, *client_ca; /* PEM files; NULL: no TLS, and any client */
    /* All below is set by fake_open(). */
    char url[64];
    int port;
    int fd;
    bool closing;
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below */
    struct fake_conn *conns;
    struct text seen; /* "GET /path?query\n", one line a request */
    int accepted;
};

void fake_open(struct fake_api *f); /* with the first members set, the rest zero */
void fake_close(struct fake_api *f);
#define auto_fake AUTO(fake_close)

/* How many requests so far had this in their line of SEEN. */
int fake_count(struct fake_api *f, const char *words);
/* The last line of SEEN that has WORDS, in BUF; "" when none has. */
char *fake_last(struct fake_api *f, const char *words, char *buf, size_t size);

/* ---- for answers ---- */

const char *fake_header(const struct fake_request *r, const char *name, char *buf, size_t size);
bool fake_is(const struct fake_request *r, const char *method, const char *words);
/* A whole answer. HEADERS: "Name: value\r\n"..., or NULL. */
void fake_reply(struct fake_conn *c, int status, const char *headers, const char *body);
/* A Status object. */
void fake_status(struct fake_conn *c, int code, const char *reason, const char *message);
/* An answer in chunks; fake_cut() instead of fake_end() ends it in the middle. */
void fake_begin(struct fake_conn *c);
void fake_chunk(struct fake_conn *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
void fake_chunk_bytes(struct fake_conn *c, const char *p, size_t len);
void fake_end(struct fake_conn *c);
void fake_raw(struct fake_conn *c, const void *p, size_t len);
void fake_cut(struct fake_conn *c);
/* Neither side has closed it. */
bool fake_is_open(struct fake_conn *c);
/* Until the client closes, or the server. */
void fake_wait(struct fake_conn *c);

/* ---- a client on a loop of the test's own ---- */

struct side {
    uv_loop_t loop;
    struct kube_client *client;
    uv_timer_t tick;
};

/* To F, without a token, with short pauses. */
void side_open(struct side *s, struct fake_api *f);
/* With this kubeconfig's user part: "token: abc" or the like. NULL: none. CLUSTER: lines for the
 * cluster. */
void side_open_as(struct side *s, struct fake_api *f, const char *user, const char *cluster);
void side_close(struct side *s);
#define auto_side AUTO(side_close)
/* Runs the loop until *FLAG reaches COUNT; fails after ten seconds. */
void side_until(struct side *s, const int *flag, int count);

struct result {
    int done;
    int status;
    char body[4096];
    struct err err;
    struct kube_status why;
    bool uncertain;
    char warning[128];
};
void result_note(void *arg, const struct kube_answer *a);
/* Sends and waits. */
struct result side_ask(struct side *s, const struct kube_request *r);

#endif
