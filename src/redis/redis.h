/*
 * The Redis face of the queue: job_queue and running_jobs are kept up for those who read them, and
 * jobs that others push are taken in, each exactly once. A thread of its own; the queue goes on
 * without it. docs/redis.md says what stands in Redis.
 */
#ifndef REDIS_REDIS_H
#define REDIS_REDIS_H

#include "base/json.h"
#include "base/json_out.h"
#include "engine/engine.h"
#include "redis/url.h"

struct redis;

/* As whom jobs are handed in: a principal of role service, made at the first start. */
#define REDIS_PRINCIPAL "redis"

struct redis_config { /* all of it stays with the caller, who keeps it until redis_free() */
    const char *url;  /* see redis/url.h */
    const char *password_file;
    const char *ca, *certificate, *key;
    const char *const *users; /* whose jobs are taken in, ends with NULL; NULL: everybody's */
    bool mask_users;          /* the mirror shows neither users nor paths */
    /* What somebody pushed -> a job, as POST /api/v1/jobs and POST /submit read it. ERR_INVALID: it
     * is none. On the face's thread. */
    int (*read_job)(void *arg, const json_t *object, struct submission *ret, char user[FLEET_NAME],
                    struct err *e);
    void *arg;
};

/* Looks only at what can be wrong without a Redis: address, files, users' names. */
int redis_check(const struct redis_config *config, struct err *e);

/* Begins; that there is no Redis is no failure. After engine_start(). */
int redis_start(const struct redis_config *config, struct engine *engine, struct redis **ret,
                struct err *e);

/* Asks the engine nothing from now on. Before engine_stop(); NULL is fine. */
void redis_stop(struct redis *r);
/* Behind engine_stop(): its late answers have still found us. NULL is fine. */
void redis_free(struct redis *r);

/* ---- any thread ---- */

/* Figures for Prometheus, behind what OUT has. */
void redis_write_metrics(struct redis *r, struct text *out);
/* The member "redis" of what GET /api/v1/status answers. DETAILS: with the reason of a failure. */
void redis_write_status(struct redis *r, struct json_out *o, bool details);

#endif
