/*
 * The connection to Redis: made, greeted, made again after a pause whenever it fails. Commands are
 * answered in their order. Belongs to its loop's thread; call-backs never run within a call.
 */
#ifndef REDIS_LINK_H
#define REDIS_LINK_H

#include "redis/reply.h"
#include "redis/script.h"
#include "redis/url.h"

#include <uv.h>

struct redis_link;

struct redis_link_config { /* stays with the caller, who keeps it */
    struct redis_url url;
    const char *password_file;          /* read at each try; NULL: what the URL says */
    const char *ca, *certificate, *key; /* PEM files; NULL: the system's, none */
};

struct redis_link_events {
    void (*on_up)(void *arg);
    /* It is down, or could not be made; the next try comes by itself. */
    void (*on_down)(void *arg, const struct err *why);
    void *arg;
};

/* Begins to connect. */
struct redis_link *redis_link_new(uv_loop_t *loop, const struct redis_link_config *config,
                                  const struct redis_link_events *events);
/* No call-back comes any more. NULL is fine. */
void redis_link_free(struct redis_link *l);

bool redis_link_is_up(const struct redis_link *l);

/* R NULL: the link failed, and nobody knows whether it was done. R is borrowed. */
typedef void (*redis_on_reply)(void *arg, const struct redis_reply *r);

/* Copies. ON_REPLY comes in any case but that of redis_link_free(). */
void redis_link_send(struct redis_link *l, const struct redis_arg *args, size_t count,
                     redis_on_reply on_reply, void *arg);
/* The same for a script. The first KEYS of ARGS are its keys. */
void redis_link_run(struct redis_link *l, enum redis_script script, const struct redis_arg *args,
                    size_t keys, size_t count, redis_on_reply on_reply, void *arg);

/* What Redis answers is of no use to us: begins anew after a pause, which grows until somebody says
 * that all is well. */
void redis_link_give_up(struct redis_link *l, const struct err *why);
void redis_link_is_well(struct redis_link *l);

struct redis_link_counts {
    int64_t connects, commands, sent_bytes, received_bytes;
};
struct redis_link_counts redis_link_counts(const struct redis_link *l);

/* An argument out of a text. */
static inline struct redis_arg redis_arg(const char *text)
{
    return (struct redis_arg){text, __builtin_strlen(text)};
}

#endif
