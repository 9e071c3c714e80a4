/* Nodes: found, linked, greeted, reported on; one report of a node at a time. */
#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/internal.h"

enum { HELLO_PAUSE_MS = 2000 };

/* ---- the table ---- */

static uint32_t hash_text(const char *s)
{
    uint32_t h = 2166136261u;
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 16777619u;
    return h;
}

struct member *member_find(const struct cluster *c, const char *name)
{
    struct member *m = c->members[hash_text(name) % MEMBER_BUCKETS];
    while (m && strcmp(m->name, name) != 0)
        m = m->next_in_bucket;
    return m;
}

struct member *member_get(struct cluster *c, const char *name)
{
    struct member *m = member_find(c, name);
    if (m || !text_is_name(name, FLEET_NAME - 1))
        return m;
    struct member **bucket = &c->members[hash_text(name) % MEMBER_BUCKETS];
    m = mem_new(struct member);
    m->cluster = c;
    m->next_in_bucket = *bucket;
    snprintf(m->name, sizeof m->name, "%s", name);
    *bucket = m;
    return m;
}

struct member *member_by_id(const struct cluster *c, int64_t id)
{
    return id > 0 && (size_t)id < c->by_id_count ? c->by_id[id] : NULL;
}

static void set_id(struct cluster *c, struct member *m, int64_t id)
{
    if ((size_t)id >= c->by_id_count) {
        size_t count = (size_t)id + 64;
        c->by_id = mem_resize_array(c->by_id, count);
        memset(c->by_id + c->by_id_count, 0, (count - c->by_id_count) * sizeof *c->by_id);
        c->by_id_count = count;
    }
    m->id = id;
    c->by_id[id] = m;
}

void members_free(struct cluster *c)
{
    for (size_t i = 0; i < MEMBER_BUCKETS; i++)
        while (c->members[i]) {
            struct member *m = c->members[i];
            c->members[i] = m->next_in_bucket;
            free(m);
        }
    free(c->by_id);
}

static const struct kube_node *record_of(const struct member *m)
{
    return (const struct kube_node *)kube_watch_find(m->cluster->nodes, "", m->name);
}

/* ---- what is said of an attempt ---- */

static enum attempt_word what_of(const struct track *t)
{
    if (t->phase == TRACK_TELLING || (t->phase < TRACK_THERE && !t->view.why[0]))
        return REPORT_SENT;
    switch (t->view.state) {
    case RUNNER_RUNNING:
        return REPORT_STARTED;
    case RUNNER_ENDED:
        return REPORT_ENDED;
    case RUNNER_REFUSED:
        return REPORT_REFUSED;
    case RUNNER_LOST:
        return REPORT_LOST;
    default:
        return REPORT_WAITING;
    }
}

static void describe(struct track *t, struct attempt_report *r)
{
    const struct runner_view *v = &t->view;
    memcpy(r->id, t->id, sizeof r->id);
    r->job = t->job;
    r->n = t->n;
    r->what = what_of(t);
    r->outcome = r->what == REPORT_ENDED ? v->outcome : OUTCOME_NONE;
    r->exit_code = v->exit_code;
    r->term_signal = v->term_signal;
    if (t->started_ms)
        r->ago_ms = cluster_now() - t->started_ms;
    if (v->started_ms && v->ended_ms > v->started_ms)
        r->run_ms = v->ended_ms - v->started_ms;
    else if (t->started_ms && t->phase == TRACK_OVER)
        r->run_ms = r->ago_ms;
    event_set_text(r->why, v->why);
    t->telling = 1 + (int32_t)r->what;
    t->telling_why = hash_text(v->why);
    if (!t->is_in_report) {
        t->is_in_report = true;
        t->next_told = t->member->in_report;
        t->member->in_report = t;
    }
}

void member_tell(struct track *t)
{
    if (t->is_dirty || t->is_forgotten)
        return;
    t->is_dirty = true;
    t->next_dirty = t->member->dirty;
    t->member->dirty = t;
    t->cluster->flush_due = true;
}

static void forget_dirty(struct member *m)
{
    while (m->dirty) {
        m->dirty->is_dirty = false;
        m->dirty = m->dirty->next_dirty;
    }
}

