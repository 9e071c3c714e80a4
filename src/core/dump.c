#include "core/dump.h"

#include "base/mem.h"
#include "core/fleet/where.h"
#include "core/internal.h"

/* ---- what is written of each row ---- */

struct field {
    const char *name;
    uint16_t offset, size;
    bool is_text;
};

#define N(member) {#member, offsetof(ROW, member), sizeof(((ROW *)0)->member), false},
#define T(member) {#member, offsetof(ROW, member), sizeof(((ROW *)0)->member), true},

/* All but what follows from the rest: counts, chains, rows of other tables. The sizes are a
 * reminder for who adds a member: it belongs here, too, unless it follows. */
#define ROW       struct fleet_view
static const struct field view_fields[] = {N(last_seq) N(last_time_ms) N(epoch) N(next_job) N(
    completed) N(failed) N(cancelled) T(incarnation) T(site)};
#undef ROW
#define ROW struct policy
static const struct field policy_fields[] = {
    N(version) N(gate_off) N(gate_free_mib) N(gate_gpu_pct) N(gate_cpu_pct) N(gate_memory_pct)
        N(gpu_hour_micros) N(kwh_micros) N(pue_milli) N(lost_after_ms) T(currency)};
_Static_assert(sizeof(ROW) == 88, "a member more?");
#undef ROW
#define ROW struct principal
static const struct field principal_fields[] = {N(id) T(name) T(team) N(created_ms) N(disabled_ms)
                                                    N(role)};
_Static_assert(sizeof(ROW) == 160, "a member more?");
#undef ROW
#define ROW struct node
static const struct field node_fields[] = {
    N(id) T(name) T(cluster) T(boot_id) T(data_id) T(version) N(enrolled_ms) N(since_ms)
        N(heard_epoch) N(only_principal) N(state) N(isolation) N(cpu_pct) N(memory_pct) N(busy)
            N(cpu_milli) N(memory_mib) N(has_share) N(share_cpu_milli) N(share_memory_mib)
                N(foreign_gpus) N(cordoned) T(share_why)};
_Static_assert(sizeof(ROW) == 536, "a member more?");
#undef ROW
#define ROW struct device
static const struct field device_fields[] = {
    N(id) T(uuid) T(model) T(vendor) N(node) N(number) N(since_ms) N(first_seen_ms) N(memory_mib)
        N(free_mib) N(health) N(busy) N(foreign) N(gpu_pct) T(why) N(twin) N(day) N(upto_ms)
            N(bucket[0]) N(bucket[1]) N(bucket[2]) N(bucket[3]) N(bucket[4]) N(bucket[5])
                N(bucket[6]) N(bucket[7]) N(energy_mj)};
_Static_assert(sizeof(ROW) == 472 && BUCKET_COUNT == 8, "a member more?");
#undef ROW
#define ROW struct node_taint
static const struct field taint_fields[] = {T(text) N(form[0]) N(form[1]) N(form[2]) N(form[3])
                                                N(forms) N(is_gpu)};
_Static_assert(sizeof(ROW) == 176 && TAINT_FORMS == 4, "a member more?");
#undef ROW
#define ROW struct job
static const struct field job_fields[] = {
    N(id) N(submitted_ms) N(since_ms) N(started_ms) N(run_ms) N(energy_mj) N(cost_micros) N(place)
        N(principal) N(submitter) N(gpu_memory_mib) N(cpu_milli) N(memory_mib) N(time_limit_s)
            N(attempts) N(pause_ms) N(gpus) N(retries) N(retries_left) N(flags) N(state)};
_Static_assert(sizeof(ROW) == 128, "a member more?");
#undef ROW
#define ROW struct hold
static const struct field hold_fields[] = {N(job) N(actor) N(since_ms) T(why)};
_Static_assert(sizeof(ROW) == 280, "a member more?");
#undef ROW
#define ROW struct attempt
static const struct field attempt_fields[] = {
    N(job) N(n) N(node) N(decided_ms) N(started_ms) N(cancel_ms) N(sent_ms) N(epoch)
        N(gpu_hour_micros) N(parts) N(state) T(boot_id) T(data_id) T(why)};
