/*
 * The gate before a start on a cluster's node: its agent looks once more, on a fresh reading. On a
 * machine the agent does so when the start arrives; here the start goes another way.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "engine/internal.h"

enum { TRIES = 3, TRY_MS = 5000 };

/* A decided attempt that waits for the word of its node's agent. */
struct check {
    struct check *next;
    int64_t job, n, node;
    int64_t due_mono_ms; /* then it is asked again, or given up */
    int tries;
};

static const struct attempt *attempt_of(struct engine *g, const struct check *c)
{
    const struct fleet_view *v = &g->core.fleet->view;
    const struct job *j = fleet_job(v, c->job);
    const struct attempt *a = j ? fleet_job_attempt(v, j) : NULL;
    return a && a->n == c->n && a->state == ATTEMPT_DECIDED ? a : NULL;
}

static void ask(struct engine *g, struct check *c, const struct attempt *a)
{
    c->tries++;
    c->due_mono_ms = clock_mono_ms() + TRY_MS;
    send_gate_check(g, a);
}

static struct check **find(struct engine *g, int64_t job, int64_t n)
{
    struct check **link = &g->checks;
    while (*link && ((*link)->job != job || (*link)->n != n))
        link = &(*link)->next;
    return link;
}

static void drop(struct check **link)
{
    struct check *c = *link;
    *link = c->next;
    free(c);
}

bool gate_ask(struct engine *g, const struct attempt *a)
{
    const struct node *n = fleet_node(&g->core.fleet->view, a->node);
    if (!n->cluster[0] || g->core.fleet->view.policy.gate_off || !node_expects_agent(g, n))
        return false;
    struct check **link = find(g, a->job, a->n);
    if (*link)
        return true;
    struct check *c = *link = mem_new(struct check);
    *c = (struct check){.job = a->job, .n = a->n, .node = a->node};
    ask(g, c, a);
    return true;
}

bool gate_hear(struct engine *g, int64_t node, const struct attempt_report *a)
{
    struct check **link = find(g, a->job, a->n);
    if (!*link || (*link)->node != node)
        return false;
    bool open = attempt_of(g, *link) != NULL;
    drop(link);
    if (!open)
        return true;
    if (a->what == REPORT_CLEAR)
        engine_act(g, &(struct action){.what = ACTION_SEND_CLEAR, .a = a->job, .b = a->n});
    else
        hear_refused(g, node, a);
    return true;
}

static void give_up(struct engine *g, const struct check *c)
{
    struct attempt_report none = {.job = c->job, .n = c->n, .what = REPORT_REFUSED};
    snprintf(none.why, sizeof none.why, "no fresh word from its agent");
    hear_refused(g, c->node, &none);
}

void gate_second(struct engine *g, int64_t mono)
{
    for (struct check **link = &g->checks; *link;) {
        struct check *c = *link;
        const struct attempt *a = attempt_of(g, c);
        if (a && node_expects_agent(g, fleet_node(&g->core.fleet->view, c->node))) {
            if (mono < c->due_mono_ms) {
                link = &c->next;
                continue;
            }
            if (c->tries < TRIES) {
                ask(g, c, a);
                link = &c->next;
                continue;
            }
            give_up(g, c);
        } else if (a) { /* nobody is there to ask any more */
            engine_act(g, &(struct action){.what = ACTION_SEND_CLEAR, .a = c->job, .b = c->n});
        }
        drop(link);
    }
}

void gate_done(struct engine *g)
{
    while (g->checks)
        drop(&g->checks);
}
