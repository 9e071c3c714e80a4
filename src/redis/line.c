#include "redis/line.h"

#include "base/digest.h"
#include "base/json_out.h"
#include "base/json_scan.h"
#include "base/mem.h"

#include <nettle/sha1.h>

static const char no_paths[] = "\"config_file\":null,\"work_dir\":null";

struct line *line_new(int64_t job, const char *text, size_t len)
{
    struct line *l = mem_alloc(1, sizeof *l + len + 1);
    struct sha1_ctx sha;
    unsigned char bits[LINE_HASH / 2];
    l->job = job;
    l->refs = 1;
    l->len = len;
    memcpy(l->text, text, len);
    sha1_init(&sha);
    sha1_update(&sha, len, (const uint8_t *)text);
    sha1_digest(&sha, sizeof bits, bits);
    hex_write(l->hash, bits, sizeof bits);
    return l;
}

struct line *line_ref(struct line *l)
{
    l->refs++;
    return l;
}

void line_unref(struct line *l)
{
    if (l && --l->refs == 0)
        free(l);
}

void lines_add(struct lines *l, struct line *line)
{
    if (l->count == l->room) {
        l->room = l->room ? 2 * l->room : 64;
        l->all = mem_resize_array(l->all, l->room);
    }
    l->all[l->count++] = line_ref(line);
}

void lines_done(struct lines *l)
{
    for (size_t i = 0; i < l->count; i++)
        line_unref(l->all[i]);
    free(l->all);
    *l = (struct lines){0};
}

void lines_set(struct lines *l, struct line *const *all, size_t count)
{
    struct lines fresh = {0};
    for (size_t i = 0; i < count; i++)
        lines_add(&fresh, all[i]);
    lines_done(l);
    *l = fresh;
}

static int by_job(const void *a, const void *b)
{
    int64_t x = (*(struct line *const *)a)->job, y = (*(struct line *const *)b)->job;
    return (x > y) - (x < y);
}

void lines_sort(struct lines *l)
{
    if (l->count)
        qsort(l->all, l->count, sizeof(struct line *), by_job);
}

struct line *lines_find(const struct lines *l, int64_t job)
{
    struct line key = {.job = job}, *at = &key;
    struct line **found =
        l->count ? bsearch(&at, l->all, l->count, sizeof(struct line *), by_job) : NULL;
    return found ? *found : NULL;
}

bool line_is_ours(const char *text, int64_t *ret_job)
{
    *ret_job = 0;
    if (!text_starts_with(text, LINE_MARK))
        return false;
    const char *at = strchr(text + strlen(LINE_MARK), '"');
    if (at && text_starts_with(at, "\",\"job_id\":"))
        *ret_job = strtoll(at + strlen("\",\"job_id\":"), NULL, 10);
    return true;
}

static void write_attempt(const struct fleet_view *v, const struct job *j, struct json_out *o)
{
    const struct attempt *a = fleet_job_attempt(v, j);
    const struct node *n = a ? fleet_node(v, a->node) : NULL;
    jo_int(o, "attempt", a ? a->n : 0);
    jo_text(o, "node", n ? n->name : NULL);
    jo_list(o, "devices");
    for (uint32_t row = a ? a->first_part : NO_ROW; row != NO_ROW;
         row = fleet_part_at(v, row)->next) {
        const struct device *d = fleet_device(v, fleet_part_at(v, row)->device);
        if (d)
            jo_text(o, NULL, d->uuid);
    }
    jo_end(o);
    jo_time(o, "scheduled_at", a ? a->decided_ms : 0);
    jo_time(o, "started_at", a ? a->started_ms : 0);
}

void line_write_head(const struct fleet_view *v, const struct job *j, bool mask, struct text *out)
{
    const struct principal *p = fleet_principal(v, j->principal);
    const char *team = fleet_team(v, j);
    struct json_out o = {.text = out};
    jo_object(&o, NULL);
    jo_text(&o, "reeve", v->site);
    jo_int(&o, "job_id", j->id);
    jo_text(&o, "user", p && !mask ? p->name : NULL);
    jo_text(&o, "team", *team ? team : NULL);
    jo_text(&o, "state", job_state_name((enum job_state)j->state));
    jo_int(&o, "gpus", j->gpus);
    jo_time(&o, "submitted_at", j->submitted_ms);
    if (j->state == JOB_QUEUED)
        jo_bool(&o, "held", j->hold != 0);
    else
        write_attempt(v, j, &o);
}

void line_write_tail(const char *paths, struct text *out)
{
    text_addf(out, ",%s}", paths ? paths : no_paths);
}

static void add_path(struct text *t, const char *name, const struct json_part *p)
{
    if (p->kind == JSON_PART_TEXT)
        text_addf(t, "\"%s\":\"%.*s\"", name, (int)p->len, p->at);
    else
        text_addf(t, "\"%s\":null", name);
}

char *line_read_paths(const char *spec)
{
    struct json_part key, value, config = {0}, work = {0};
    struct json_scan s;
    struct err e;
    auto_text struct text t = {0};
    if (!spec)
        return mem_strdup(no_paths);
    json_scan_init(&s, spec, strlen(spec));
    for (json_scan_object(&s); json_scan_member(&s, &key);) {
        json_scan_value(&s, &value);
        if (json_part_is(&key, "config_file"))
            config = value;
        else if (json_part_is(&key, "work_dir"))
            work = value;
    }
    if (json_scan_end(&s, &e) < 0)
        return mem_strdup(no_paths);
    add_path(&t, "config_file", &config);
    text_add_char(&t, ',');
    add_path(&t, "work_dir", &work);
    return text_take(&t);
}