_Static_assert(sizeof(ROW) == 344, "a member more?");
#undef ROW
#define ROW struct part
static const struct field part_fields[] = {N(device) N(wanted_ms) N(bound_ms) N(capacity)};
_Static_assert(sizeof(ROW) == 40, "a member more?");
#undef ROW

struct fields {
    const struct field *at;
    size_t count;
};
#define FIELDS(name) ((struct fields){name##_fields, COUNT_OF(name##_fields)})

int64_t core_dump_format(void)
{
    const struct fields all[] = {FIELDS(view),   FIELDS(policy), FIELDS(principal), FIELDS(node),
                                 FIELDS(device), FIELDS(job),    FIELDS(hold),      FIELDS(attempt),
                                 FIELDS(part),   FIELDS(taint)};
    uint32_t format;
    struct digest_state *s = digest_begin();
    for (size_t i = 0; i < COUNT_OF(all); i++)
        for (size_t k = 0; k < all[i].count; k++)
            digest_add(s, all[i].at[k].name, strlen(all[i].at[k].name) + 1);
    struct digest d = digest_end(s);
    memcpy(&format, d.bytes, sizeof format);
    return format;
}

/* ---- writing ---- */

enum { PIECE = 8192, NUMBER_MOST = 10 };

struct writer {
    core_dump_write write;
    void *arg;
    int rc;
    size_t len;
    unsigned char bytes[PIECE];
};

static void flush(struct writer *w)
{
    if (w->len && w->rc == 0 && w->write(w->arg, w->bytes, w->len))
        w->rc = -1;
    w->len = 0;
}

/* Seven bits a byte, the sign in the lowest: small numbers are short. */
static void put_number(struct writer *w, int64_t value)
{
    uint64_t left = (uint64_t)value << 1 ^ (0 - (uint64_t)(value < 0));
    if (w->len + NUMBER_MOST > PIECE)
        flush(w);
    for (; left >= 128; left >>= 7)
        w->bytes[w->len++] = (unsigned char)(left | 128);
    w->bytes[w->len++] = (unsigned char)left;
}

static void put_text(struct writer *w, const char *text)
{
    size_t len = strlen(text);
    put_number(w, (int64_t)len);
    if (w->len + len > PIECE)
        flush(w);
    memcpy(w->bytes + w->len, text, len); /* texts of rows are short */
    w->len += len;
}

static int64_t load_number(const char *at, size_t size)
{
    int64_t wide = 0;
    int32_t number;
    switch (size) {
    case 1:
        return *(const uint8_t *)at;
    case 2:
        memcpy(&wide, at, 2);
        return wide;
    case 4: /* signed or not: the same 32 bits come back */
        memcpy(&number, at, 4);
        return number;
    default:
        memcpy(&wide, at, 8);
        return wide;
    }
}

static void put_row(struct writer *w, struct fields f, const void *row)
{
    for (size_t i = 0; i < f.count; i++) {
        const char *at = (const char *)row + f.at[i].offset;
        if (f.at[i].is_text)
            put_text(w, at);
        else
            put_number(w, load_number(at, f.at[i].size));
    }
}

/* What its cluster says of a node and is no member of its row. */
static void put_where(struct writer *w, const struct fleet_view *v, const struct node *n)
{
    int64_t labels = 0, taints = 0;
    const struct node_labels *l;
    const struct node_taint *t;
    for (l = fleet_labels(v, n->labels); l; l = fleet_labels(v, l->next))
        labels += l->count;
    for (t = fleet_taint(v, n->taints); t; t = fleet_taint(v, t->next))
        taints++;
    put_number(w, labels);
    for (l = fleet_labels(v, n->labels); l; l = fleet_labels(v, l->next))
        for (uint32_t i = 0; i < l->count; i++)
            put_number(w, l->at[i]);
    put_number(w, taints);
    for (t = fleet_taint(v, n->taints); t; t = fleet_taint(v, t->next))
        put_row(w, FIELDS(taint), t);
}

