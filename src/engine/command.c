#include "base/mem.h"
#include "engine/engine.h"

struct command *command_new(enum command_kind kind)
{
    struct command *c = mem_new(struct command);
    c->kind = kind;
    return c;
}

void command_free(struct command *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->job_count; i++)
        free(c->jobs[i].spec);
    free(c->jobs);
    if (c->report) {
        free(c->report->devices);
        free(c->report->attempts);
        free(c->report);
    }
    free(c->idempotency_key);
    free(c);
}
