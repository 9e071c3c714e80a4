/* Events about principals, nodes, devices and policy. */
#include "base/mem.h"
#include "core/fleet/where.h"
#include "core/internal.h"
#include "core/meter/meter.h"

static void on_day(void *arg, const struct device *d)
{
    put_device_time(arg, d);
}

struct device *device_edit(struct core *c, int64_t id, int64_t now_ms)
{
    const struct fleet_view *v = core_view(c);
    struct device *d = table_edit(&c->fleet->devices, (uint32_t)id);
    meter_advance(v, d, now_ms, on_day, c);
    return d;
}

/* All devices of a node are about to change: their accounts first. */
static void advance_node(struct core *c, const struct node *n, int64_t now_ms)
{
    for (uint32_t d = n->first_device; n->devices && d != NO_ROW;) {
        struct device *device = device_edit(c, d, now_ms);
        put_device_time(c, device);
        d = device->next_on_node;
    }
}

/* What a cluster said of its node. */
static void forget_share(struct fleet *f, struct node *n)
{
    n->has_share = n->share_cpu_milli = n->share_memory_mib = n->foreign_gpus = n->cordoned = 0;
    memset(n->share_why, 0, sizeof n->share_why);
    node_forget_labels(f, n);
    node_forget_taints(f, n);
}

int apply_epoch(struct core *c, const struct event *ev, struct err *e)
{
    struct fleet *f = c->fleet;
    if (ev->EPOCH_BEGAN.epoch <= f->view.epoch)
        return err_set(e, ERR_CONFLICT, "epoch %lld is not newer than %lld",
                       (long long)ev->EPOCH_BEGAN.epoch, (long long)f->view.epoch);
    f->view.epoch = ev->EPOCH_BEGAN.epoch;
    put_meta(c, "epoch", f->view.epoch, NULL);

    /* Nobody was looking while no control plane ran; what a job held, it used. */
    for (int64_t id = 1; id <= f->view.device_count; id++) {
        struct device *d = table_edit(&f->devices, (uint32_t)id);
        meter_advance_into(d, d->attempt == NO_ROW ? BUCKET_UNMEASURED : BUCKET_JOBS, ev->time_ms,
                           on_day, c);
        d->busy = d->foreign = d->gpu_pct = 0;
        d->free_mib = d->memory_mib;
        d->why[0] = '\0';
        put_device_time(c, d);
    }
    for (int64_t id = 1; id <= f->view.node_count; id++) {
        struct node *n = table_edit(&f->nodes, (uint32_t)id);
        n->busy = n->cpu_pct = n->memory_pct = 0;
        forget_share(f, n);
        if (n->state == NODE_READY) {
            n->state = NODE_UNKNOWN;
            n->since_ms = ev->time_ms;
            put_node(c, id);
        }
    }
    for (uint32_t i = 1; i < f->shapes.view.count; i++)
        if (((const struct shape *)table_row(&f->shapes.view, i))->ready)
            ((struct shape *)table_edit(&f->shapes, i))->reserved_node = 0;
    queue_wake_all(c->fleet);
    return 0;
}

int apply_policy(struct core *c, const struct event *ev, struct err *e)
{
    (void)e;
    struct policy *p = &c->fleet->view.policy;
    *p = (struct policy){
        .version = ev->POLICY_SET.version,
        .gate_off = ev->POLICY_SET.gate_off,
        .gate_free_mib = ev->POLICY_SET.gate_free_mib,
        .gate_gpu_pct = ev->POLICY_SET.gate_gpu_pct,
        .gate_cpu_pct = ev->POLICY_SET.gate_cpu_pct,
        .gate_memory_pct = ev->POLICY_SET.gate_memory_pct,
        .gpu_hour_micros = ev->POLICY_SET.gpu_hour_micros,
        .kwh_micros = ev->POLICY_SET.kwh_micros,
        .pue_milli = ev->POLICY_SET.pue_milli,
        .lost_after_ms = ev->POLICY_SET.lost_after_ms,
    };
    snprintf(p->currency, sizeof p->currency, "%.7s", ev->POLICY_SET.currency);
    put_policy(c);
    queue_wake_all(c->fleet);
    return 0;
}

static void copy(char *to, size_t size, const char *from)
{
    memset(to, 0, size);
    memcpy(to, from, strnlen(from, size - 1));
}

