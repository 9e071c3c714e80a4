#include "api/job_show.h"

#include "api/door.h"
#include "api/handlers.h"
#include "api/job_json.h"
#include "api/job_rows.h"
#include "base/mem.h"
#include "core/explain/explain.h"

enum { ATTEMPTS_SHOWN = 1000, HELD_SHOWN = 16 };

/* ---- attempts ---- */

struct attempt_list {
    struct attempt_row *attempts; /* with reason texts of their own */
    struct part_row *parts;
    struct attempt_note_row *notes; /* with texts of their own */
    size_t attempt_count, part_count, note_count;
};

static void attempts_done(struct attempt_list *l)
{
    for (size_t i = 0; i < l->attempt_count; i++)
        free((char *)l->attempts[i].reason_text);
    for (size_t i = 0; i < l->note_count; i++)
        free((char *)l->notes[i].text);
    free(l->attempts);
    free(l->parts);
    free(l->notes);
}
#define auto_attempts AUTO(attempts_done)

static int keep_attempt(void *arg, enum table_id table, const void *record)
{
    struct attempt_list *l = arg;
    (void)table;
    l->attempts = mem_resize_array(l->attempts, l->attempt_count + 1);
    struct attempt_row *kept = &l->attempts[l->attempt_count++];
    *kept = *(const struct attempt_row *)record;
    kept->reason_text = kept->reason_text ? mem_strdup(kept->reason_text) : NULL;
    kept->boot_id = kept->data_id = NULL;
    return 0;
}

static int keep_part(void *arg, enum table_id table, const void *record)
{
    struct attempt_list *l = arg;
    (void)table;
    l->parts = mem_resize_array(l->parts, l->part_count + 1);
    l->parts[l->part_count++] = *(const struct part_row *)record;
    return 0;
}

static int keep_note(void *arg, enum table_id table, const void *record)
{
    struct attempt_list *l = arg;
    (void)table;
    l->notes = mem_resize_array(l->notes, l->note_count + 1);
    struct attempt_note_row *kept = &l->notes[l->note_count++];
    *kept = *(const struct attempt_note_row *)record;
    kept->text = mem_strdup(kept->text ? kept->text : "null");
    return 0;
}

static int read_notes(const struct store_ops *ops, struct store_reader *r, int64_t job,
                      struct attempt_list *ret, struct err *e)
{
    static const enum attempt_note kinds[] = {NOTE_RESULTS, NOTE_OUTCOME};
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        struct store_query q = {
            .id = QUERY_NOTES, .key = job, .kind = kinds[i], .limit = ATTEMPTS_SHOWN};
        if (ops->read(r, &q, keep_note, ret, e) < 0)
            return -1;
    }
    return 0;
}

static void write_note(struct json_out *o, const char *key, const struct attempt_list *l,
                       enum attempt_note kind, int64_t n)
{
    for (size_t i = 0; i < l->note_count; i++)
        if (l->notes[i].kind == kind && l->notes[i].n == n) {
            jo_raw(o, key, l->notes[i].text, strlen(l->notes[i].text));
            return;
        }
    jo_null(o, key);
}

static int read_attempts(const struct store_ops *ops, struct store_reader *r, int64_t job,
                         struct attempt_list *ret, struct err *e)
{
    struct store_query q = {.id = QUERY_ATTEMPTS, .key = job, .limit = ATTEMPTS_SHOWN};
    if (ops->read(r, &q, keep_attempt, ret, e) < 0)
        return -1;
    q.id = QUERY_PARTS;
    q.limit = STORE_LIMIT;
    return ops->read(r, &q, keep_part, ret, e) < 0 ? -1 : read_notes(ops, r, job, ret, e);
}

static void write_devices(struct json_out *o, const struct fleet_view *v,
                          const struct attempt_list *l, int64_t n)
{
    jo_list(o, "devices");
    for (size_t i = 0; i < l->part_count; i++) {
        const struct device *d = fleet_device(v, l->parts[i].device);
        if (l->parts[i].n == n && d)
            job_write_device(o, v, d);
    }
    jo_end(o);
}

