#include "core/fleet/fleet.h"

#include "base/mem.h"
#include "core/fleet/where.h"

const char *node_state_name(enum node_state s)
{
    static const char *const names[NODE_STATES] = {"enrolled", "ready", "unknown", "lost",
                                                   "retired"};
    return s < NODE_STATES ? names[s] : "unknown";
}

const char *isolation_name(int isolation)
{
    static const char *const names[] = {"none", "shared", "user"};
    return isolation >= 0 && isolation < 3 ? names[isolation] : "none";
}

const char *device_health_name(int health)
{
    static const char *const names[DEVICE_HEALTHS] = {"ok", "unknown", "faulty", "gone"};
    return health >= 0 && health < DEVICE_HEALTHS ? names[health] : "unknown";
}

const char *bucket_name(enum bucket b)
{
#define X(id, name) #name,
    static const char *const names[BUCKET_COUNT] = {BUCKETS(X)};
#undef X
    return names[b];
}

/* Every table with its view, so that what holds for one is written once. */
#define FLEET_TABLES(T)                                                                            \
    T(principals, struct principal)                                                                \
    T(nodes, struct node)                                                                          \
    T(devices, struct device)                                                                      \
    T(jobs, struct job)                                                                            \
    T(holds, struct hold)                                                                          \
    T(attempts, struct attempt)                                                                    \
    T(parts, struct part)                                                                          \
    T(shapes, struct shape)                                                                        \
    T(labels, struct team_label)                                                                   \
    T(wheres, struct where)                                                                        \
    T(node_labels, struct node_labels)                                                             \
    T(node_taints, struct node_taint)

struct fleet *fleet_new(void)
{
    struct fleet *f = mem_new(struct fleet);
    f->pages = pages_new();
#define T(name, type) table_init(&f->name, f->pages, sizeof(type));
    FLEET_TABLES(T)
#undef T
    table_init(&f->tree_nodes, f->pages, TREE_NODE_BYTES);

    /* Row 0 stands for "none" wherever ids are rows. */
    table_add(&f->principals);
    table_add(&f->nodes);
    table_add(&f->devices);
    table_add(&f->holds);
    table_add(&f->shapes);
    table_add(&f->labels);
    table_add(&f->wheres);
    table_add(&f->node_labels);
    table_add(&f->node_taints);
    f->view.by_id = f->view.by_owner = f->view.waiting = f->view.by_shape = f->view.paused =
        TREE_EMPTY;
    f->view.running = f->view.shape_keys = f->view.team_names = f->view.where_texts = TREE_EMPTY;
    f->view.next_job = 1;
    fleet_refresh(f);
    return f;
}

void fleet_free(struct fleet *f)
{
    if (!f)
        return;
#define T(name, type) table_done(&f->name);
    FLEET_TABLES(T)
#undef T
    table_done(&f->tree_nodes);
    pages_free(f->pages);
    free(f);
}

void fleet_refresh(struct fleet *f)
{
#define T(name, type) f->view.name = f->name.view;
    FLEET_TABLES(T)
#undef T
    f->view.tree_nodes = f->tree_nodes.view;
}

void fleet_snapshot(struct fleet *f, struct snapshot *ret)
{
    fleet_refresh(f);
    ret->moment = pages_snapshot(f->pages);
    ret->view = f->view;
#define T(name, type) ret->view.name = table_share(&f->name);
    FLEET_TABLES(T)
#undef T
    ret->view.tree_nodes = table_share(&f->tree_nodes);
}

void fleet_snapshot_drop(struct fleet *f, struct snapshot *s)
{
#define T(name, type) table_unshare(&s->view.name);
    FLEET_TABLES(T)
#undef T
    table_unshare(&s->view.tree_nodes);
    pages_release(f->pages, s->moment);
}

const struct principal *fleet_principal(const struct fleet_view *v, int64_t id)
{
    return id > 0 && id <= v->principal_count ? table_row(&v->principals, (uint32_t)id) : NULL;
}

const struct principal *fleet_principal_named(const struct fleet_view *v, const char *name)
{
    for (int64_t id = 1; id <= v->principal_count; id++) {
        const struct principal *p = fleet_principal(v, id);
        if (strcmp(p->name, name) == 0)
            return p;
    }
    return NULL;
}

const struct node *fleet_node(const struct fleet_view *v, int64_t id)
{
    return id > 0 && id <= v->node_count ? table_row(&v->nodes, (uint32_t)id) : NULL;
}

const struct node *fleet_node_named(const struct fleet_view *v, const char *name)
{
    for (int64_t id = 1; id <= v->node_count; id++) {
        const struct node *n = fleet_node(v, id);
        if (n->state != NODE_RETIRED_ && strcmp(n->name, name) == 0)
            return n;
    }
    return NULL;
}

const struct device *fleet_device(const struct fleet_view *v, int64_t id)
{
    return id > 0 && id <= v->device_count ? table_row(&v->devices, (uint32_t)id) : NULL;
}

uint32_t fleet_job_row(const struct fleet_view *v, int64_t id)
{
    return tree_find(&v->by_id, &v->tree_nodes, (struct tree_key){0, (uint64_t)id});
}

const struct job *fleet_job(const struct fleet_view *v, int64_t id)
{
    uint32_t row = fleet_job_row(v, id);
    return row == NO_ROW ? NULL : fleet_job_at(v, row);
}

