/* Commands about principals, enrolment and nodes. */
#include "base/clock.h"
#include "base/mem.h"
#include "core/access/access.h"
#include "engine/internal.h"

int command_principal_add(struct engine *g, struct command *c, struct err *e)
{
    const struct fleet_view *v = &g->core.fleet->view;
    const struct principal *p = fleet_principal_named(v, c->name);
    if (p)
        return err_set(e, ERR_CONFLICT, "user '%s' exists already%s", c->name,
                       p->disabled_ms ? ", disabled" : "");
    if (c->role < 0 || c->role >= ROLES)
        return err_set(e, ERR_INVALID, "role %lld is not known", (long long)c->role);
    struct event ev = {
        .kind = EVENT_ID_PRINCIPAL_ADDED, .subject = v->principal_count + 1, .actor = c->actor};
    event_set_text(ev.PRINCIPAL_ADDED.name, c->name);
    event_set_text(ev.PRINCIPAL_ADDED.team, c->team);
    ev.PRINCIPAL_ADDED.role = c->role;
    engine_event(g, &ev);
    c->ret_id = ev.subject;
    return 0;
}

int command_principal_change(struct engine *g, struct command *c, struct err *e)
{
    const struct principal *p = fleet_principal(&g->core.fleet->view, c->principal);
    if (!p)
        return err_set(e, ERR_NOT_FOUND, "there is no such user");
    if (p->id == 1 && (c->role != ROLE_ADMIN || c->disabled))
        return err_set(e, ERR_CONFLICT, "user '%s' stays an admin, so that somebody is", p->name);
    struct event ev = {.kind = EVENT_ID_PRINCIPAL_CHANGED, .subject = p->id, .actor = c->actor};
    ev.PRINCIPAL_CHANGED.role = c->role;
    ev.PRINCIPAL_CHANGED.disabled = c->disabled;
    event_set_text(ev.PRINCIPAL_CHANGED.team, c->team);
    engine_event(g, &ev);
    c->ret_id = p->id;
    return 0;
}

struct token_holder engine_enrolment_holder(const struct enrolment_row *r)
{
    struct token_holder holder = {.kind = TOKEN_ENROL,
                                  .id = r->id,
                                  .holder = r->id,
                                  .expires_ms = r->expires_ms,
                                  .created_ms = r->created_ms};
    snprintf(holder.name, sizeof holder.name, "%s", r->node ? r->node : "");
    return holder;
}

/* The event; ROW is filled in and not written yet. */
static void new_enrolment(struct engine *g, const struct command *c, int64_t expires_ms,
                          struct enrolment_row *row)
{
    struct event ev = {
        .kind = EVENT_ID_ENROLMENT_CREATED, .subject = g->next_enrolment++, .actor = c->actor};
    event_set_text(ev.ENROLMENT_CREATED.node, c->name);
    ev.ENROLMENT_CREATED.expires_ms = expires_ms;
    engine_event(g, &ev);
    *row = (struct enrolment_row){.id = ev.subject,
                                  .node = c->name,
                                  .hash = {c->hash.bytes, DIGEST_SIZE},
                                  .created_ms = ev.time_ms,
                                  .expires_ms = expires_ms};
}

int command_enrolment_create(struct engine *g, struct command *c, struct err *e)
{
    (void)e;
    struct enrolment_row row;
    new_enrolment(g, c, c->expires_ms, &row);
    batch_put(engine_batch(g), TABLE_ID_ENROLMENT, &row);
    struct action put = {
        .what = ACTION_TOKEN_PUT, .hash = c->hash, .holder = engine_enrolment_holder(&row)};
    engine_act(g, &put);
    c->ret_id = row.id;
    return 0;
}

/* What C shows was not made here: a record like any other, for the lists. */
static struct token_holder vouched_holder(struct engine *g, const struct command *c)
{
    struct enrolment_row row;
    new_enrolment(g, c, g->clock.last_ms, &row);
    return engine_enrolment_holder(&row);
}

