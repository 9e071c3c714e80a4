/* What the door's files share: its state. Only the door's thread touches it unless a member says
 * otherwise. */
#ifndef API_DOOR_H
#define API_DOOR_H

#include "api/agents.h"
#include "api/attempt_chart.h"
#include "api/call.h"
#include "api/events.h"
#include "api/expected.h"
#include "api/links.h"
#include "api/logs.h"
#include "api/page.h"
#include "api/progress.h"
#include "identity/guesses.h"
#include "net/loop.h"

struct api {
    struct api_config config;
    struct loop_thread *thread;
    uv_loop_t *loop;
    struct mailbox *box; /* any thread may post */
    struct http_server *server;
    uint16_t port;
    uv_timer_t tick; /* every second */
    int64_t ticks;
    uint64_t boot; /* makes tags of an earlier run differ */

    struct engine *engine; /* NULL until api_open() */
    struct page *page;     /* NULL: there is none */
    struct event_hub *events;
    struct log_followers *followers;
    struct agent_hub *agents;
    struct attempt_charts *charts;
    struct links *links;       /* has a lock of its own */
    struct progress *progress; /* the same */
    struct expected *expected; /* the same */
    uint64_t sample_version;   /* atomic: counts samples taken in */

    unsigned under_way; /* commands and reads whose answer has to come */
    bool stopping, server_stopped;
    void (*on_stopped)(void *arg);
    void *stop_arg;

    struct guesses *guesses;  /* of links' codes */
    struct account *accounts; /* of unix sockets' other ends, looked up before */
    struct histogram status_latency;
    uint64_t answered[6]; /* by hundreds of the status */
};

/* A job for the engine's workers; RUN and DONE as in net/workers.h. False: too many wait. */
bool api_work(struct api *a, void (*run)(void *state, void *job), void (*done)(void *job),
              void *job);
/* Each DONE of api_work() and each answer of the engine calls this once. */
void api_work_done(struct api *a);

/* door.c -> dispatch: a complete request. */
void api_on_request(void *arg, struct http_request *r);
size_t api_body_limit(void *arg, enum http_method method, const char *path);

#endif
