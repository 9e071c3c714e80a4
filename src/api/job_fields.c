/* Every field of a job, once: what it is called, who may see it, where it comes from. */
#include "api/job_fields.h"

#include "api/door.h"
#include "api/job_in.h"
#include "api/job_json.h"
#include "api/job_show.h"
#include "base/mem.h"
#include "core/explain/explain.h"

enum need {
    NEEDS_NAME = 1,
    NEEDS_SPEC = 2,
    ONE_ONLY = 4, /* of one job; needs its attempts */
    NEEDS_EXPECTED = 8,
};

struct job_field {
    const char *name;
    enum sight sight; /* at least this much of the job must be seen */
    unsigned flags;   /* enum need */
    void (*write)(struct job_writer *w, struct json_out *o, const struct job_field *d,
                  const struct job_facts *f);
    size_t offset; /* in struct job_facts or struct job_spec, where WRITE looks there */
};

/* ---- plain ones ---- */

static int64_t number_of(const struct job_field *d, const struct job_facts *f)
{
    int64_t value;
    memcpy(&value, (const char *)f + d->offset, sizeof value);
    return value;
}

static void write_number(struct job_writer *w, struct json_out *o, const struct job_field *d,
                         const struct job_facts *f)
{
    (void)w;
    jo_int(o, d->name, number_of(d, f));
}

/* 0 is null. */
static void write_amount(struct job_writer *w, struct json_out *o, const struct job_field *d,
                         const struct job_facts *f)
{
    int64_t amount = number_of(d, f);
    (void)w;
    if (amount)
        jo_int(o, d->name, amount);
    else
        jo_null(o, d->name);
}

static void write_time(struct job_writer *w, struct json_out *o, const struct job_field *d,
                       const struct job_facts *f)
{
    (void)w;
    jo_time(o, d->name, number_of(d, f));
}

static void write_text_or_null(struct json_out *o, const char *key, const char *text)
{
    jo_text(o, key, text && text[0] ? text : NULL);
}

/* ---- what everybody sees ---- */

static void write_user(struct job_writer *w, struct json_out *o, const struct job_field *d,
                       const struct job_facts *f)
{
    enum sight sight = caller_sight(w->caller, f->principal, f->submitter);
    job_write_user(o, d->name, w->view, f->principal, caller_sees_user(w->api, sight));
}

static void write_state(struct job_writer *w, struct json_out *o, const struct job_field *d,
                        const struct job_facts *f)
{
    (void)w;
    jo_text(o, d->name, job_state_name(f->state));
}

static void write_position(struct job_writer *w, struct json_out *o, const struct job_field *d,
                           const struct job_facts *f)
{
    int64_t position = f->open && !f->position ? fleet_position(w->view, f->open) : f->position;
    if (position)
        jo_int(o, d->name, position);
    else
        jo_null(o, d->name);
}

static void write_wait(struct job_writer *w, struct json_out *o, const struct job_field *d,
                       const struct job_facts *f)
{
    int64_t until = f->started_ms ? f->started_ms : f->ended_ms ? f->ended_ms : w->now_ms;
    jo_int(o, d->name, until > f->submitted_ms ? until - f->submitted_ms : 0);
}

static void write_node(struct job_writer *w, struct json_out *o, const struct job_field *d,
                       const struct job_facts *f)
{
    const struct node *n = fleet_node(w->view, f->attempt ? f->attempt->node : f->last_node);
    jo_text(o, d->name, n ? n->name : NULL);
}

static void write_devices(struct job_writer *w, struct json_out *o, const struct job_field *d,
                          const struct job_facts *f)
{
    const struct fleet_view *v = w->view;
    jo_list(o, d->name);
    for (uint32_t p = f->attempt ? f->attempt->first_part : NO_ROW; p != NO_ROW;
         p = fleet_part_at(v, p)->next)
        job_write_device(o, v, fleet_device(v, fleet_part_at(v, p)->device));
    for (const char *at = f->last_devices; at && *at;) {
        char *end;
        const struct device *device = fleet_device(v, strtoll(at, &end, 10));
        if (device)
            job_write_device(o, v, device);
        at = end + (*end == ',');
        if (*end && *end != ',')
            break;
    }
    jo_end(o);
}