const struct attempt *fleet_job_attempt(const struct fleet_view *v, const struct job *j)
{
    return j->attempt == NO_ROW ? NULL : fleet_attempt_at(v, j->attempt);
}

const struct hold *fleet_job_hold(const struct fleet_view *v, const struct job *j)
{
    return j->hold ? table_row(&v->holds, j->hold) : NULL;
}

const char *fleet_team(const struct fleet_view *v, const struct job *j)
{
    return ((const struct team_label *)table_row(&v->labels, j->team))->text;
}

int64_t fleet_next_due(const struct fleet_view *v, const struct job **ret_job)
{
    struct tree_walk w;
    if (!tree_first(&w, &v->paused, &v->tree_nodes, (struct tree_key){0, 0}))
        return 0;
    *ret_job = fleet_job_at(v, w.value);
    return job_due_ms(*ret_job);
}

int64_t fleet_position(const struct fleet_view *v, const struct job *j)
{
    if (j->state != JOB_QUEUED)
        return 0;
    return (int64_t)tree_rank(&v->waiting, &v->tree_nodes, (struct tree_key){0, j->place}) + 1;
}

/* By what rows mean and in the order of ids, not by where they lie: a store that was closed and
 * opened gives the same digest. */
static void digest_job(struct digest_state *s, const struct fleet_view *v, const struct job *j)
{
    const int64_t numbers[] = {j->id,        j->submitted_ms, j->since_ms,     j->started_ms,
                               j->run_ms,    j->energy_mj,    j->cost_micros,  (int64_t)j->place,
                               j->principal, j->submitter,    j->gpus,         j->gpu_memory_mib,
                               j->cpu_milli, j->memory_mib,   j->time_limit_s, j->attempts,
                               j->retries,   j->retries_left, j->flags,        j->state};
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        digest_add_int(s, numbers[i]);
    if (j->pause_ms) /* only then: ledgers of older programs keep their digests */
        digest_add_int(s, j->pause_ms);
    const char *team = fleet_team(v, j);
    digest_add(s, team, strlen(team) + 1);
    const struct where *where = fleet_where(v, j->where);
    if (where) {
        digest_add(s, where->selector, strlen(where->selector) + 1);
        digest_add(s, where->tolerations, strlen(where->tolerations) + 1);
    }
    const struct hold *hold = fleet_job_hold(v, j);
    if (hold) { /* jobs that are not held give the digest that they gave before there were holds */
        digest_add_int(s, hold->actor);
        digest_add_int(s, hold->since_ms);
    }

    const struct attempt *a = fleet_job_attempt(v, j);
    if (!a)
        return;
    digest_add_int(s, a->n);
    digest_add_int(s, a->node);
    digest_add_int(s, a->state);
    for (uint32_t p = a->first_part; p != NO_ROW; p = fleet_part_at(v, p)->next)
        digest_add_int(s, fleet_part_at(v, p)->device);
}

/* What a cluster says of its node. */
static void digest_share(struct digest_state *s, const struct fleet_view *v, const struct node *n)
{
    const int64_t numbers[] = {n->has_share, n->share_cpu_milli, n->share_memory_mib,
                               n->foreign_gpus, n->cordoned};
    digest_add(s, n->cluster, strlen(n->cluster) + 1);
    digest_add(s, n->share_why, strlen(n->share_why) + 1);
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        digest_add_int(s, numbers[i]);
    for (const struct node_labels *l = fleet_labels(v, n->labels); l; l = fleet_labels(v, l->next))
        for (uint32_t i = 0; i < l->count; i++)
            digest_add_int(s, l->at[i]);
    for (const struct node_taint *t = fleet_taint(v, n->taints); t; t = fleet_taint(v, t->next))
        for (uint32_t i = 0; i < t->forms; i++)
            digest_add_int(s, t->form[i]);
}

struct digest fleet_digest(const struct fleet_view *v)
{
    struct digest_state *s = digest_begin();
    digest_add(s, &v->policy, sizeof v->policy);
    const int64_t numbers[] = {v->last_seq,  v->epoch,  v->next_job,
                               v->completed, v->failed, v->cancelled};
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        digest_add_int(s, numbers[i]);

    for (int64_t id = 1; id <= v->principal_count; id++) {
        const struct principal *p = fleet_principal(v, id);
        digest_add(s, p->name, strlen(p->name) + 1);
        digest_add_int(s, p->role);
        digest_add_int(s, p->disabled_ms);
    }
    for (int64_t id = 1; id <= v->node_count; id++) {
        const struct node *n = fleet_node(v, id);
        digest_add(s, n->name, strlen(n->name) + 1);
        digest_add_int(s, n->state);
        digest_add_int(s, n->busy);
        digest_add_int(s, n->only_principal);
        if (n->cluster[0])
            digest_share(s, v, n);
    }
    for (int64_t id = 1; id <= v->device_count; id++) {
        const struct device *d = fleet_device(v, id);
        digest_add(s, d->uuid, strlen(d->uuid) + 1);
        digest_add_int(s, d->health);
        digest_add_int(s, d->busy);
        digest_add_int(s, d->free_mib);
        if (d->twin)
            digest_add_int(s, d->twin);
    }
    struct tree_walk w;
    for (bool more = tree_first(&w, &v->by_id, &v->tree_nodes, (struct tree_key){0, 0}); more;
         more = tree_next(&w))
        digest_job(s, v, fleet_job_at(v, w.value));
    return digest_end(s);
}
