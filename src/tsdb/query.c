/* Questions: which series match, and what their samples come to, step by step. */
#include "tsdb/tsdb_inside.h"

#include "base/mem.h"
#include "base/text.h"

#include <math.h>
#include <string.h>

enum { POINTS_MOST = 11000 };

struct question {
    const struct tsdb_query *q;
    size_t most_points;
    struct sample *points; /* of the series at hand */
    size_t count, room;
    bool too_many;

    /* The step that is being added up. */
    int64_t step; /* its number; -1: none yet */
    int64_t samples;
    double sum, least, most, last;
};

static const char *value_of(const struct series_entry *s, const char *name)
{
    for (size_t i = 0; i < s->label_count; i++)
        if (strcmp(s->labels[i].name->text, name) == 0)
            return s->labels[i].value->text;
    return "";
}

static bool matches(const struct series_entry *s, const struct tsdb_query *q)
{
    for (size_t i = 0; i < q->matcher_count; i++) {
        const struct tsdb_matcher *m = &q->matchers[i];
        bool same = strcmp(value_of(s, m->name), m->value) == 0;
        if (same != (m->match == TSDB_IS))
            return false;
    }
    return true;
}

static void add_point(struct question *a, int64_t t_ms, double value)
{
    if (a->count == a->most_points) {
        a->too_many = true;
        return;
    }
    if (a->count == a->room) {
        a->room = a->room ? 2 * a->room : 512;
        a->points = mem_resize_array(a->points, a->room);
    }
    a->points[a->count++] = (struct sample){t_ms, value};
}

static void end_step(struct question *a)
{
    if (!a->samples)
        return;
    double value = 0;
    switch (a->q->aggregate) {
    case TSDB_LAST:
    case TSDB_RAW:
        value = a->last;
        break;
    case TSDB_MEAN:
        value = a->sum / (double)a->samples;
        break;
    case TSDB_MIN:
        value = a->least;
        break;
    case TSDB_MAX:
        value = a->most;
        break;
    case TSDB_SUM:
        value = a->sum;
        break;
    case TSDB_COUNT:
        value = (double)a->samples;
        break;
    }
    add_point(a, a->q->from_ms + a->step * a->q->step_ms, value);
    a->samples = 0;
}

static void add_sample(struct question *a, const struct sample *s)
{
    if (a->q->aggregate == TSDB_RAW) {
        add_point(a, s->t_ms, s->value);
        return;
    }
    if (isnan(s->value))
        return;
    int64_t step = (s->t_ms - a->q->from_ms) / a->q->step_ms;
    if (step != a->step || !a->samples) {
        end_step(a);
        a->step = step;
        a->sum = 0;
        a->least = a->most = s->value;
    }
    a->samples++;
    a->sum += s->value;
    a->least = s->value < a->least ? s->value : a->least;
    a->most = s->value > a->most ? s->value : a->most;
    a->last = s->value;
}

static void read_series(struct question *a, const struct series_entry *s)
{
    a->count = 0;
    a->samples = 0;
    for (const struct chunk *c = s->oldest; c; c = c->newer) {
        if (c->last_ms < a->q->from_ms || c->first_ms >= a->q->to_ms)
            continue;
        struct chunk_reader r;
        struct sample sample;
        chunk_read(&r, c);
        while (chunk_next(&r, &sample) && sample.t_ms < a->q->to_ms && !a->too_many)
            if (sample.t_ms >= a->q->from_ms)
                add_sample(a, &sample);
    }
    end_step(a);
}

/* ---- by the minute ---- */

/* Whether whole minutes of the last hour are asked for, which are kept as sums. What was kept may
 * be a little older than the retention. */
static bool wants_minutes(const struct tsdb_query *q)
{
    return q->aggregate == TSDB_MEAN && q->step_ms % MINUTE_MS == 0 &&
           q->from_ms % MINUTE_MS == 0 && q->to_ms % MINUTE_MS == 0 &&
           q->to_ms - q->from_ms <= (int64_t)MINUTES_KEPT * MINUTE_MS;
}

static struct minutes *make_minutes(const struct series_entry *s)
{
    struct minutes *m = mem_new(struct minutes);
    for (const struct chunk *c = s->oldest; c; c = c->newer) {
        struct chunk_reader r;
        struct sample sample;
        chunk_read(&r, c);
        while (chunk_next(&r, &sample))
            minutes_add(m, &sample);
    }
    return m;
}