/* How it came to its node. */
static void write_placed_by(struct job_writer *w, struct json_out *o, const struct job_field *d,
                            const struct job_facts *f)
{
    const struct node *n = fleet_node(w->view, f->attempt ? f->attempt->node : f->last_node);
    job_write_sentence(o, d->name, w->caller, explain_choice(w->view, n, f->gpus));
}

/* When it may start; all zero for a job that does not wait, or of which nothing is known. */
static const struct when_start *start_of(struct job_writer *w, const struct job_facts *f)
{
    if (!w->start_is_read) {
        w->start = (struct when_start){0};
        if (f->open && f->state == JOB_QUEUED)
            expected_get(w->api->expected, f->id, &w->start);
    }
    w->start_is_read = true;
    return &w->start;
}

static void write_expected_start(struct job_writer *w, struct json_out *o,
                                 const struct job_field *d, const struct job_facts *f)
{
    const struct when_start *s = start_of(w, f);
    /* It was worked out a moment ago: what is late by now may come any moment. */
    jo_time(o, d->name, s->order && s->start_ms < w->now_ms ? w->now_ms : s->start_ms);
}

static void write_expected_order(struct job_writer *w, struct json_out *o,
                                 const struct job_field *d, const struct job_facts *f)
{
    const struct when_start *s = start_of(w, f);
    if (s->order)
        jo_int(o, d->name, s->order);
    else
        jo_null(o, d->name);
}

static void write_expected_basis(struct job_writer *w, struct json_out *o,
                                 const struct job_field *d, const struct job_facts *f)
{
    bool waits = f->open && f->state == JOB_QUEUED;
    jo_text(o, d->name, waits ? when_basis_name(start_of(w, f)->basis) : NULL);
}

/* ---- what it took ---- */

static void write_run(struct job_writer *w, struct json_out *o, const struct job_field *d,
                      const struct job_facts *f)
{
    int64_t run_ms = f->run_ms;
    const struct attempt *a = f->attempt;
    if (a && a->started_ms && w->now_ms > a->started_ms)
        run_ms += w->now_ms - a->started_ms;
    if (f->started_ms || f->attempts)
        jo_int(o, d->name, run_ms);
    else
        jo_null(o, d->name);
}

static void write_energy(struct job_writer *w, struct json_out *o, const struct job_field *d,
                         const struct job_facts *f)
{
    jo_fixed(o, d->name, f->energy_mj + job_used_now(w, f->attempt).energy_mj, 1000);
}

static void write_cost(struct job_writer *w, struct json_out *o, const struct job_field *d,
                       const struct job_facts *f)
{
    jo_int(o, d->name, f->cost_micros + job_used_now(w, f->attempt).cost_micros);
}

static void write_team(struct job_writer *w, struct json_out *o, const struct job_field *d,
                       const struct job_facts *f)
{
    (void)w;
    write_text_or_null(o, d->name, f->team);
}

static void write_currency(struct job_writer *w, struct json_out *o, const struct job_field *d,
                           const struct job_facts *f)
{
    (void)f;
    jo_text(o, d->name, w->view->policy.currency);
}

/* ---- what its owner sees ---- */

static void write_name(struct job_writer *w, struct json_out *o, const struct job_field *d,
                       const struct job_facts *f)
{
    (void)w;
    if (f->name)
        jo_text(o, d->name, f->name);
}

static const struct job_reason *reason_of(struct job_writer *w, const struct job *j)
{
    struct job_reason *r = &w->reasons[j->shape % JOB_REASONS];
    int64_t own = j->hold || j->pause_ms ? j->id : 0; /* not the shape's, but its own */
    if (r->code && r->shape == j->shape && r->job == own)
        return r;
    struct explain_reader reader = caller_reads(w->api, w->caller);
    text_clear(&r->sentence);
    r->code = explain_wait(w->view, j, &reader, &r->sentence);
    r->shape = j->shape;
    r->job = own;
    return r;
}

