/* What the files of the Redis face share. Only its thread touches it unless a member says
 * otherwise.
 */
#ifndef REDIS_INSIDE_H
#define REDIS_INSIDE_H

#include "net/loop.h"
#include "redis/link.h"
#include "redis/redis.h"

#include <pthread.h>

#define KEY_QUEUE   "job_queue"
#define KEY_RUNNING "running_jobs"
#define KEY_INTAKE  "reeve:intake"
#define KEY_DEAD    "reeve:dead"
#define KEY_SITE    "reeve:site"

enum { LOOK_MS = 250 /* how often somebody who pushed a job waits at most */ };

struct mirror;
struct intake;

struct redis_figures {
    bool up, in_step;                          /* connected and ours; the mirror shows what is */
    char why[sizeof(((struct err *)0)->text)]; /* what is wrong; "" is nothing */
    int64_t since_ms;                          /* Unix: of UP */
    int64_t failures, put_back, waiting, running;
    int64_t accepted, repeated, dead, held; /* entries of others; HELD: not through yet */
    struct redis_link_counts link;
};

struct redis {
    struct redis_config config;
    struct redis_link_config link_config;
    struct engine *engine;
    struct loop_thread *thread;
    uv_loop_t *loop;
    uv_timer_t tick;     /* every second */
    struct mailbox *box; /* any thread may post */
    struct redis_link *link;
    struct mirror *mirror;
    struct intake *intake;
    char address[300]; /* for people: no password */
    char site[16];
    bool ours;             /* connected, and the keys belong to this Reeve */
    bool stopping;         /* the engine must not be asked any more */
    int64_t complained_ms; /* steady: when the log was last told of a failure */
    struct redis_figures figures;

    pthread_mutex_t lock;       /* a leaf: guards SHOWN */
    struct redis_figures shown; /* a copy for other threads */
};

/* Other threads see the figures as they are now. */
void redis_show(struct redis *r);
/* Redis answered something that is of no use: begins anew after a pause. */
void redis_give_up(struct redis *r, const char *what, const struct redis_reply *reply);

/* ---- mirror.c: job_queue and running_jobs ---- */

struct mirror *mirror_new(struct redis *r);
void mirror_free(struct mirror *m);
void mirror_stop(struct mirror *m);
void mirror_on_up(struct mirror *m); /* the keys are ours */
void mirror_on_down(struct mirror *m);
void mirror_on_change(struct mirror *m); /* something happened in the engine */
/* There was nothing to take in, though the list is longer than ours. */
void mirror_look_closely(struct mirror *m);

/* ---- intake.c: what others push ---- */

struct intake *intake_new(struct redis *r);
void intake_free(struct intake *in);
void intake_stop(struct intake *in);
void intake_on_up(struct intake *in);
void intake_on_down(struct intake *in);
/* There is something of others in the list. */
void intake_take(struct intake *in);
/* Every second. */
void intake_tick(struct intake *in);

#endif