static void write_node(struct json_out *o, const struct fleet_view *v, int64_t node)
{
    const struct node *n = fleet_node(v, node);
    jo_text(o, "node", n ? n->name : NULL);
}

/* What is told of an attempt only when it is over. */
static void write_end(struct job_writer *w, struct json_out *o, const struct attempt_row *a)
{
    bool exited = a->outcome == OUTCOME_COMPLETED || a->outcome == OUTCOME_FAILED;
    jo_text(o, "outcome", outcome_name((enum attempt_outcome)a->outcome));
    if (exited)
        jo_int(o, "exit_code", a->exit_code);
    else
        jo_null(o, "exit_code");
    if (a->term_signal)
        jo_int(o, "signal", a->term_signal);
    else
        jo_null(o, "signal");
    job_write_sentence(o, "reason", w->caller, a->reason_text);
    jo_int(o, "run_ms", a->run_ms);
    jo_fixed(o, "energy_joules", a->energy_mj, 1000);
    jo_bool(o, "energy_measured", a->energy_measured);
    jo_int(o, "cost_micros", a->cost_micros);
    jo_text(o, "currency", w->view->policy.currency);
}

/* Of one that runs: what it has used so far. */
static void write_so_far(struct job_writer *w, struct json_out *o, const struct attempt_row *a)
{
    const struct job *j = fleet_job(w->view, a->job);
    const struct attempt *open = j ? fleet_job_attempt(w->view, j) : NULL;
    job_write_sentence(o, "reason", w->caller, a->reason_text);
    if (!open || open->n != a->n || !open->started_ms)
        return;
    struct job_used used = job_used_now(w, open);
    jo_int(o, "run_ms", used.run_ms);
    jo_fixed(o, "energy_joules", used.energy_mj, 1000);
    jo_bool(o, "energy_measured", used.measured);
    jo_int(o, "cost_micros", used.cost_micros);
    jo_text(o, "currency", w->view->policy.currency);
}

void job_write_attempts(struct job_writer *w, struct json_out *o, const char *key)
{
    const struct fleet_view *v = w->view;
    const struct attempt_list *l = w->attempts;
    jo_list(o, key);
    for (size_t i = 0; i < l->attempt_count; i++) {
        const struct attempt_row *a = &l->attempts[i];
        char id[ATTEMPT_ID_SIZE];
        attempt_id(id, v->incarnation, a->job, a->n);
        jo_object(o, NULL);
        jo_int(o, "n", a->n);
        jo_text(o, "id", id);
        jo_text(o, "state", attempt_state_name((enum attempt_state)a->state));
        write_node(o, v, a->node);
        write_devices(o, v, l, a->n);
        jo_time(o, "decided_at", a->decided_ms);
        jo_time(o, "started_at", a->started_ms);
        jo_time(o, "ended_at", a->ended_ms);
        if (a->ended_ms)
            write_end(w, o, a);
        else
            write_so_far(w, o, a);
        write_note(o, "results", l, NOTE_RESULTS, a->n);
        write_note(o, "metadata", l, NOTE_OUTCOME, a->n);
        jo_end(o);
    }
    jo_end(o);
}

/* ---- why it waits ---- */

void job_write_why(struct job_writer *w, struct json_out *o, const char *key, const struct job *j)
{
    const struct fleet_view *v = w->view;
    struct explain_reader reader = caller_reads(w->api, w->caller);
    auto_text struct text sentence = {0};
    int64_t held[HELD_SHOWN];
    if (!j || j->state != JOB_QUEUED) {
        jo_null(o, key);
        return;
    }
    jo_object(o, key);
    jo_text(o, "code", explain_wait(v, j, &reader, &sentence));
    jo_text(o, "sentence", text_get(&sentence));
    jo_list(o, "held_by");
    size_t count = explain_held_by(v, j, held, HELD_SHOWN);
    for (size_t i = 0; i < count; i++) {
        const struct device *d = fleet_device(v, held[i]);
        const struct attempt *a = fleet_attempt_at(v, d->attempt);
        jo_object(o, NULL);
        jo_int(o, "job", a->job);
        job_write_user(o, "user", v, fleet_job_at(v, a->job_row)->principal, !reader.mask_users);
        write_node(o, v, d->node);
        jo_int(o, "device", d->id);
        jo_end(o);
    }
    jo_end(o);
    jo_end(o);
}