static bool is_waiting(const struct job_facts *f)
{
    return f->open && (f->state == JOB_QUEUED || f->open->hold);
}

static bool is_being_cancelled(const struct job_facts *f)
{
    return f->open && f->flags & JOB_CANCEL_ASKED;
}

static void write_reason(struct job_writer *w, struct json_out *o, const struct job_field *d,
                         const struct job_facts *f)
{
    if (is_waiting(f))
        write_text_or_null(o, d->name, text_get(&reason_of(w, f->open)->sentence));
    else
        job_write_sentence(o, d->name, w->caller,
                           is_being_cancelled(f) ? "it is being cancelled" : f->reason_text);
}

static void write_reason_code(struct job_writer *w, struct json_out *o, const struct job_field *d,
                              const struct job_facts *f)
{
    const char *code = NULL;
    if (is_waiting(f))
        code = reason_of(w, f->open)->code;
    else if (is_being_cancelled(f))
        code = "cancelling";
    else if (f->attempt && f->attempt->why[0])
        code = "starting";
    else if (!f->open && f->outcome != OUTCOME_NONE)
        code = outcome_name(f->outcome);
    write_text_or_null(o, d->name, code);
}

static void write_progress(struct job_writer *w, struct json_out *o, const struct job_field *d,
                           const struct job_facts *f)
{
    struct job_progress p;
    if (!progress_get(w->api->progress, f->id, &p) || p.total <= 0 || p.n != f->attempts) {
        jo_null(o, d->name);
        return;
    }
    int64_t done = p.done < p.total ? p.done : p.total;
    jo_object(o, d->name);
    jo_int(o, "done", done);
    jo_int(o, "total", p.total);
    jo_fixed(o, "percent", (int64_t)((__int128)done * 10000 / p.total), 100);
    jo_end(o);
}

static void write_exit_code(struct job_writer *w, struct json_out *o, const struct job_field *d,
                            const struct job_facts *f)
{
    (void)w;
    if (f->has_exit_code)
        jo_int(o, d->name, f->exit_code);
    else
        jo_null(o, d->name);
}

static void write_cpu(struct job_writer *w, struct json_out *o, const struct job_field *d,
                      const struct job_facts *f)
{
    (void)w;
    if (f->cpu_milli)
        jo_fixed(o, d->name, f->cpu_milli, 1000);
    else
        jo_null(o, d->name);
}

static void write_held(struct job_writer *w, struct json_out *o, const struct job_field *d,
                       const struct job_facts *f)
{
    (void)w;
    jo_bool(o, d->name, f->open && f->open->hold);
}

static void write_exclusive(struct job_writer *w, struct json_out *o, const struct job_field *d,
                            const struct job_facts *f)
{
    (void)w;
    jo_bool(o, d->name, f->flags & JOB_EXCLUSIVE);
}

/* ---- the spec: absent where it was not read or not kept ---- */

static const struct job_spec *spec_of(struct job_writer *w, const struct job_facts *f)
{
    if (!w->spec_is_read)
        job_spec_read(f->spec, &w->spec);
    w->spec_is_read = true;
    return &w->spec;
}

/* As it stands there. */
static void write_part(struct json_out *o, const char *name, const struct job_spec *spec,
                       const struct json_part *part, const char *when_absent)
{
    if (spec->command.kind == JSON_PART_NONE)
        return;
    if (part->kind == JSON_PART_TEXT) /* between its quotes */
        jo_raw(o, name, part->at - 1, part->len + 2);
    else if (part->kind != JSON_PART_NONE)
        jo_raw(o, name, part->at, part->len);
    else
        jo_raw(o, name, when_absent, strlen(when_absent));
}

static const struct json_part *part_of(const struct job_field *d, const struct job_spec *spec)
{
    return (const struct json_part *)(const void *)((const char *)spec + d->offset);
}