/* ---- reports ---- */

static void on_reported(struct command *command);

static void add_facts(struct report *r, struct node_facts *f)
{
    r->has_share = true;
    r->share_cpu_milli = f->share_cpu_milli;
    r->share_memory_mib = f->share_memory_mib;
    r->foreign_gpus = f->foreign_gpus;
    r->cordoned = f->cordoned;
    snprintf(r->share_why, sizeof r->share_why, "%s", f->why);
    r->has_labels = true;
    r->labels = TAKE(f->labels);
    r->label_count = f->label_count;
    r->taints = TAKE(f->taints);
    r->taint_count = f->taint_count;
    f->label_count = f->taint_count = 0;
    r->devices = TAKE(f->devices);
    r->device_count = f->device_count;
    f->device_count = 0;
}

static void add_attempts(struct member *m, struct report *r, bool hello)
{
    size_t count = 0;
    for (struct track *t = m->tracks; t; t = t->next_of_member)
        count += hello || t->is_dirty;
    r->attempts = mem_new_array(struct attempt_report, count + 1);
    for (struct track *t = m->tracks; t; t = t->next_of_member)
        if (!t->is_forgotten && (hello || t->is_dirty))
            describe(t, &r->attempts[r->attempt_count++]);
    forget_dirty(m);
}

/* Objects that we may not look at may be those of open attempts: not seeing them says nothing. */
static bool may_greet(struct member *m)
{
    struct cluster *c = m->cluster;
    bool denied = false, may = true;
    for (size_t i = 0; i < c->object_count; i++)
        denied |= c->objects[i].is_denied;
    if (!denied)
        return true;
    const struct engine_view *view = engine_view_get(c->engine);
    const struct fleet_view *v = &view->fleet;
    struct tree_walk w;
    for (bool more = tree_first(&w, &v->running, &v->tree_nodes, (struct tree_key){0, 0}); more;
         more = tree_next(&w)) {
        const struct job *j = fleet_job_at(v, w.value);
        const struct attempt *a = fleet_attempt_at(v, j->attempt);
        if (a->node == m->id && a->state != ATTEMPT_DECIDED && !track_find(c, j->id, a->n))
            may = false;
    }
    engine_view_release(c->engine, view);
    return may;
}

static struct track *pop_told(struct member *m)
{
    struct track *t = m->in_report;
    if (t) {
        m->in_report = t->next_told;
        t->is_in_report = false;
    }
    return t;
}

static void undo_report(struct member *m)
{
    for (struct track *t; (t = pop_told(m));)
        member_tell(t);
}

static void send_report(struct member *m, const struct kube_node *n, bool hello)
{
    struct cluster *c = m->cluster;
    struct node_facts f = {0};
    struct command *command = command_new(COMMAND_REPORT);
    struct report *r = command->report = mem_new(struct report);
    r->node = m->id;
    r->source = LINK_CLUSTER;
    if (n)
        node_facts_read(n, &m->foreign, &f);
    uint64_t hash = n ? node_facts_hash(&f) : m->told_facts;
    bool facts = hello || hash != m->told_facts;
    m->facts_due = false;
    if (!facts && !m->dirty) {
        command_free(command);
        node_facts_done(&f);
        return;
    }
    if (hello) {
        snprintf(m->boot_id, sizeof m->boot_id, "%s", f.boot_id);
        r->is_hello = true;
        r->isolation = ISOLATION_USER; /* each job has a container of its own */
        r->cpu_milli = f.cpu_milli;
        r->memory_mib = f.memory_mib;
        snprintf(r->version, sizeof r->version, "%s", f.version);
        m->hello_due = false;
        m->hello_at_ms = cluster_now();
    }
    snprintf(r->boot_id, sizeof r->boot_id, "%s", m->boot_id);
    snprintf(r->data_id, sizeof r->data_id, "%s", c->data_id);
    if (facts)
        add_facts(r, &f);
    node_facts_done(&f);
    m->told_facts = hash;
    add_attempts(m, r, hello);
    m->report_under_way = true;
    if (cluster_ask(c, command, on_reported, m))
        return;
    command_free(command);
    m->report_under_way = false;
    m->told_facts = 0;
    m->hello_due |= hello;
    m->facts_due = true;
    m->again_ms = cluster_now() + c->config.ask_ms;
    undo_report(m);
}

