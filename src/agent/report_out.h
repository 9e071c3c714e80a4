/*
 * Gathers what is marked to be told into reports, one under way at a time; what does not arrive is
 * marked again. Part of the link.
 */
#ifndef AGENT_REPORT_OUT_H
#define AGENT_REPORT_OUT_H

#include "agent/agent.h"

struct report_out {
    struct agent *agent;
    bool (*may_send)(void *arg);
    void (*on_done)(void *arg, const struct http_reply *reply, bool was_hello);
    void *arg;

    int64_t seq;
    bool is_hello_due, sends_hello, sent_host, sent_bound;
    bool sent_device[GPU_MAX_DEVICES];
    struct http_client_call *call;
    struct after *timer;
    unsigned failures;
};

void report_out_init(struct report_out *r, struct agent *agent, bool (*may_send)(void *arg),
                     void (*on_done)(void *arg, const struct http_reply *reply, bool was_hello),
                     void *arg);
void report_out_done(struct report_out *r);

/* Sends with the loop's next turn, if there is something to tell and nothing under way. */
void report_out_wake(struct report_out *r);

#endif