static void write_spec_map(struct job_writer *w, struct json_out *o, const struct job_field *d,
                           const struct job_facts *f)
{
    const struct job_spec *spec = spec_of(w, f);
    write_part(o, d->name, spec, part_of(d, spec), "{}");
}

static void write_spec_text(struct job_writer *w, struct json_out *o, const struct job_field *d,
                            const struct job_facts *f)
{
    const struct job_spec *spec = spec_of(w, f);
    write_part(o, d->name, spec, part_of(d, spec), "null");
}

/* Calls ON_ENV for every variable. */
static void each_env(const struct job_spec *spec, struct json_out *o,
                     void (*on_env)(struct json_out *o, const char *name, const struct json_part *))
{
    struct json_scan s;
    struct json_part key, value;
    if (spec->env.kind != JSON_PART_OBJECT)
        return;
    json_scan_init(&s, spec->env.at, spec->env.len);
    for (json_scan_object(&s); json_scan_member(&s, &key);) {
        auto_text struct text name = {0};
        json_part_text(&key, &name);
        json_scan_value(&s, &value);
        on_env(o, text_get(&name), &value);
    }
}

static void on_env(struct json_out *o, const char *name, const struct json_part *value)
{
    if (job_env_is_secret(name))
        jo_text(o, name, "***");
    else
        jo_raw(o, name, value->at - 1, value->len + 2);
}

static void write_env(struct job_writer *w, struct json_out *o, const struct job_field *d,
                      const struct job_facts *f)
{
    const struct job_spec *spec = spec_of(w, f);
    if (spec->command.kind == JSON_PART_NONE)
        return;
    jo_object(o, d->name);
    each_env(spec, o, on_env);
    jo_end(o);
}

static void on_warning(struct json_out *o, const char *name, const struct json_part *value)
{
    (void)value;
    auto_text struct text t = {0};
    if (!job_env_is_secret(name))
        return;
    text_addf(&t, "env %s looks like a secret: it is not shown, but kept readable in the store",
              name);
    jo_text(o, NULL, text_get(&t));
}

/* {"a": "b"} of "a=b". */
static void write_selector(struct job_writer *w, struct json_out *o, const struct job_field *d,
                           const struct job_facts *f)
{
    (void)w;
    jo_object(o, d->name);
    for (const char *at = f->selector; at && *at;) {
        size_t len = strcspn(at, ","), key = strcspn(at, "=,");
        auto_free char *name = mem_strndup(at, key);
        auto_free char *value = mem_strndup(at + key + 1, len > key ? len - key - 1 : 0);
        jo_text(o, name, value);
        at += len + (at[len] == ',');
    }
    jo_end(o);
}

static void write_tolerations(struct job_writer *w, struct json_out *o, const struct job_field *d,
                              const struct job_facts *f)
{
    (void)w;
    jo_list(o, d->name);
    for (const char *at = f->tolerations; at && *at;) {
        size_t len = strcspn(at, ",");
        auto_free char *one = mem_strndup(at, len);
        jo_text(o, NULL, one);
        at += len + (at[len] == ',');
    }
    jo_end(o);
}

static void write_spec_list(struct job_writer *w, struct json_out *o, const struct job_field *d,
                            const struct job_facts *f)
{
    const struct job_spec *spec = spec_of(w, f);
    write_part(o, d->name, spec, part_of(d, spec), "[]");
}

static void write_warnings(struct job_writer *w, struct json_out *o, const struct job_field *d,
                           const struct job_facts *f)
{
    auto_text struct text list = {0};
    struct json_out warnings = {.text = &list};
    jo_list(&warnings, NULL);
    each_env(spec_of(w, f), &warnings, on_warning);
    jo_end(&warnings);
    if (list.len > 2) /* an empty one is left out */
        jo_raw(o, d->name, list.data, list.len);
}

/* ---- of one job ---- */

static void write_attempts(struct job_writer *w, struct json_out *o, const struct job_field *d,
                           const struct job_facts *f)
{
    (void)f;
    job_write_attempts(w, o, d->name);
}