/* What was told of an attempt is durable. */
static void was_told(struct track *t)
{
    t->told = t->telling;
    t->told_why = t->telling_why;
    if (t->phase == TRACK_TELLING && t->told == 1 + REPORT_SENT)
        track_make(t);
}

static void on_reported(struct command *command)
{
    struct member *m = command->arg;
    struct cluster *c = m->cluster;
    struct err e = command->error;
    command_free(command);
    m->report_under_way = false;
    if (c->stopping)
        return;
    c->flush_due = true;
    if (e.code != ERR_NONE) {
        m->told_facts = 0;
        m->facts_due = true;
        m->again_ms = cluster_now() + c->config.ask_ms;
        m->hello_due = true;
        if (e.code == ERR_UNAUTHENTICATED) { /* retired, until the cluster has it anew */
            m->is_refused = true;
            m->is_linked = false;
        }
        if (e.code != ERR_CONFLICT)
            log_warn("a report of a node was not taken in; telling it again",
                     F_TEXT("node", m->name), F_ERR(&e));
        undo_report(m);
        return;
    }
    for (struct track *t; (t = pop_told(m));)
        was_told(t);
}

void member_flush(struct member *m)
{
    struct cluster *c = m->cluster;
    if (!m->is_linked || m->report_under_way || m->is_refused || !cluster_is_synced(c) ||
        cluster_now() < m->again_ms)
        return;
    const struct kube_node *n = record_of(m);
    if (m->hello_due) {
        if (n && m->is_heard && c->is_reachable && may_greet(m))
            send_report(m, n, true);
        return;
    }
    if (m->facts_due || m->dirty)
        send_report(m, n, false);
}

void members_flush(struct cluster *c)
{
    if (!c->flush_due)
        return;
    c->flush_due = false;
    for (size_t i = 0; i < MEMBER_BUCKETS; i++)
        for (struct member *m = c->members[i]; m; m = m->next_in_bucket)
            if (m->hello_due || m->facts_due || m->dirty)
                member_flush(m);
}

/* ---- found and linked ---- */

static void on_found(struct command *command)
{
    struct member *m = command->arg;
    struct err e = command->error;
    int64_t id = command->ret_id;
    command_free(command);
    m->is_asked = false;
    if (m->cluster->stopping)
        return;
    if (e.code == ERR_NONE) {
        set_id(m->cluster, m, id);
        m->is_linked = m->hello_due = m->cluster->flush_due = true;
        return;
    }
    m->again_ms = cluster_now() + 10 * m->cluster->config.ask_ms;
    log_warn("a node of the cluster does not become one of the fleet just now",
             F_TEXT("node", m->name), F_ERR(&e));
}

static void find(struct member *m)
{
    struct command *command = command_new(COMMAND_NODE_FOUND);
    snprintf(command->name, sizeof command->name, "%s", m->name);
    snprintf(command->cluster, sizeof command->cluster, "%s", m->cluster->config.name);
    m->is_asked = cluster_ask(m->cluster, command, on_found, m);
    if (!m->is_asked)
        command_free(command);
}

static void on_unlinked(struct command *command)
{
    struct member *m = command->arg;
    if (command->error.code == ERR_NONE)
        m->is_linked = false;
    m->link_asked = false;
    command_free(command);
}

/* The cluster does not have it any more. */
static void unlink_node(struct member *m)
{
    struct command *command = command_new(COMMAND_LINK);
    command->node = m->id;
    command->link = LINK_CLUSTER;
    m->link_asked = cluster_ask(m->cluster, command, on_unlinked, m);
    if (!m->link_asked)
        command_free(command);
}

static void on_lost(struct command *command)
{
    struct member *m = command->arg;
    m->lost_asked = command->error.code == ERR_NONE; /* else again: it is heard for a while yet */
    command_free(command);
}

