/* What runs and what waits, in live order, from the snapshot. */
#include "api/door.h"
#include "api/handlers.h"
#include "api/job_json.h"
#include "api/job_rows.h"
#include "base/mem.h"

/*
 * A cursor is where the page before ended: running jobs by id as even numbers, waiting ones by
 * place as odd numbers. A place never changes while a job waits, so pages neither repeat nor leave
 * out a job that stays, however the queue moves.
 */
static int64_t running_cursor(int64_t id)
{
    return 2 * id;
}

static int64_t waiting_cursor(uint64_t place)
{
    return 2 * (int64_t)place + 1;
}

struct queue_page {
    struct job_entry *entries;
    size_t count;
    int64_t first_position; /* of the first waiting one on it */
    int64_t next;
};

static void take_running(const struct fleet_view *v, int64_t cursor, size_t most,
                         struct queue_page *ret)
{
    struct tree_walk w;
    if (cursor % 2)
        return;
    struct tree_key from = {0, (uint64_t)cursor / 2 + 1};
    for (bool more = tree_first(&w, &v->running, &v->tree_nodes, from); more && ret->count < most;
         more = tree_next(&w)) {
        const struct job *j = fleet_job_at(v, w.value);
        ret->entries[ret->count++].open = j;
        ret->next = running_cursor(j->id);
    }
}

static void take_waiting(const struct fleet_view *v, int64_t cursor, size_t most,
                         struct queue_page *ret)
{
    struct tree_walk w;
    struct tree_key from = {0, cursor % 2 ? (uint64_t)cursor / 2 + 1 : 0};
    ret->first_position = (int64_t)tree_rank(&v->waiting, &v->tree_nodes, from) + 1;
    bool more = tree_first(&w, &v->waiting, &v->tree_nodes, from);
    for (; more && ret->count < most; more = tree_next(&w)) {
        const struct job *j = fleet_job_at(v, w.value);
        ret->entries[ret->count++].open = j;
        ret->next = waiting_cursor(j->place);
    }
    if (!more)
        ret->next = 0;
}

static int read_records(struct call *c, struct store_reader *r, struct job_fields fields,
                        struct queue_page *p, struct err *e)
{
    bool with_spec = job_fields_need_spec(fields);
    size_t count = 0;
    if (!with_spec && !job_fields_need_name(fields))
        return 0;
    auto_free struct job_entry **wanted = mem_new_array(struct job_entry *, p->count + 1);
    for (size_t i = 0; i < p->count; i++) {
        const struct job *j = p->entries[i].open;
        if (caller_sight(&c->caller, j->principal, j->submitter) == SIGHT_ALL)
            wanted[count++] = &p->entries[i];
    }
    return job_entries_read(engine_store(c->api->engine), r, wanted, count, with_spec, e);
}

static void write_page(struct call *c, const struct fleet_view *v, struct job_fields fields,
                       const struct queue_page *p)
{
    struct job_writer w = {
        .api = c->api, .caller = &c->caller, .view = v, .now_ms = c->now_ms, .fields = fields};
    struct json_out o = call_out(c);
    int64_t position = p->first_position;
    jo_object(&o, NULL);
    jo_list(&o, "items");
    for (size_t i = 0; i < p->count; i++) {
        const struct job_entry *en = &p->entries[i];
        struct job_facts f;
        job_facts_of_open(v, en->open, &f);
        f.position = en->open->state == JOB_QUEUED ? position++ : 0;
        f.name = en->rows.spec.name;
        f.spec = en->rows.spec.spec;
        job_write(&w, &o, &f);
    }
    jo_end(&o);
    jo_int(&o, "queue_length", fleet_queue_length(v));
    jo_int(&o, "running", v->running.count);
    call_write_cursor(&o, p->next);
    jo_end(&o);
    job_writer_done(&w);
}

int read_queue(struct call *c, struct store_reader *r, struct err *e)
{
    struct engine *g = c->api->engine;
    struct job_fields fields;
    if (job_fields_read(c, true, &fields, e) < 0)
        return -1;
    if (job_fields_need_expected(fields))
        expected_refresh(c->api, r);
    const struct engine_view *v = engine_view_get(g);
    size_t most = (size_t)c->limit;
    struct queue_page p = {.entries = mem_new_array(struct job_entry, most)};
    take_running(&v->fleet, c->cursor, most, &p);
    take_waiting(&v->fleet, c->cursor, most, &p);
    int rc = read_records(c, r, fields, &p, e);
    if (rc == 0)
        write_page(c, &v->fleet, fields, &p);
    engine_view_release(g, v);
    for (size_t i = 0; i < p.count; i++)
        job_rows_done(&p.entries[i].rows);
    free(p.entries);
    return rc;
}
