#include "agent/frames.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

#define SOURCES_MOST 4

/* A set of series: labels sorted by name, their texts in one piece. */
struct set {
    int refs;
    size_t count;
    struct frame_series *series;
    char *texts;
    size_t bytes;
};

struct block {
    struct block *next;
    struct set *set;
    int source;
    size_t rows, taken, encoded; /* encoded: by the call under way, all rows before it */
    int64_t t_ms[FRAMES_BLOCK_ROWS];
    double values[]; /* FRAMES_BLOCK_ROWS rows */
};

struct frames {
    size_t most_bytes;
    struct block *first, *last;
    struct source {
        char *key;
        struct set *set;
        struct block *block; /* that takes rows now; NULL: begin one */
        int64_t last_ms;
    } sources[SOURCES_MOST];
    struct frames_counts counts;
};

struct frames *frames_new(size_t most_bytes)
{
    struct frames *f = mem_new(struct frames);
    f->most_bytes = most_bytes;
    return f;
}

static void set_unref(struct set *s)
{
    if (!s || --s->refs > 0)
        return;
    free(s->series);
    free(s->texts);
    free(s);
}

static size_t block_bytes(const struct set *s)
{
    return sizeof(struct block) + sizeof(double) * FRAMES_BLOCK_ROWS * s->count;
}

/* Removes the oldest block. */
static void drop_first(struct frames *f)
{
    struct block *b = f->first;
    f->first = b->next;
    if (!f->first)
        f->last = NULL;
    for (int i = 0; i < SOURCES_MOST; i++)
        if (f->sources[i].block == b)
            f->sources[i].block = NULL;
    f->counts.bytes -= (int64_t)block_bytes(b->set);
    f->counts.dropped += (int64_t)((b->rows - b->taken) * b->set->count);
    set_unref(b->set);
    free(b);
}

void frames_free(struct frames *f)
{
    if (!f)
        return;
    while (f->first)
        drop_first(f);
    for (int i = 0; i < SOURCES_MOST; i++) {
        free(f->sources[i].key);
        set_unref(f->sources[i].set);
    }
    free(f);
}

bool frames_has_set(const struct frames *f, int source, const char *key)
{
    const char *now = f->sources[source].key;
    return now && strcmp(now, key) == 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

static const char *put(char **at, const char *s)
{
    size_t len = strlen(s) + 1;
    char *here = *at;
    memcpy(here, s, len);
    *at += len;
    return here;
}

static struct set *set_new(const struct frame_series *series, size_t count)
{
    struct set *s = mem_new(struct set);
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t l = 0; l < series[i].count; l++)
            bytes += strlen(series[i].labels[l].name) + strlen(series[i].labels[l].value) + 2;
    s->refs = 1;
    s->count = count;
    s->series = mem_new_array(struct frame_series, count);
    s->texts = mem_alloc(bytes + 1, 1);
    char *at = s->texts;
    for (size_t i = 0; i < count; i++) {
        for (size_t l = 0; l < series[i].count; l++) {
            const struct label *from = &series[i].labels[l];
            if (!from->value[0])
                continue; /* an empty label is none */
            struct label *to = &s->series[i].labels[s->series[i].count++];
            to->name = put(&at, from->name);
            to->value = put(&at, from->value);
        }
        qsort(s->series[i].labels, s->series[i].count, sizeof(struct label), by_name);
    }
    return s;
}

void frames_set(struct frames *f, int source, const char *key, const struct frame_series *series,
                size_t count)
{
    struct source *s = &f->sources[source];
    free(s->key);
    set_unref(s->set);
    s->key = mem_strdup(key);
    s->set = set_new(series, count);
    s->block = NULL;
}

static struct block *begin_block(struct frames *f, int source, struct set *set)
{
    size_t bytes = block_bytes(set);
    while (f->first && (size_t)f->counts.bytes + bytes > f->most_bytes)
        drop_first(f);
    struct block *b = mem_alloc(1, bytes);
    b->set = set;
    b->source = source;
    set->refs++;
    f->counts.bytes += (int64_t)bytes;
    if (f->last)
        f->last->next = b;
    else
        f->first = b;
    f->last = b;
    return b;
}

void frames_add(struct frames *f, int source, int64_t t_ms, const double *values)
{
    struct source *s = &f->sources[source];
    if (!s->set || t_ms <= s->last_ms)
        return;
    s->last_ms = t_ms;
    if (!s->block || s->block->rows == FRAMES_BLOCK_ROWS)
        s->block = begin_block(f, source, s->set);
    struct block *b = s->block;
    memcpy(b->values + b->rows * b->set->count, values, b->set->count * sizeof *values);
    b->t_ms[b->rows++] = t_ms;
    f->counts.samples += (int64_t)b->set->count;
}

/* ---- encoding ---- */

/* Series after series, the samples of each in a row. */
static size_t collect(const struct block *b, struct series *series, struct sample *samples)
{
    size_t count = 0;
    for (size_t i = 0; i < b->set->count; i++) {
        size_t first = count;
        for (size_t r = b->taken; r < b->encoded; r++) {
            double v = b->values[r * b->set->count + i];
            if (!isnan(v))
                samples[count++] = (struct sample){b->t_ms[r], v};
        }
        series[i] = (struct series){b->set->series[i].labels, b->set->series[i].count,
                                    samples + first, count - first};
    }
    return count;
}

bool frames_encode(struct frames *f, size_t most, void **ret, size_t *ret_len, struct err *e)
{
    size_t series_count = 0, sample_count = 0;
    for (struct block *b = f->first; b; b = b->next) {
        b->encoded = b->taken;
        size_t width = b->set->count ? b->set->count : 1, room = 0;
        if (sample_count < most)
            room = (most - sample_count) / width;
        if (!room && !sample_count)
            room = 1;
        size_t rows = b->rows - b->taken < room ? b->rows - b->taken : room;
        if (!rows)
            continue;
        b->encoded = b->taken + rows;
        series_count += b->set->count;
        sample_count += rows * b->set->count;
    }
    if (!sample_count)
        return false;

    auto_free struct series *series = mem_new_array(struct series, series_count);
    auto_free struct sample *samples = mem_new_array(struct sample, sample_count);
    size_t at = 0, filled = 0;
    for (struct block *b = f->first; b; b = b->next) {
        if (b->encoded == b->taken)
            continue;
        filled += collect(b, series + at, samples + filled);
        at += b->set->count;
    }
    size_t kept = 0;
    for (size_t i = 0; i < at; i++)
        if (series[i].sample_count)
            series[kept++] = series[i];
    if (remote_write_encode(series, kept, ret, ret_len, e) < 0) {
        *ret = NULL;
        *ret_len = 0;
    }
    return true;
}

void frames_commit(struct frames *f)
{
    for (struct block *b = f->first; b; b = b->next) {
        if (b->encoded <= b->taken)
            continue;
        f->counts.taken += (int64_t)((b->encoded - b->taken) * b->set->count);
        b->taken = b->encoded;
    }
}

void frames_rewind(struct frames *f)
{
    for (struct block *b = f->first; b; b = b->next)
        b->taken = b->encoded = 0;
}

struct frames_counts frames_counts(const struct frames *f)
{
    return f->counts;
}
