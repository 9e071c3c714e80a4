/*
 * The agent's line to the control plane: enrolment, the held command stream, reports one at a time.
 * Everything it tells comes from the agent's state, marked by `tell` flags; what failed to arrive
 * is marked again.
 *
 *     ENROLLING -> WAITING <-> CONNECTING -> WELCOMED -> (hello acknowledged) LINKED
 */
#ifndef AGENT_LINK_H
#define AGENT_LINK_H

#include "agent/agent.h"

/* Without a server it does nothing. Never NULL. */
struct link *link_start(struct agent *agent);
/* Cancels what is under way. NULL is fine. */
void link_stop(struct link *l);

/* Something is marked to be told: it leaves with the loop's next turn. */
void link_wake(struct link *l);
/* A hello waits until the devices are known and no start is in between: look again. */
void link_hello_may_go(struct link *l);

/* Hello was acknowledged: samples and logs may be sent. */
bool link_is_up(const struct link *l);
/* Up, connecting, ...: for /status. */
const char *link_state_word(const struct link *l);

/* A call to the control plane: URL, socket, CA and key filled in. PATH begins with '/'. ON_DONE as
 * in http_client_send(). */
struct link_call {
    enum http_method method;
    const char *path, *type;
    const struct http_header *more_headers; /* besides authorization and content type */
    const void *body;
    size_t len;
    int64_t timeout_ms, silence_ms;
    bool (*on_data)(void *arg, const char *bytes, size_t len);
    const char *token; /* instead of the node's key */
};
struct http_client_call *link_send(struct link *l, const struct link_call *call,
                                   void (*on_done)(void *arg, const struct http_reply *reply),
                                   void *arg);

#endif