static void put_jobs(struct writer *w, const struct fleet_view *v)
{
    struct tree_walk k;
    put_number(w, v->by_id.count);
    for (bool more = tree_first(&k, &v->by_id, &v->tree_nodes, (struct tree_key){0, 0});
         more && w->rc == 0; more = tree_next(&k)) {
        const struct job *j = fleet_job_at(v, k.value);
        const struct attempt *a = fleet_job_attempt(v, j);
        put_row(w, FIELDS(job), j);
        put_text(w, fleet_team(v, j));
        put_text(w, fleet_selector(v, j));
        put_text(w, fleet_tolerations(v, j));
        put_number(w, j->hold != 0);
        if (j->hold)
            put_row(w, FIELDS(hold), fleet_job_hold(v, j));
        if (!a)
            continue;
        put_row(w, FIELDS(attempt), a);
        for (uint32_t p = a->first_part; p != NO_ROW; p = fleet_part_at(v, p)->next)
            put_row(w, FIELDS(part), fleet_part_at(v, p));
    }
}

struct first_job {
    uint64_t place;
    uint32_t row, shape;
};

static int by_place(const void *a, const void *b)
{
    const struct first_job *x = a, *y = b;
    return x->place < y->place ? -1 : x->place > y->place;
}

/* By their first jobs, which say what the shape is, in the order of these. */
static void put_shapes(struct writer *w, const struct fleet_view *v)
{
    size_t count = 0;
    auto_free struct first_job *first = mem_new_array(struct first_job, v->shapes.count);
    for (uint32_t i = 1; i < v->shapes.count; i++) {
        struct tree_walk k;
        if (fleet_shape_at(v, i)->ready &&
            tree_first(&k, &v->by_shape, &v->tree_nodes, (struct tree_key){i, 0}))
            first[count++] = (struct first_job){k.key.b, k.value, i};
    }
    qsort(first, count, sizeof *first, by_place);
    put_number(w, (int64_t)count);
    for (size_t i = 0; i < count; i++) {
        const struct shape *s = fleet_shape_at(v, first[i].shape);
        put_number(w, fleet_job_at(v, first[i].row)->id);
        put_number(w, s->awake);
        put_number(w, s->reserved_node);
    }
}

int core_dump(const struct fleet_view *v, core_dump_write write, void *arg)
{
    struct writer w = {.write = write, .arg = arg};
    put_row(&w, FIELDS(view), v);
    put_row(&w, FIELDS(policy), &v->policy);
    put_number(&w, v->principal_count);
    for (int64_t id = 1; id <= v->principal_count; id++)
        put_row(&w, FIELDS(principal), fleet_principal(v, id));
    put_number(&w, v->node_count);
    for (int64_t id = 1; id <= v->node_count; id++) {
        put_row(&w, FIELDS(node), fleet_node(v, id));
        put_where(&w, v, fleet_node(v, id));
    }
    put_number(&w, v->device_count);
    for (int64_t id = 1; id <= v->device_count; id++)
        put_row(&w, FIELDS(device), fleet_device(v, id));
    put_jobs(&w, v);
    put_shapes(&w, v);
    flush(&w);
    return w.rc;
}

/* ---- reading ---- */

struct reader {
    core_dump_read read;
    void *arg;
    size_t at, len;
    unsigned char bytes[PIECE];
};

static int nonsense(struct err *e, const char *what)
{
    return err_set(e, ERR_UNPROCESSABLE, "the snapshot makes no sense: %s", what);
}

