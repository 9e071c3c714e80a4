#include "tsdb/tsdb_inside.h"

#include "base/digest.h"
#include "base/mem.h"
#include "base/text.h"

#include <math.h>
#include <string.h>

enum {
    CHUNK_SPANS = 4
}; /* a chunk holds at most this part of the retention, so that it can expire */

/* ------------------------------------------------------------------ life */

struct tsdb *tsdb_new(const struct tsdb_limits *limits)
{
    struct tsdb *db = mem_new(struct tsdb);
    if (limits)
        db->limits = *limits;
    struct tsdb_limits *l = &db->limits;
    l->retention_ms = l->retention_ms ? l->retention_ms : 3600000;
    l->most_bytes = l->most_bytes ? l->most_bytes : (int64_t)64 << 20;
    l->most_series = l->most_series ? l->most_series : 100000;
    l->most_ahead_ms = l->most_ahead_ms ? l->most_ahead_ms : 600000;
    db->chunks_most = l->most_bytes / CHUNK_SIZE;
    db->chunks_most = db->chunks_most < 4 ? 4 : db->chunks_most;
    db->seed = random_u64();
    db->bucket_count = 1024;
    db->buckets = mem_new_array(struct series_entry *, db->bucket_count);
    pthread_rwlock_init(&db->lock, NULL);
    return db;
}

void tsdb_free(struct tsdb *db)
{
    if (!db)
        return;
    for (size_t i = 0; i < db->slot_count; i++) {
        if (db->slots[i])
            free(db->slots[i]->minutes);
        free(db->slots[i]);
    }
    for (struct slab *s = db->slabs, *next; s; s = next) {
        next = s->next;
        free(s);
    }
    symbols_done(&db->symbols);
    free(db->slots);
    free(db->free_slots);
    free(db->buckets);
    pthread_rwlock_destroy(&db->lock);
    free(db);
}

/* ------------------------------------------------------------------ series */

static int check_labels(const struct label *labels, size_t count, struct err *e)
{
    size_t bytes = 0;
    if (count == 0 || count > TSDB_LABELS_MOST)
        return err_set(e, ERR_INVALID, "a series has 1..%d labels, not %zu", TSDB_LABELS_MOST,
                       count);
    for (size_t i = 0; i < count; i++) {
        if (!labels[i].name[0] || !labels[i].value[0])
            return err_set(e, ERR_INVALID, "label '%.64s' is empty", labels[i].name);
        if (i && strcmp(labels[i - 1].name, labels[i].name) >= 0)
            return err_set(e, ERR_INVALID, "label '%.64s' is there twice, or not in order",
                           labels[i].name);
        bytes += strlen(labels[i].name) + strlen(labels[i].value) + 2;
    }
    if (bytes > TSDB_LABEL_BYTES_MOST)
        return err_set(e, ERR_INVALID, "the labels of a series take more than %d bytes",
                       TSDB_LABEL_BYTES_MOST);
    return 0;
}

static uint64_t hash_labels(const struct tsdb *db, const struct label *labels, size_t count)
{
    uint64_t h = db->seed;
    for (size_t i = 0; i < count; i++) {
        h = symbol_hash(h, labels[i].name, strlen(labels[i].name));
        h = symbol_hash(h, labels[i].value, strlen(labels[i].value));
    }
    return h;
}

static bool has_labels(const struct series_entry *s, const struct label *labels, size_t count)
{
    if (s->label_count != count)
        return false;
    /* Values differ sooner than names do, and later ones sooner than the first. */
    for (size_t i = count; i-- > 0;)
        if (strcmp(s->labels[i].value->text, labels[i].value) != 0 ||
            strcmp(s->labels[i].name->text, labels[i].name) != 0)
            return false;
    return true;
}

static struct series_entry *find_series(struct tsdb *db, uint64_t hash, const struct label *labels,
                                        size_t count)
{
    struct series_entry *s = db->buckets[hash & (db->bucket_count - 1)];
    while (s && (s->hash != hash || !has_labels(s, labels, count)))
        s = s->next;
    return s;
}

static void grow_buckets(struct tsdb *db)
{
    size_t count = 2 * db->bucket_count;
    struct series_entry **buckets = mem_new_array(struct series_entry *, count);
    for (size_t i = 0; i < db->slot_count; i++) {
        struct series_entry *s = db->slots[i];
        if (!s)
            continue;
        s->next = buckets[s->hash & (count - 1)];
        buckets[s->hash & (count - 1)] = s;
    }
    free(db->buckets);
    db->buckets = buckets;
    db->bucket_count = count;
}

static size_t take_slot(struct tsdb *db)
{
    if (db->free_count)
        return db->free_slots[--db->free_count];
    if (db->slot_count == db->slot_room) {
        db->slot_room = db->slot_room ? 2 * db->slot_room : 256;
        db->slots = mem_resize_array(db->slots, db->slot_room);
    }
    return db->slot_count++;
}

static struct series_entry *add_series(struct tsdb *db, uint64_t hash, const struct label *labels,
                                       size_t count)
{
    if (db->series >= db->bucket_count)
        grow_buckets(db);
    struct series_entry *s = mem_alloc(1, sizeof *s + count * sizeof *s->labels);
    s->hash = hash;
    s->last_ms = INT64_MIN;
    s->label_count = (uint16_t)count;
    for (size_t i = 0; i < count; i++) {
        s->labels[i].name = symbol_use(&db->symbols, db->seed, labels[i].name);
        s->labels[i].value = symbol_use(&db->symbols, db->seed, labels[i].value);
    }
    s->next = db->buckets[hash & (db->bucket_count - 1)];
    db->buckets[hash & (db->bucket_count - 1)] = s;
    s->slot = take_slot(db);
    db->slots[s->slot] = s;
    db->series++;
    return s;
}