static void write_why(struct job_writer *w, struct json_out *o, const struct job_field *d,
                      const struct job_facts *f)
{
    job_write_why(w, o, d->name, f->open);
}

/* ---- the table ---- */

#define FACT(member) offsetof(struct job_facts, member)
#define SPEC(member) offsetof(struct job_spec, member)

/* clang-format off */
/* In the order in which they are written. */
static const struct job_field fields[] = {
    {"id",               SIGHT_EXISTS, 0,          write_number,      FACT(id)},
    {"user",             SIGHT_EXISTS, 0,          write_user,        0},
    {"state",            SIGHT_EXISTS, 0,          write_state,       0},
    {"position",         SIGHT_EXISTS, 0,          write_position,    0},
    {"held",             SIGHT_EXISTS, 0,          write_held,        0},
    {"attempt",          SIGHT_EXISTS, 0,          write_number,      FACT(attempts)},
    {"submitted_at",     SIGHT_EXISTS, 0,          write_time,        FACT(submitted_ms)},
    {"scheduled_at",     SIGHT_EXISTS, 0,          write_time,        FACT(scheduled_ms)},
    {"started_at",       SIGHT_EXISTS, 0,          write_time,        FACT(started_ms)},
    {"ended_at",         SIGHT_EXISTS, 0,          write_time,        FACT(ended_ms)},
    {"expected_start_at", SIGHT_EXISTS, NEEDS_EXPECTED, write_expected_start, 0},
    {"expected_order",   SIGHT_EXISTS, NEEDS_EXPECTED, write_expected_order, 0},
    {"expected_basis",   SIGHT_EXISTS, NEEDS_EXPECTED, write_expected_basis, 0},
    {"wait_ms",          SIGHT_EXISTS, 0,          write_wait,        0},
    {"node",             SIGHT_EXISTS, 0,          write_node,        0},
    {"devices",          SIGHT_EXISTS, 0,          write_devices,     0},
    {"placed_by",        SIGHT_ALL,    ONE_ONLY,   write_placed_by,   0},
    {"run_ms",           SIGHT_COST,   0,          write_run,         0},
    {"team",             SIGHT_COST,   0,          write_team,        0},
    {"gpus",             SIGHT_COST,   0,          write_number,      FACT(gpus)},
    {"energy_joules",    SIGHT_COST,   0,          write_energy,      0},
    {"cost_micros",      SIGHT_COST,   0,          write_cost,        0},
    {"currency",         SIGHT_COST,   0,          write_currency,    0},
    {"name",             SIGHT_ALL,    NEEDS_NAME, write_name,        0},
    {"reason",           SIGHT_ALL,    0,          write_reason,      0},
    {"reason_code",      SIGHT_ALL,    0,          write_reason_code, 0},
    {"progress",         SIGHT_ALL,    0,          write_progress,    0},
    {"exit_code",        SIGHT_ALL,    0,          write_exit_code,   0},
    {"gpu_memory",       SIGHT_ALL,    0,          write_amount,      FACT(gpu_memory_mib)},
    {"cpu",              SIGHT_ALL,    0,          write_cpu,         0},
    {"memory",           SIGHT_ALL,    0,          write_amount,      FACT(memory_mib)},
    {"time_limit",       SIGHT_ALL,    0,          write_amount,      FACT(time_limit_s)},
    {"retries",          SIGHT_ALL,    0,          write_number,      FACT(retries)},
    {"exclusive",        SIGHT_ALL,    0,          write_exclusive,   0},
    {"command",          SIGHT_ALL,    NEEDS_SPEC, write_spec_map,    SPEC(command)},
    {"env",              SIGHT_ALL,    NEEDS_SPEC, write_env,         0},
    {"labels",           SIGHT_ALL,    NEEDS_SPEC, write_spec_map,    SPEC(labels)},
    {"work_dir",         SIGHT_ALL,    NEEDS_SPEC, write_spec_text,   SPEC(work_dir)},
    {"config_file",      SIGHT_ALL,    NEEDS_SPEC, write_spec_text,   SPEC(config_file)},
    {"progress_pattern", SIGHT_ALL,    NEEDS_SPEC, write_spec_text,   SPEC(progress)},
    {"image",            SIGHT_ALL,    NEEDS_SPEC, write_spec_text,   SPEC(image)},
    {"runner",           SIGHT_ALL,    NEEDS_SPEC, write_spec_text,   SPEC(runner)},
    {"template",         SIGHT_ALL,    NEEDS_SPEC, write_spec_text,   SPEC(template)},
    {"mounts",           SIGHT_ALL,    NEEDS_SPEC, write_spec_list,   SPEC(mounts)},
    {"node_selector",    SIGHT_ALL,    0,          write_selector,    0},
    {"tolerations",      SIGHT_ALL,    0,          write_tolerations, 0},
    {"warnings",         SIGHT_ALL,    NEEDS_SPEC, write_warnings,    0},
    {"attempts",         SIGHT_ALL,    ONE_ONLY,   write_attempts,    0},
    {"why",              SIGHT_ALL,    ONE_ONLY,   write_why,         0},
};
/* clang-format on */
_Static_assert(COUNT_OF(fields) <= 64, "a bit each");