static int get_byte(struct reader *r, unsigned char *ret, struct err *e)
{
    if (r->at == r->len) {
        ssize_t got = r->read(r->arg, r->bytes, sizeof r->bytes, e);
        if (got < 0)
            return -1;
        if (got == 0)
            return nonsense(e, "it ends too early");
        r->at = 0;
        r->len = (size_t)got;
    }
    *ret = r->bytes[r->at++];
    return 0;
}

static int get_number(struct reader *r, int64_t *ret, struct err *e)
{
    uint64_t value = 0;
    unsigned char byte = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (get_byte(r, &byte, e) < 0)
            return -1;
        value |= (uint64_t)(byte & 127) << shift;
        if (byte & 128)
            continue;
        *ret = (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
        return 0;
    }
    return nonsense(e, "a number does not end");
}

static int get_text(struct reader *r, char *to, size_t size, struct err *e)
{
    int64_t len;
    if (get_number(r, &len, e) < 0)
        return -1;
    if (len < 0 || len >= (int64_t)size)
        return nonsense(e, "a text is too long");
    for (int64_t i = 0; i < len; i++) {
        unsigned char byte = 0;
        if (get_byte(r, &byte, e) < 0)
            return -1;
        to[i] = (char)byte;
        if (!byte)
            return nonsense(e, "a text holds a NUL");
    }
    memset(to + len, 0, size - (size_t)len);
    return 0;
}

static int store_number(char *at, size_t size, int64_t value, struct err *e)
{
    bool fits = size == 1   ? value >= 0 && value <= UINT8_MAX
                : size == 2 ? value >= 0 && value <= UINT16_MAX
                : size == 4 ? value >= INT32_MIN && value <= INT32_MAX
                            : true;
    if (!fits)
        return nonsense(e, "a number is too large");
    uint8_t one = (uint8_t)value;
    uint16_t two = (uint16_t)value;
    int32_t four = (int32_t)value;
    const void *from = size == 1   ? (void *)&one
                       : size == 2 ? (void *)&two
                       : size == 4 ? (void *)&four
                                   : (void *)&value;
    memcpy(at, from, size);
    return 0;
}

static int get_row(struct reader *r, struct fields f, void *row, struct err *e)
{
    for (size_t i = 0; i < f.count; i++) {
        char *at = (char *)row + f.at[i].offset;
        int64_t value;
        if (f.at[i].is_text) {
            if (get_text(r, at, f.at[i].size, e) < 0)
                return -1;
        } else if (get_number(r, &value, e) < 0 || store_number(at, f.at[i].size, value, e) < 0) {
            return -1;
        }
    }
    return 0;
}

static int get_principals(struct core *c, struct reader *r, struct err *e)
{
    struct fleet *f = c->fleet;
    int64_t count;
    if (get_number(r, &count, e) < 0)
        return -1;
    for (int64_t id = 1; id <= count; id++) {
        struct principal p = {0};
        if (get_row(r, FIELDS(principal), &p, e) < 0)
            return -1;
        if (p.id != id)
            return nonsense(e, "a principal is out of order");
        *(struct principal *)table_edit(&f->principals, table_add(&f->principals)) = p;
        f->view.principal_count = id;
    }
    return 0;
}

static int get_where(struct core *c, struct reader *r, struct node *n, struct err *e)
{
    int64_t count, label;
    if (get_number(r, &count, e) < 0)
        return -1;
    for (int64_t i = 0; i < count; i++) {
        if (get_number(r, &label, e) < 0)
            return -1;
        node_add_labels(c->fleet, n, &label, 1);
    }
    if (get_number(r, &count, e) < 0)
        return -1;
    for (int64_t i = 0; i < count; i++) {
        struct node_taint t = {0};
        if (get_row(r, FIELDS(taint), &t, e) < 0)
            return -1;
        if (t.forms > TAINT_FORMS)
            return nonsense(e, "a taint is of too many forms");
        node_add_taint(c->fleet, n, &t);
    }
    return 0;
}