/* Minutes of another hour than the last are not among the sums: those are worked out. */
static bool has_minutes(const struct series_entry *s, const struct tsdb_query *q)
{
    return q->from_ms / MINUTE_MS > s->minutes->newest - MINUTES_KEPT;
}

static void read_minutes(struct question *a, const struct series_entry *s)
{
    const struct tsdb_query *q = a->q;
    a->count = 0;
    for (int64_t at = q->from_ms; at < q->to_ms; at += q->step_ms) {
        int64_t samples, end = at + q->step_ms < q->to_ms ? at + q->step_ms : q->to_ms;
        double sum = minutes_sum(s->minutes, at / MINUTE_MS, (end - at) / MINUTE_MS, &samples);
        if (samples)
            add_point(a, at, sum / (double)samples);
    }
}

/* Labels whose texts outlive the lock. */
struct kept_labels {
    struct label labels[TSDB_LABELS_MOST];
    char bytes[TSDB_LABEL_BYTES_MOST];
};

static const char *keep(char **next, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = memcpy(*next, text, size);
    *next += size;
    return copy;
}

static void keep_labels(struct kept_labels *k, const struct series_entry *s)
{
    char *next = k->bytes;
    for (size_t i = 0; i < s->label_count; i++) {
        k->labels[i].name = keep(&next, s->labels[i].name->text);
        k->labels[i].value = keep(&next, s->labels[i].value->text);
    }
}

static int check(const struct tsdb_query *q, struct question *a, struct err *e)
{
    a->q = q;
    a->step = -1;
    a->most_points = q->most_points ? q->most_points : POINTS_MOST;
    if (q->from_ms < 0 || q->to_ms < q->from_ms)
        return err_set(e, ERR_INVALID, "a range goes from a time to a later one");
    if (q->aggregate == TSDB_RAW)
        return 0;
    if (q->step_ms < 1)
        return err_set(e, ERR_INVALID, "a step takes at least a millisecond");
    if ((uint64_t)(q->to_ms - q->from_ms) / (uint64_t)q->step_ms > a->most_points)
        return err_set(e, ERR_TOO_LARGE,
                       "that would be more than %zu points: ask for a larger step", a->most_points);
    return 0;
}

/* The series may have gone meanwhile, or another may stand there: it is looked at again. */
static void add_minutes(struct tsdb *db, size_t slot)
{
    pthread_rwlock_wrlock(&db->lock);
    struct series_entry *s = slot < db->slot_count ? db->slots[slot] : NULL;
    if (s && !s->minutes)
        s->minutes = make_minutes(s);
    pthread_rwlock_unlock(&db->lock);
}

int tsdb_query(struct tsdb *db, const struct tsdb_query *q, tsdb_on_series on_series, void *arg,
               struct err *e)
{
    struct question a = {0};
    if (check(q, &a, e) < 0)
        return -1;

    auto_free struct kept_labels *kept = mem_new(struct kept_labels);
    bool by_minute = wants_minutes(q);
    int rc = 0;
    for (size_t slot = 0; rc == 0; slot++) {
        size_t label_count = 0;
        a.count = 0;
        pthread_rwlock_rdlock(&db->lock);
        size_t slots = db->slot_count;
        while (slot < slots && (!db->slots[slot] || !matches(db->slots[slot], q)))
            slot++;
        if (by_minute && slot < slots && !db->slots[slot]->minutes) {
            pthread_rwlock_unlock(&db->lock);
            add_minutes(db, slot--);
            continue;
        }
        if (slot < slots) {
            if (by_minute && has_minutes(db->slots[slot], q))
                read_minutes(&a, db->slots[slot]);
            else
                read_series(&a, db->slots[slot]);
            label_count = db->slots[slot]->label_count;
            if (a.count)
                keep_labels(kept, db->slots[slot]);
        }
        pthread_rwlock_unlock(&db->lock);
        if (slot >= slots)
            break;
        if (a.too_many)
            rc = err_set(e, ERR_TOO_LARGE, "that would be more than %zu points: ask for less",
                         a.most_points);
        else if (a.count)
            rc = on_series(arg, kept->labels, label_count, a.points, a.count) ? -1 : 0;
    }
    free(a.points);
    return rc;
}