/* ---- the whole ---- */

/*
 * A job is in the snapshot while it is open and in the history afterwards. It moves between our two
 * looks now and then: so we look again, at a newer snapshot, when it is in neither.
 */
static int gather(struct call *c, struct store_reader *r, int64_t id, const struct fleet_view *v,
                  struct job_fields fields, struct job_rows *rows, struct job_facts *ret,
                  struct err *e)
{
    const struct store_ops *ops = engine_store(c->api->engine);
    const struct job *j = fleet_job(v, id);
    bool wants_rows = job_fields_need_name(fields) || job_fields_need_spec(fields);
    if ((wants_rows || !j) && job_rows_read_spec(ops, r, id, rows, e) < 0)
        return -1;
    if (j) {
        job_facts_of_open(v, j, ret);
        ret->name = rows->spec.name;
        ret->spec = rows->spec.spec;
        return 1;
    }
    if (job_rows_read_history(ops, r, id, rows, e) < 0)
        return -1;
    if (!rows->has_history)
        return 0;
    job_facts_of_ended(&rows->history, rows->has_spec ? &rows->spec : NULL, ret);
    return 1;
}

enum { LOOKS = 3 };

int job_show(struct call *c, struct store_reader *r, int64_t id, struct err *e)
{
    struct engine *g = c->api->engine;
    struct job_fields fields;
    if (job_fields_read(c, false, &fields, e) < 0)
        return -1;
    bool wants_attempts = job_fields_need_attempts(fields);
    for (int look = 0; look < LOOKS; look++) {
        const struct engine_view *v = engine_view_get(g);
        struct job_rows rows = {0};
        struct job_facts facts;
        const struct job *j = fleet_job(&v->fleet, id);
        if (j && j->state == JOB_QUEUED && job_fields_need_expected(fields))
            expected_refresh(c->api, r);
        int rc = gather(c, r, id, &v->fleet, fields, &rows, &facts, e);
        auto_attempts struct attempt_list attempts = {0};
        if (rc > 0 && wants_attempts && read_attempts(engine_store(g), r, id, &attempts, e) < 0)
            rc = -1;
        if (rc > 0) {
            struct job_writer w = {.api = c->api,
                                   .caller = &c->caller,
                                   .view = &v->fleet,
                                   .now_ms = c->now_ms,
                                   .fields = fields,
                                   .attempts = &attempts};
            struct json_out o = call_out(c);
            job_write(&w, &o, &facts);
            job_writer_done(&w);
        }
        bool moved = rc == 0 && rows.has_spec;
        job_rows_done(&rows);
        engine_view_release(g, v);
        if (rc)
            return rc < 0 ? -1 : 0;
        if (!moved)
            break;
    }
    return err_set(e, ERR_NOT_FOUND, "there is no job %lld", (long long)id);
}

int read_job(struct call *c, struct store_reader *r, struct err *e)
{
    int64_t id;
    if (call_param_id(c, 0, "job", &id, e) < 0)
        return -1;
    return job_show(c, r, id, e);
}

int job_find_owner(struct call *c, struct store_reader *r, int64_t id, int64_t *ret_principal,
                   int64_t *ret_submitter, bool *ret_open, struct err *e)
{
    struct engine *g = c->api->engine;
    const struct engine_view *v = engine_view_get(g);
    const struct job *j = fleet_job(&v->fleet, id);
    if (j) {
        *ret_principal = j->principal;
        *ret_submitter = j->submitter;
    }
    engine_view_release(g, v);
    if (ret_open)
        *ret_open = j != NULL;
    if (j)
        return 0;

    struct job_rows rows = {0};
    int rc = job_rows_read_spec(engine_store(g), r, id, &rows, e);
    if (rc == 0 && !rows.has_spec)
        rc = err_set(e, ERR_NOT_FOUND, "there is no job %lld", (long long)id);
    if (rc == 0) {
        *ret_principal = rows.spec.principal;
        *ret_submitter = rows.spec.submitter;
        if (ret_open)
            *ret_open = rows.is_open;
    }
    job_rows_done(&rows);
    return rc;
}
