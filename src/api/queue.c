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
    const struct job **jobs;
    struct job_rows *rows;
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
        ret->jobs[ret->count++] = j;
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
        ret->jobs[ret->count++] = j;
        ret->next = waiting_cursor(j->place);
    }
    if (!more)
        ret->next = 0;
}

static int read_cold(struct call *c, struct store_reader *r, struct queue_page *p, struct err *e)
{
    const struct store_ops *ops = engine_store(c->api->engine);
    for (size_t i = 0; i < p->count; i++) {
        const struct job *j = p->jobs[i];
        if (caller_sight(&c->caller, j->principal, j->submitter) == SIGHT_ALL &&
            job_rows_read_spec(ops, r, j->id, &p->rows[i], e) < 0)
            return -1;
    }
    return 0;
}

static void write_page(struct call *c, const struct fleet_view *v, const struct queue_page *p)
{
    struct job_writer w = {.api = c->api, .caller = &c->caller, .view = v, .now_ms = c->now_ms};
    struct json_out o = call_out(c);
    int64_t position = p->first_position;
    jo_object(&o, NULL);
    jo_list(&o, "items");
    for (size_t i = 0; i < p->count; i++) {
        struct job_facts f;
        job_facts_of_open(v, p->jobs[i], &f);
        f.position = p->jobs[i]->state == JOB_QUEUED ? position++ : 0;
        f.name = p->rows[i].spec.name;
        f.spec = p->rows[i].spec.spec;
        jo_object(&o, NULL);
        job_write(&w, &o, &f);
        jo_end(&o);
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
    const struct engine_view *v = engine_view_get(g);
    size_t most = (size_t)c->limit;
    struct queue_page p = {.jobs = mem_new_array(const struct job *, most),
                           .rows = mem_new_array(struct job_rows, most)};
    take_running(&v->fleet, c->cursor, most, &p);
    take_waiting(&v->fleet, c->cursor, most, &p);
    int rc = read_cold(c, r, &p, e);
    if (rc == 0)
        write_page(c, &v->fleet, &p);
    engine_view_release(g, v);
    for (size_t i = 0; i < p.count; i++)
        job_rows_done(&p.rows[i]);
    free(p.rows);
    free(p.jobs);
    return rc;
}