/* Whoever put the taint there says that the machine is off: its jobs may run elsewhere. */
static void lose(struct member *m)
{
    struct command *command = command_new(COMMAND_NODE_LOST);
    command->id = m->id;
    event_set_text(command->why, "it carries the taint node.kubernetes.io/out-of-service");
    m->lost_asked = cluster_ask(m->cluster, command, on_lost, m);
    if (!m->lost_asked)
        command_free(command);
}

/* ---- what the watch says ---- */

void member_on_node(struct cluster *c, const struct kube_node *n)
{
    struct member *m = member_get(c, n->head.name);
    if (!m) {
        log_warn("a node of the cluster is left out: its name is longer than 63 bytes, or none",
                 F_TEXT("node", n->head.name));
        return;
    }
    bool was_heard = m->is_heard;
    if (!m->is_present)
        m->is_refused = false;
    m->is_present = true;
    m->is_heard = n->is_ready && !n->head.deleted_ms;
    m->is_out = kube_node_taint(n, "node.kubernetes.io/out-of-service") != NULL;
    m->facts_due = c->flush_due = true;
    if (!m->is_out)
        m->lost_asked = false;
    if (m->is_heard && !was_heard)
        m->heard_since_ms = cluster_now();
    /* Another boot: all that ran there is over, which only a hello says. */
    if (m->is_heard && m->boot_id[0] && n->boot_id[0] && strcmp(m->boot_id, n->boot_id) != 0)
        m->hello_due = true;
}

void member_on_gone(struct cluster *c, const char *name)
{
    struct member *m = member_find(c, name);
    if (m)
        m->is_present = m->is_heard = m->is_out = false;
}

/* ---- every second ---- */

static void tick(struct member *m, const struct fleet_view *v, int64_t now)
{
    struct cluster *c = m->cluster;
    const struct node *n = m->id ? fleet_node(v, m->id) : NULL;
    if (m->is_present && !m->is_linked && !m->is_asked && !m->is_refused && now >= m->again_ms)
        find(m);
    else if (!m->is_present && m->is_linked && !m->link_asked)
        unlink_node(m);
    if (!m->is_linked)
        return;
    if (m->is_heard && c->is_reachable) {
        engine_node_heard(c->engine, LINK_CLUSTER, m->id);
        /* Silent for a while and back, or never heard: it is told everything. */
        if (n && n->state != NODE_READY && !m->report_under_way &&
            now - m->hello_at_ms > HELLO_PAUSE_MS)
            m->hello_due = true;
    }
    if (m->is_out && !m->lost_asked && n && n->state == NODE_UNKNOWN)
        lose(m);
}

void members_tick(struct cluster *c, const struct fleet_view *v)
{
    int64_t now = cluster_now();
    c->flush_due = true;
    for (size_t i = 0; i < MEMBER_BUCKETS; i++)
        for (struct member *m = c->members[i]; m; m = m->next_in_bucket)
            tick(m, v, now);
}

/* ---- other people's pods ---- */

/* All of them once: a few microseconds a thousand, and nothing that could go astray. */
void members_sum(struct cluster *c)
{
    const struct kube_head *head;
    c->flush_due = true;
    for (size_t i = 0; i < MEMBER_BUCKETS; i++)
        for (struct member *m = c->members[i]; m; m = m->next_in_bucket)
            m->summing = (struct foreign_sums){0};
    for (size_t at = 0; (head = kube_watch_next(c->pods, &at));) {
        const struct kube_pod *pod = (const struct kube_pod *)head;
        bool ours;
        struct member *m = pod->node[0] ? member_find(c, pod->node) : NULL;
        const struct track *t = m ? objects_owner_of_pod(c, pod, &ours) : NULL;
        /* One that we are ending still holds what it has. */
        if (m && (!ours || !t || t->is_forgotten || t->cause == CAUSE_NOT_OURS))
            foreign_add(&m->summing, pod);
    }
    for (size_t i = 0; i < MEMBER_BUCKETS; i++)
        for (struct member *m = c->members[i]; m; m = m->next_in_bucket) {
            m->facts_due |= memcmp(&m->summing, &m->foreign, sizeof m->foreign) != 0;
            m->foreign = m->summing;
        }
}