int apply_principal(struct core *c, const struct event *ev, struct err *e)
{
    struct fleet *f = c->fleet;
    if (ev->kind == EVENT_ID_PRINCIPAL_ADDED) {
        if (ev->subject != f->view.principal_count + 1)
            return err_set(e, ERR_CONFLICT, "principal id %lld is not the next",
                           (long long)ev->subject);
        struct principal *p = table_edit(&f->principals, table_add(&f->principals));
        p->id = ev->subject;
        p->role = (int32_t)ev->PRINCIPAL_ADDED.role;
        p->created_ms = ev->time_ms;
        copy(p->name, sizeof p->name, ev->PRINCIPAL_ADDED.name);
        copy(p->team, sizeof p->team, ev->PRINCIPAL_ADDED.team);
        f->view.principal_count++;
    } else {
        if (!fleet_principal(core_view(c), ev->subject))
            return err_set(e, ERR_CONFLICT, "principal %lld is not known", (long long)ev->subject);
        struct principal *p = table_edit(&f->principals, (uint32_t)ev->subject);
        p->role = (int32_t)ev->PRINCIPAL_CHANGED.role;
        p->disabled_ms = ev->PRINCIPAL_CHANGED.disabled ? ev->time_ms : 0;
        copy(p->team, sizeof p->team, ev->PRINCIPAL_CHANGED.team);
    }
    put_principal(c, ev->subject);
    return 0;
}

/* Enrolled again: another key, the same node; or a machine that a cluster has taken in. */
static void enrol_again(struct core *c, struct node *n, const struct event *ev)
{
    if (!ev->NODE_ENROLLED.cluster[0] || strcmp(n->cluster, ev->NODE_ENROLLED.cluster) == 0)
        return;
    forget_share(c->fleet, n);
    copy(n->cluster, sizeof n->cluster, ev->NODE_ENROLLED.cluster);
    n->only_principal = 0;
    if (n->state == NODE_READY)
        n->state = NODE_UNKNOWN; /* until its cluster says what it is */
}

static int enrol_node(struct core *c, const struct event *ev, struct err *e)
{
    struct fleet *f = c->fleet;
    if (fleet_node(core_view(c), ev->subject))
        return 0;
    if (ev->subject != f->view.node_count + 1)
        return err_set(e, ERR_CONFLICT, "node id %lld is not the next", (long long)ev->subject);
    struct node *n = table_edit(&f->nodes, table_add(&f->nodes));
    n->id = ev->subject;
    n->state = NODE_NONE;
    n->enrolled_ms = n->since_ms = ev->time_ms;
    n->first_device = NO_ROW;
    copy(n->name, sizeof n->name, ev->NODE_ENROLLED.name);
    copy(n->cluster, sizeof n->cluster, ev->NODE_ENROLLED.cluster);
    f->view.node_count++;
    return 0;
}

static void hear_node(struct core *c, struct node *n, const struct event *ev)
{
    n->state = NODE_READY;
    n->heard_epoch = c->fleet->view.epoch;
    n->cpu_milli = (uint32_t)ev->NODE_HELLO.cpu_milli;
    n->memory_mib = (uint32_t)ev->NODE_HELLO.memory_mib;
    n->isolation = (int32_t)ev->NODE_HELLO.isolation;
    if (n->isolation != ISOLATION_NONE)
        n->only_principal = 0;
    copy(n->boot_id, sizeof n->boot_id, ev->NODE_HELLO.boot_id);
    copy(n->data_id, sizeof n->data_id, ev->NODE_HELLO.data_id);
    copy(n->version, sizeof n->version, ev->NODE_HELLO.version);
}

static void share_node(struct node *n, const struct event *ev)
{
    n->has_share = 1;
    n->share_cpu_milli = (uint32_t)ev->NODE_SHARE.cpu_milli;
    n->share_memory_mib = (uint32_t)ev->NODE_SHARE.memory_mib;
    n->foreign_gpus = (uint32_t)ev->NODE_SHARE.foreign_gpus;
    n->cordoned = ev->NODE_SHARE.cordoned != 0;
    copy(n->share_why, sizeof n->share_why, ev->NODE_SHARE.why);
}

int apply_node_where(struct core *c, const struct event *ev, struct err *e)
{
    struct fleet *f = c->fleet;
    if (!fleet_node(core_view(c), ev->subject))
        return err_set(e, ERR_CONFLICT, "node %lld is not known", (long long)ev->subject);
    struct node *n = table_edit(&f->nodes, (uint32_t)ev->subject);
    if (ev->kind == EVENT_ID_NODE_LABELS) {
        const struct event_list *labels = &ev->NODE_LABELS.labels;
        if (!ev->NODE_LABELS.more)
            node_forget_labels(f, n);
        node_add_labels(f, n, labels->at, (size_t)labels->count);
    } else {
        const struct event_list *forms = &ev->NODE_TAINT.forms;
        struct node_taint taint = {.is_gpu = taint_is_gpu(ev->NODE_TAINT.taint)};
        if (!ev->NODE_TAINT.more)
            node_forget_taints(f, n);
        text_cut(taint.text, sizeof taint.text, ev->NODE_TAINT.taint);
        for (int64_t i = 0; i < forms->count && taint.forms < TAINT_FORMS; i++)
            taint.form[taint.forms++] = forms->at[i];
        if (taint.forms)
            node_add_taint(f, n, &taint);
    }
    queue_wake_all(f);
    return 0;
}