static int get_nodes(struct core *c, struct reader *r, struct err *e)
{
    struct fleet *f = c->fleet;
    int64_t count;
    if (get_number(r, &count, e) < 0)
        return -1;
    for (int64_t id = 1; id <= count; id++) {
        struct node n = {.first_device = NO_ROW};
        if (get_row(r, FIELDS(node), &n, e) < 0)
            return -1;
        if (n.id != id || n.state < 0 || n.state >= NODE_STATES)
            return nonsense(e, "a node is out of order");
        if (get_where(c, r, &n, e) < 0)
            return -1;
        *(struct node *)table_edit(&f->nodes, table_add(&f->nodes)) = n;
        f->view.node_count = id;
    }
    return 0;
}

static int get_devices(struct core *c, struct reader *r, struct err *e)
{
    struct fleet *f = c->fleet;
    int64_t count;
    if (get_number(r, &count, e) < 0)
        return -1;
    for (int64_t id = 1; id <= count; id++) {
        struct device d = {.attempt = NO_ROW, .next_on_node = NO_ROW};
        if (get_row(r, FIELDS(device), &d, e) < 0)
            return -1;
        if (d.id != id || !fleet_node(core_view(c), d.node) || d.twin < 0 || d.twin > count)
            return nonsense(e, "a device is out of order");
        *(struct device *)table_edit(&f->devices, table_add(&f->devices)) = d;
        f->view.device_count = id;
        device_chain(c, id);
    }
    return 0;
}

static int get_parts(struct core *c, struct reader *r, struct attempt *a, uint32_t attempt_row,
                     struct err *e)
{
    struct fleet *f = c->fleet;
    uint32_t last = NO_ROW;
    a->first_part = NO_ROW;
    for (uint32_t i = 0; i < a->parts; i++) {
        struct part p = {.attempt = attempt_row, .next = NO_ROW};
        if (get_row(r, FIELDS(part), &p, e) < 0)
            return -1;
        const struct device *d = fleet_device(core_view(c), p.device);
        if (!d || d->attempt != NO_ROW)
            return nonsense(e, "a device is held that is not there, or held already");
        uint32_t row = table_add(&f->parts);
        *(struct part *)table_edit(&f->parts, row) = p;
        ((struct device *)table_edit(&f->devices, (uint32_t)p.device))->attempt = attempt_row;
        if (last == NO_ROW)
            a->first_part = row;
        else
            ((struct part *)table_edit(&f->parts, last))->next = row;
        last = row;
    }
    return 0;
}

static int get_attempt(struct core *c, struct reader *r, uint32_t job_row, struct err *e)
{
    struct fleet *f = c->fleet;
    uint32_t row = table_add(&f->attempts);
    struct attempt a = {.job_row = job_row};
    struct job *j = table_edit(&f->jobs, job_row);
    if (get_row(r, FIELDS(attempt), &a, e) < 0)
        return -1;
    if (a.job != j->id || !fleet_node(core_view(c), a.node) || a.parts > JOB_GPUS_MOST ||
        !attempt_is_open((enum attempt_state)a.state))
        return nonsense(e, "an attempt hangs in the air");
    if (get_parts(c, r, &a, row, e) < 0)
        return -1;
    *(struct attempt *)table_edit(&f->attempts, row) = a;
    j->attempt = row;
    struct node *n = table_edit(&f->nodes, (uint32_t)a.node);
    n->attempts++;
    n->cpu_milli_used += j->cpu_milli;
    n->memory_mib_used += j->flags & JOB_MEMORY_DEFAULT ? 0 : j->memory_mib;
    return 0;
}