static void remove_series(struct tsdb *db, struct series_entry *s)
{
    struct series_entry **at = &db->buckets[s->hash & (db->bucket_count - 1)];
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    for (size_t i = 0; i < s->label_count; i++) {
        symbol_release(&db->symbols, s->labels[i].name);
        symbol_release(&db->symbols, s->labels[i].value);
    }
    if (db->free_count == db->free_room) {
        db->free_room = db->free_room ? 2 * db->free_room : 256;
        db->free_slots = mem_resize_array(db->free_slots, db->free_room);
    }
    db->free_slots[db->free_count++] = s->slot;
    db->slots[s->slot] = NULL;
    db->series--;
    free(s->minutes);
    free(s);
}

/* ------------------------------------------------------------------ chunks */

/* The chunk in use for longest is always the oldest of its series. */
static void retire_oldest(struct tsdb *db)
{
    struct chunk *c = db->first;
    struct series_entry *s = c->owner;
    db->first = c->later;
    if (!db->first)
        db->last = NULL;
    s->oldest = c->newer;
    if (!s->oldest) {
        s->newest = NULL;
        if (!s->busy)
            remove_series(db, s);
    }
    c->later = db->free;
    db->free = c;
    db->chunks_used--;
}

static void expire(struct tsdb *db, int64_t now_ms)
{
    while (db->first && db->first->last_ms < now_ms - db->limits.retention_ms)
        retire_oldest(db);
}

static void add_slab(struct tsdb *db)
{
    struct slab *slab = mem_new(struct slab);
    slab->next = db->slabs;
    db->slabs = slab;
    for (size_t i = COUNT_OF(slab->chunks); i-- > 0 && db->chunks_made < db->chunks_most;) {
        slab->chunks[i].later = db->free;
        db->free = &slab->chunks[i];
        db->chunks_made++;
    }
}

static struct chunk *take_chunk(struct tsdb *db, struct series_entry *s, int64_t now_ms)
{
    expire(db, now_ms);
    if (!db->free && db->chunks_made < db->chunks_most)
        add_slab(db);
    if (!db->free) {
        retire_oldest(db);
        db->stats.evicted++;
    }
    struct chunk *c = db->free;
    db->free = c->later;
    c->later = c->newer = NULL;
    c->count = 0;
    c->owner = s;
    *(db->last ? &db->last->later : &db->first) = c;
    db->last = c;
    *(s->newest ? &s->newest->newer : &s->oldest) = c;
    s->newest = c;
    db->chunks_used++;
    return c;
}

static void add_sample(struct tsdb *db, struct series_entry *s, const struct sample *sample,
                       int64_t now_ms)
{
    struct chunk *c = s->newest;
    bool spans = c && sample->t_ms - c->first_ms > db->limits.retention_ms / CHUNK_SPANS;
    if (!c || spans || !chunk_add(c, &s->state, sample->t_ms, sample->value)) {
        c = take_chunk(db, s, now_ms);
        chunk_add(c, &s->state, sample->t_ms, sample->value);
    }
    s->last_ms = sample->t_ms;
    if (s->minutes)
        minutes_add(s->minutes, sample);
}

/* ------------------------------------------------------------------ appending */

static struct series_entry *series_for(struct tsdb *db, const struct label *labels, size_t count,
                                       int64_t now_ms, struct err *e)
{
    uint64_t hash = hash_labels(db, labels, count);
    struct series_entry *s = find_series(db, hash, labels, count);
    if (s)
        return s;
    if (check_labels(labels, count, e) < 0)
        return NULL;
    if (db->series >= (size_t)db->limits.most_series)
        expire(db, now_ms);
    if (db->series >= (size_t)db->limits.most_series) {
        err_set(e, ERR_EXHAUSTED, "there are %lld series already, no more are taken",
                (long long)db->limits.most_series);
        return NULL;
    }
    return add_series(db, hash, labels, count);
}

int tsdb_append(struct tsdb *db, const struct label *labels, size_t label_count,
                const struct sample *samples, size_t count, int64_t now_ms, size_t *ret_taken,
                struct err *e)
{
    size_t taken = 0;
    int64_t oldest = now_ms - db->limits.retention_ms, newest = now_ms + db->limits.most_ahead_ms;
    pthread_rwlock_wrlock(&db->lock);
    struct series_entry *s = series_for(db, labels, label_count, now_ms, e);
    if (s) {
        s->busy = true;
        for (size_t i = 0; i < count; i++) {
            int64_t t = samples[i].t_ms;
            if (t <= s->last_ms || t < oldest || t > newest)
                continue;
            add_sample(db, s, &samples[i], now_ms);
            taken++;
        }
        s->busy = false;
        if (!s->oldest)
            remove_series(db, s);
        db->stats.samples += (int64_t)taken;
        db->stats.passed_over += (int64_t)(count - taken);
    }
    pthread_rwlock_unlock(&db->lock);
    if (!s)
        return -1;
    if (ret_taken)
        *ret_taken = taken;
    return 0;
}

void tsdb_stats(struct tsdb *db, struct tsdb_stats *ret)
{
    pthread_rwlock_rdlock(&db->lock);
    *ret = db->stats;
    ret->series = (int64_t)db->series;
    ret->bytes = db->chunks_used * CHUNK_SIZE;
    pthread_rwlock_unlock(&db->lock);
}