int apply_node(struct core *c, const struct event *ev, struct err *e)
{
    struct fleet *f = c->fleet;
    if (ev->kind == EVENT_ID_NODE_ENROLLED && enrol_node(c, ev, e) < 0)
        return -1;
    if (!fleet_node(core_view(c), ev->subject))
        return err_set(e, ERR_CONFLICT, "node %lld is not known", (long long)ev->subject);

    struct node *n = table_edit(&f->nodes, (uint32_t)ev->subject);
    int32_t before = n->state;
    advance_node(c, n, ev->time_ms);
    switch (ev->kind) {
    case EVENT_ID_NODE_ENROLLED:
        enrol_again(c, n, ev);
        break;
    case EVENT_ID_NODE_HELLO:
        hear_node(c, n, ev);
        break;
    case EVENT_ID_NODE_SHARE:
        share_node(n, ev);
        break;
    case EVENT_ID_NODE_CHANGED:
        n->busy = (int32_t)ev->NODE_CHANGED.busy;
        n->cpu_pct = (int32_t)ev->NODE_CHANGED.cpu_pct;
        n->memory_pct = (int32_t)ev->NODE_CHANGED.memory_pct;
        break;
    case EVENT_ID_NODE_SILENT:
        n->state = NODE_UNKNOWN;
        break;
    case EVENT_ID_NODE_LOST:
        n->state = NODE_GONE;
        break;
    case EVENT_ID_NODE_RETIRED:
        n->state = NODE_RETIRED_;
        break;
    default:
        break;
    }
    if (n->state != before)
        n->since_ms = ev->time_ms;
    put_node(c, n->id);
    queue_wake_all(c->fleet);
    return 0;
}

void device_chain(struct core *c, int64_t id)
{
    struct fleet *f = c->fleet;
    struct device *d = table_edit(&f->devices, (uint32_t)id);
    struct node *n = table_edit(&f->nodes, (uint32_t)d->node);
    uint32_t *link = &n->first_device;
    while (*link != NO_ROW) {
        struct device *other = table_edit(&f->devices, *link);
        if (other->number > d->number)
            break;
        link = &other->next_on_node;
    }
    d->next_on_node = *link;
    *link = (uint32_t)id;
    n->devices++;
}

static int see_device(struct core *c, const struct event *ev, struct err *e)
{
    struct fleet *f = c->fleet;
    bool known = fleet_device(core_view(c), ev->subject) != NULL;
    if (!known && ev->subject != f->view.device_count + 1)
        return err_set(e, ERR_CONFLICT, "device id %lld is not the next", (long long)ev->subject);
    if (!fleet_node(core_view(c), ev->DEVICE_SEEN.node))
        return err_set(e, ERR_CONFLICT, "node %lld is not known", (long long)ev->DEVICE_SEEN.node);

    struct device *d;
    if (known) {
        d = device_edit(c, ev->subject, ev->time_ms);
    } else {
        d = table_edit(&f->devices, table_add(&f->devices));
        *d = (struct device){.id = ev->subject,
                             .node = ev->DEVICE_SEEN.node,
                             .number = ev->DEVICE_SEEN.number,
                             .first_seen_ms = ev->time_ms,
                             .since_ms = ev->time_ms,
                             .day = ev->time_ms / 86400000,
                             .upto_ms = ev->time_ms,
                             .attempt = NO_ROW,
                             .next_on_node = NO_ROW};
        copy(d->uuid, sizeof d->uuid, ev->DEVICE_SEEN.uuid);
        f->view.device_count++;
        device_chain(c, d->id);
    }
    copy(d->model, sizeof d->model, ev->DEVICE_SEEN.model);
    copy(d->vendor, sizeof d->vendor, ev->DEVICE_SEEN.vendor);
    d->memory_mib = (uint32_t)ev->DEVICE_SEEN.memory_mib;
    d->free_mib = d->memory_mib;
    d->health = DEVICE_OK;
    return 0;
}

int apply_device(struct core *c, const struct event *ev, struct err *e)
{
    if (ev->kind == EVENT_ID_DEVICE_SEEN && see_device(c, ev, e) < 0)
        return -1;
    if (!fleet_device(core_view(c), ev->subject))
        return err_set(e, ERR_CONFLICT, "device %lld is not known", (long long)ev->subject);

    struct device *d = device_edit(c, ev->subject, ev->time_ms);
    if (ev->kind == EVENT_ID_DEVICE_CHANGED) {
        if (d->health != ev->DEVICE_CHANGED.health)
            d->since_ms = ev->time_ms;
        d->health = (int32_t)ev->DEVICE_CHANGED.health;
        d->busy = ev->DEVICE_CHANGED.busy != 0;
        d->foreign = ev->DEVICE_CHANGED.foreign != 0;
        d->free_mib = (uint32_t)ev->DEVICE_CHANGED.free_mib;
        d->gpu_pct = (int32_t)ev->DEVICE_CHANGED.gpu_pct;
        d->twin = ev->DEVICE_CHANGED.twin;
        copy(d->why, sizeof d->why, ev->DEVICE_CHANGED.why);
    }
    put_device(c, d->id);
    put_device_time(c, d);
    queue_wake_node(c->fleet, d->node);
    return 0;
}
