/*
 * How far the output of running attempts was pulled, in a small file: kubelets throw old output
 * away, so what was pulled once cannot be counted off by pulling it again. The file is a hint:
 * without it everything is pulled anew, and what the log store has already is passed over.
 */
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/output.h"

enum { FILE_MOST = 16 << 20, WRITE_EVERY = 5, DONE_MOST = 64 };

/* ---- read ---- */

void positions_load(struct cluster *c)
{
    auto_free char *bytes = NULL;
    size_t len;
    struct err e = {0};
    if (!c->config.positions)
        return;
    if (file_read(c->config.positions, FILE_MOST, &bytes, &len, &e) < 0 ||
        json_parse(bytes, len, &c->positions, &e) < 0) {
        if (e.code != ERR_NOT_FOUND)
            log_warn("how far output was pulled is not known; pulling it anew", F_ERR(&e));
        c->positions = NULL;
    }
}

static int64_t number(const json_t *object, const char *key)
{
    int64_t value = json_integer_value(json_object_get(object, key));
    return value > 0 ? value : 0;
}

void positions_take(struct output *o)
{
    json_t *list = o->cluster->positions, *item, *done;
    size_t i, k;
    json_array_foreach(list, i, item)
    {
        if (number(item, "job") != o->ref.job || number(item, "n") != o->ref.n)
            continue;
        o->at.second = number(item, "second");
        o->at.lines = (uint64_t)number(item, "lines");
        o->at.in_line = (uint64_t)number(item, "in_line");
        o->taken.at = o->at;
        o->taken.offset = number(item, "offset");
        json_array_foreach(json_object_get(item, "pods"), k, done)
        {
            if (!json_is_string(done) || k >= DONE_MOST)
                break;
            o->pods = mem_resize_array(o->pods, o->pod_count + 1);
            o->pods[o->pod_count++] = mem_strdup(json_string_value(done));
        }
        o->done = (size_t)number(item, "done");
        if (o->done > o->pod_count)
            o->done = o->pod_count;
        o->taken.done = o->done;
        o->written = o->taken;
        json_array_remove(list, i);
        return;
    }
}

/* ---- written, by a worker ---- */

struct save {
    struct cluster *cluster;
    char *path;
    struct text bytes;
    struct err err;
};

static void on_worker(void *state, void *job)
{
    struct save *s = job;
    (void)state;
    file_replace(s->path, text_get(&s->bytes), s->bytes.len, 0600, &s->err);
}

static void on_saved(void *job)
{
    struct save *s = job;
    s->cluster->positions_under_way = false;
    if (s->err.code)
        log_warn("could not keep how far output was pulled", F_ERR(&s->err));
    free(s->path);
    text_done(&s->bytes);
    free(s);
}

static void write_one(struct json_out *o, const struct output *p)
{
    jo_object(o, NULL);
    jo_int(o, "job", p->ref.job);
    jo_int(o, "n", p->ref.n);
    jo_int(o, "second", p->written.at.second);
    jo_int(o, "lines", (int64_t)p->written.at.lines);
    jo_int(o, "in_line", (int64_t)p->written.at.in_line);
    jo_int(o, "offset", p->written.offset);
    jo_int(o, "done", (int64_t)p->written.done);
    jo_list(o, "pods");
    for (size_t i = 0; i < p->pod_count; i++)
        jo_text(o, NULL, p->pods[i]);
    jo_end(o);
    jo_end(o);
}

void positions_tick(struct cluster *c)
{
    if (!c->config.positions || !c->positions_due || c->positions_under_way ||
        c->ticks % WRITE_EVERY)
        return;
    struct save *s = mem_new(struct save);
    struct json_out o = {.text = &s->bytes};
    s->cluster = c;
    s->path = mem_strdup(c->config.positions);
    jo_list(&o, NULL);
    for (const struct output *p = c->outputs; p; p = p->next)
        write_one(&o, p);
    jo_end(&o);
    c->positions_under_way =
        workers_submit(engine_workers(c->engine), on_worker, on_saved, c->box, s);
    c->positions_due = !c->positions_under_way;
    if (c->positions_under_way)
        return;
    free(s->path);
    text_done(&s->bytes);
    free(s);
}

void positions_done(struct cluster *c)
{
    json_decref(c->positions);
    c->positions = NULL;
}
