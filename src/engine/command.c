#include "base/mem.h"
#include "engine/engine.h"

struct command *command_new(enum command_kind kind)
{
    struct command *c = mem_new(struct command);
    c->kind = kind;
    return c;
}

void report_free(struct report *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->attempt_count; i++) {
        free(r->attempts[i].results);
        free(r->attempts[i].metadata);
        free(r->attempts[i].devices);
    }
    for (size_t i = 0; i < r->label_count; i++)
        free(r->labels[i]);
    for (size_t i = 0; i < r->taint_count; i++)
        free(r->taints[i]);
    free(r->labels);
    free(r->taints);
    free(r->meters);
    free(r->devices);
    free(r->attempts);
    free(r);
}

void command_free(struct command *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->job_count; i++)
        free(c->jobs[i].spec);
    free(c->jobs);
    report_free(c->report);
    free(c->note);
    free(c->idempotency_key);
    free(c);
}