int command_enrol(struct engine *g, struct command *c, struct err *e)
{
    struct token_holder holder = {0};
    const struct fleet_view *v = &g->core.fleet->view;
    /* Here and not in the door: two agents with the same token are decided one after the other. */
    if (!c->vouched && (!tokens_find(g->tokens, &c->hash, g->clock.last_ms, &holder) ||
                        holder.kind != TOKEN_ENROL))
        return err_set(e, ERR_UNAUTHENTICATED,
                       "the enrolment token is not valid: unknown, used or expired");
    if (!text_is_name(c->name, FLEET_NAME - 1))
        return err_set(e, ERR_INVALID, "node name '%.64s' is not a name", c->name);
    const struct node *known = fleet_node_named(v, c->name);
    if (!known && v->node_count >= NODES_MOST)
        return err_set(e, ERR_EXHAUSTED, "there are %d nodes, which is the most", NODES_MOST);

    if (c->vouched)
        holder = vouched_holder(g, c);
    struct event ev = {.kind = EVENT_ID_NODE_ENROLLED,
                       .subject = known ? known->id : v->node_count + 1,
                       .actor = c->actor};
    event_set_text(ev.NODE_ENROLLED.name, c->name);
    engine_event(g, &ev);
    struct enrolment_row used = {.id = holder.id,
                                 .node = holder.name,
                                 .hash = {c->hash.bytes, DIGEST_SIZE},
                                 .created_ms = holder.created_ms,
                                 .expires_ms = holder.expires_ms,
                                 .used_ms = ev.time_ms};
    batch_put(engine_batch(g), TABLE_ID_ENROLMENT, &used);
    struct node_key_row key = {
        .node = ev.subject, .hash = {c->key_hash.bytes, DIGEST_SIZE}, .created_ms = ev.time_ms};
    batch_put(engine_batch(g), TABLE_ID_NODE_KEY, &key);
    tokens_remove(g->tokens, &c->hash);
    tokens_remove_holder(g->tokens, TOKEN_NODE, ev.subject);
    engine_act(g, &(struct action){
                      .what = ACTION_TOKEN_PUT,
                      .hash = c->key_hash,
                      .holder = {.kind = TOKEN_NODE, .id = ev.subject, .holder = ev.subject}});
    c->ret_id = ev.subject;
    return 0;
}

/* Every open attempt of this node, by job id: the list is taken first, since it changes under us.
 */
static void lose_all(struct engine *g, int64_t node, const char *why)
{
    const struct fleet_view *v = &g->core.fleet->view;
    size_t count = 0;
    auto_free int64_t *jobs = mem_new_array(int64_t, (size_t)v->running.count + 1);
    struct tree_walk w;
    for (bool more = tree_first(&w, &v->running, &v->tree_nodes, (struct tree_key){0, 0}); more;
         more = tree_next(&w)) {
        const struct job *j = fleet_job_at(v, w.value);
        if (fleet_attempt_at(v, j->attempt)->node == node)
            jobs[count++] = j->id;
    }
    for (size_t i = 0; i < count; i++)
        schedule_lose(g, fleet_job(v, jobs[i]), why);
}

int command_node_lost(struct engine *g, struct command *c, struct err *e)
{
    const struct node *n = fleet_node(&g->core.fleet->view, c->id);
    if (!n)
        return err_set(e, ERR_NOT_FOUND, "there is no such node");
    if (n->state == NODE_READY)
        return err_set(e, ERR_CONFLICT,
                       "node '%s' is heard, so it is not lost; stop its agent first", n->name);
    char why[EVENT_TEXT];
    const struct principal *actor = fleet_principal(&g->core.fleet->view, c->actor);
    snprintf(why, sizeof why, "node %s was declared lost by %s%s%.100s", n->name,
             actor           ? actor->name
             : n->cluster[0] ? "its cluster"
                             : "an operator",
             c->why[0] ? ": " : "", c->why);
    struct event ev = {.kind = EVENT_ID_NODE_LOST, .subject = c->id, .actor = c->actor};
    event_set_text(ev.NODE_LOST.proof, why);
    engine_event(g, &ev);
    lose_all(g, c->id, why);
    return 0;
}

int command_node_retire(struct engine *g, struct command *c, struct err *e)
{
    const struct node *n = fleet_node(&g->core.fleet->view, c->id);
    if (!n || n->state == NODE_RETIRED_)
        return err_set(e, ERR_NOT_FOUND, "there is no such node");
    if (n->attempts)
        return err_set(e, ERR_CONFLICT, "node '%s' still runs %u jobs", n->name, n->attempts);
    struct event ev = {.kind = EVENT_ID_NODE_RETIRED, .subject = c->id, .actor = c->actor};
    event_set_text(ev.NODE_RETIRED.why, c->why);
    engine_event(g, &ev);
    struct node_key_row key = {.node = c->id};
    batch_delete(engine_batch(g), TABLE_ID_NODE_KEY, &key);
    tokens_remove_holder(g->tokens, TOKEN_NODE, c->id);
    return 0;
}