static bool makes_sense(struct core *c, const struct job *j, int64_t last_id, bool held)
{
    const struct fleet_view *v = core_view(c);
    struct tree_key place = {0, j->place};
    bool waits = j->state == JOB_QUEUED;
    return j->id > last_id && j->state <= JOB_RUNNING && fleet_principal(v, j->principal) &&
           j->gpus <= JOB_GPUS_MOST && j->gpu_memory_mib <= JOB_MIB_MOST &&
           j->memory_mib <= JOB_MIB_MOST && j->cpu_milli <= JOB_CPU_MILLI_MOST &&
           (waits || (!held && !j->pause_ms)) &&
           (!waits || tree_find(&v->waiting, &v->tree_nodes, place) == NO_ROW);
}

static int get_hold(struct core *c, struct reader *r, struct job *j, struct err *e)
{
    struct hold h = {0};
    if (get_row(r, FIELDS(hold), &h, e) < 0)
        return -1;
    if (h.job != j->id)
        return nonsense(e, "a hold is another job's");
    j->hold = table_add(&c->fleet->holds);
    *(struct hold *)table_edit(&c->fleet->holds, j->hold) = h;
    return 0;
}

static int get_jobs(struct core *c, struct reader *r, struct err *e)
{
    int64_t count, held, last_id = 0;
    if (get_number(r, &count, e) < 0)
        return -1;
    for (int64_t i = 0; i < count; i++) {
        struct job j = {.attempt = NO_ROW};
        char team[FLEET_NAME], selector[FLEET_WHY], tolerations[FLEET_WHY];
        if (get_row(r, FIELDS(job), &j, e) < 0 || get_text(r, team, sizeof team, e) < 0 ||
            get_text(r, selector, sizeof selector, e) < 0 ||
            get_text(r, tolerations, sizeof tolerations, e) < 0 || get_number(r, &held, e) < 0)
            return -1;
        if (!makes_sense(c, &j, last_id, held))
            return nonsense(e, "a job is out of order");
        if (held && get_hold(c, r, &j, e) < 0)
            return -1;
        last_id = j.id;
        j.team = team_intern(c, team);
        j.where = where_take(c->fleet, selector, tolerations);
        uint32_t row = job_insert(c, &j);
        if (j.state != JOB_QUEUED && get_attempt(c, r, row, e) < 0)
            return -1;
    }
    return 0;
}

static int get_shapes(struct core *c, struct reader *r, struct err *e)
{
    struct fleet *f = c->fleet;
    int64_t count, job, awake, node;
    if (get_number(r, &count, e) < 0)
        return -1;
    for (int64_t i = 0; i < count; i++) {
        if (get_number(r, &job, e) < 0 || get_number(r, &awake, e) < 0 ||
            get_number(r, &node, e) < 0)
            return -1;
        const struct job *j = fleet_job(core_view(c), job);
        if (!j || !j->shape || awake < 0 || awake > 1 || (node && !fleet_node(core_view(c), node)))
            return nonsense(e, "a shape has no jobs");
        struct shape *s = table_edit(&f->shapes, j->shape);
        f->view.awake -= s->awake;
        s->awake = (uint8_t)awake;
        f->view.awake += s->awake;
        s->reserved_node = (uint32_t)node;
    }
    return 0;
}

int core_restore(struct core *c, core_dump_read read, void *arg, struct err *e)
{
    struct reader r = {.read = read, .arg = arg};
    struct fleet_view *v = &c->fleet->view;
    if (get_row(&r, FIELDS(view), v, e) < 0 || get_row(&r, FIELDS(policy), &v->policy, e) < 0)
        return -1;
    int64_t next_job = v->next_job;
    if (get_principals(c, &r, e) < 0 || get_nodes(c, &r, e) < 0 || get_devices(c, &r, e) < 0 ||
        get_jobs(c, &r, e) < 0 || get_shapes(c, &r, e) < 0)
        return -1;
    if (next_job < v->next_job)
        return nonsense(e, "a job has a number that was not given");
    v->next_job = next_job;
    fleet_refresh(c->fleet);
    return 0;
}