/* Those of a list, or of one job, which are all. */
static uint64_t all_fields(bool list)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < COUNT_OF(fields); i++)
        if (!list || !(fields[i].flags & ONE_ONLY))
            bits |= UINT64_C(1) << i;
    return bits;
}

static int read_one(const char *word, size_t len, bool list, struct job_fields *ret, struct err *e)
{
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        const struct job_field *d = &fields[i];
        if (strlen(d->name) != len || memcmp(d->name, word, len) != 0)
            continue;
        if (list && d->flags & ONE_ONLY)
            return err_set(e, ERR_INVALID, "parameter fields: lists do not have '%s', only a job",
                           d->name);
        ret->bits |= UINT64_C(1) << i;
        return 0;
    }
    return err_set(e, ERR_INVALID, "parameter fields: '%.*s' is no field of a job",
                   (int)(len < 40 ? len : 40), word);
}

int job_fields_read(struct call *c, bool list, struct job_fields *ret, struct err *e)
{
    const char *at = http_query_get(c->request, "fields");
    ret->bits = at ? 0 : all_fields(list);
    for (bool more = at; more;) {
        size_t len = strcspn(at, ",");
        if (read_one(at, len, list, ret, e) < 0)
            return err_blame(e, "fields");
        more = at[len];
        at += len + more;
    }
    return 0;
}

static bool need(struct job_fields f, unsigned flags)
{
    for (size_t i = 0; i < COUNT_OF(fields); i++)
        if ((f.bits >> i & 1) && fields[i].flags & flags)
            return true;
    return false;
}

bool job_fields_need_name(struct job_fields f)
{
    return need(f, NEEDS_NAME);
}

bool job_fields_need_spec(struct job_fields f)
{
    return need(f, NEEDS_SPEC);
}

bool job_fields_need_expected(struct job_fields f)
{
    return need(f, NEEDS_EXPECTED);
}

bool job_fields_need_attempts(struct job_fields f)
{
    return need(f, ONE_ONLY);
}

const char *job_field_name(size_t i, bool *ret_one_only)
{
    if (i >= COUNT_OF(fields))
        return NULL;
    *ret_one_only = fields[i].flags & ONE_ONLY;
    return fields[i].name;
}

void job_write(struct job_writer *w, struct json_out *o, const struct job_facts *f)
{
    enum sight sight = caller_sight(w->caller, f->principal, f->submitter);
    w->spec_is_read = w->start_is_read = false;
    jo_object(o, NULL);
    for (uint64_t left = w->fields.bits ? w->fields.bits : all_fields(true); left;
         left &= left - 1) {
        const struct job_field *d = &fields[__builtin_ctzll(left)];
        if (d->sight <= sight)
            d->write(w, o, d, f);
    }
    jo_end(o);
}
