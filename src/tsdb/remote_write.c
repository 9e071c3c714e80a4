#include "tsdb/remote_write.h"

#include "base/mem.h"
#include "base/text.h"
#include "remote_write.pb-c.h"
#include "tsdb/snappy.h"

#include <string.h>

enum {
    FIELD_TIMESERIES = 1,
    ARENA_BLOCK = 64 << 10,
    ARENA_MOST = 64 << 20, /* of one series, unpacked: samples make it large */
};

/* ------------------------------------------------------------------ memory of one series */

/* protobuf-c asks for a dozen small pieces a label and sample; they all go at once. */
struct arena_block {
    struct arena_block *next;
    size_t size;
    _Alignas(16) char bytes[];
};

struct arena {
    struct arena_block *blocks; /* the newest first; the oldest stays for the next series */
    size_t used, total;
    bool full;
};

static void *arena_take(void *arg, size_t size)
{
    struct arena *a = arg;
    size = (size + 15) & ~(size_t)15;
    if (!a->blocks || a->blocks->size - a->used < size) {
        size_t room = size > ARENA_BLOCK ? size : ARENA_BLOCK;
        if (a->total + room > ARENA_MOST) {
            a->full = true;
            return NULL;
        }
        struct arena_block *b = malloc(sizeof *b + room);
        if (!b)
            return NULL;
        b->size = room;
        b->next = a->blocks;
        a->blocks = b;
        a->used = 0;
        a->total += room;
    }
    void *p = a->blocks->bytes + a->used;
    a->used += size;
    return p;
}

static void arena_ignore(void *arg, void *p)
{
    (void)arg, (void)p;
}

static void arena_clear(struct arena *a)
{
    while (a->blocks && a->blocks->next) {
        struct arena_block *next = a->blocks->next;
        a->total -= a->blocks->size;
        free(a->blocks);
        a->blocks = next;
    }
    a->used = 0;
}

static void arena_done(struct arena *a)
{
    arena_clear(a);
    free(a->blocks);
}

/* ------------------------------------------------------------------ decoding */

struct decoder {
    struct arena arena;
    ProtobufCAllocator allocator;
    struct label labels[TSDB_LABELS_MOST];
    struct sample *samples;
    size_t samples_room, samples_total;
    remote_write_on_series on_series;
    void *arg;
};

static bool is_label_name(const char *s)
{
    if (!s[0] || (s[0] >= '0' && s[0] <= '9'))
        return false;
    for (; *s; s++) {
        char low = (char)(*s | 0x20);
        if (!((low >= 'a' && low <= 'z') || (*s >= '0' && *s <= '9') || *s == '_' || *s == ':'))
            return false;
    }
    return true;
}

/* Keeps the order of names; senders sort them, so this is one comparison a label. */
static int insert_label(struct decoder *d, size_t count, struct label label, struct err *e)
{
    size_t at = count;
    int order = 1;
    while (at > 0 && (order = strcmp(label.name, d->labels[at - 1].name)) < 0) {
        d->labels[at] = d->labels[at - 1];
        at--;
    }
    if (at > 0 && order == 0)
        return err_set(e, ERR_INVALID, "label '%.64s' is there twice", label.name);
    d->labels[at] = label;
    return 0;
}

static int take_labels(struct decoder *d, const RemoteWrite__TimeSeries *ts, size_t *ret_count,
                       struct err *e)
{
    size_t count = 0, bytes = 0;
    bool named = false;
    for (size_t i = 0; i < ts->n_labels; i++) {
        struct label label = {ts->labels[i]->name, ts->labels[i]->value};
        size_t value_len = strlen(label.value);
        if (!is_label_name(label.name))
            return err_set(e, ERR_INVALID, "a label's name has letters, digits, '_' and ':' only");
        if (!value_len)
            continue; /* the same as none */
        if (!text_is_utf8(label.value, value_len))
            return err_set(e, ERR_INVALID, "the value of label '%.64s' is not UTF-8", label.name);
        bytes += strlen(label.name) + value_len + 2;
        if (count == TSDB_LABELS_MOST || bytes > TSDB_LABEL_BYTES_MOST)
            return err_set(e, ERR_TOO_LARGE, "a series has more than %d labels or %d bytes of them",
                           TSDB_LABELS_MOST, TSDB_LABEL_BYTES_MOST);
        if (insert_label(d, count, label, e) < 0)
            return -1;
        named = named || strcmp(label.name, "__name__") == 0;
        count++;
    }
    if (!named)
        return err_set(e, ERR_INVALID, "a series has no label '__name__'");
    *ret_count = count;
    return 0;
}

static int take_samples(struct decoder *d, const RemoteWrite__TimeSeries *ts, struct err *e)
{
    d->samples_total += ts->n_samples;
    if (d->samples_total > REMOTE_WRITE_SAMPLES_MOST)
        return err_set(e, ERR_TOO_LARGE, "more than %d samples in one message",
                       REMOTE_WRITE_SAMPLES_MOST);
    if (d->samples_room < ts->n_samples) {
        d->samples_room = 2 * ts->n_samples;
        d->samples = mem_resize_array(d->samples, d->samples_room);
    }
    for (size_t i = 0; i < ts->n_samples; i++)
        d->samples[i] = (struct sample){ts->samples[i]->timestamp, ts->samples[i]->value};
    return 0;
}

static int take_series(struct decoder *d, const uint8_t *p, size_t len, struct err *e)
{
    RemoteWrite__TimeSeries *ts = remote_write__time_series__unpack(&d->allocator, len, p);
    struct series series = {.labels = d->labels, .sample_count = 0};
    int rc;
    if (!ts && d->arena.full)
        rc = err_set(e, ERR_TOO_LARGE, "a series has too many samples for one message");
    else if (!ts)
        rc = err_set(e, ERR_INVALID, "the message is no remote-write request");
    else if (take_labels(d, ts, &series.label_count, e) < 0 || take_samples(d, ts, e) < 0)
        rc = -1;
    else {
        series.samples = d->samples;
        series.sample_count = ts->n_samples;
        rc = d->on_series(d->arg, &series) ? -1 : 0;
    }
    arena_clear(&d->arena);
    return rc;
}

/* A number of 7 bits a byte; false when it does not end within P..END. */
static bool read_varint(const uint8_t **p, const uint8_t *end, uint64_t *ret)
{
    uint64_t value = 0;
    for (unsigned shift = 0; *p < end && shift < 64; shift += 7) {
        uint8_t byte = *(*p)++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *ret = value;
            return true;
        }
    }
    return false;
}

/* The next field of a message; P moves behind it. Fields that are not bytes give none. */
static bool read_field(const uint8_t **p, const uint8_t *end, uint64_t *ret_number,
                       const uint8_t **ret_bytes, size_t *ret_len)
{
    uint64_t tag, len = 0;
    *ret_bytes = NULL;
    if (!read_varint(p, end, &tag))
        return false;
    *ret_number = tag >> 3;
    switch (tag & 7) {
    case 0:
        return read_varint(p, end, &len);
    case 1:
        len = 8;
        break;
    case 2:
        if (!read_varint(p, end, &len))
            return false;
        *ret_bytes = *p;
        break;
    case 5:
        len = 4;
        break;
    default:
        return false;
    }
    if (len > (uint64_t)(end - *p))
        return false;
    *ret_len = (size_t)len;
    *p += len;
    return true;
}

/* The outermost message by hand and a series at a time by protobuf-c: a hostile message of many
 * empty series would take thirty times its size if it were unpacked as a whole. */
static int take_message(struct decoder *d, const uint8_t *p, size_t len, struct err *e)
{
    for (const uint8_t *end = p + len; p < end;) {
        uint64_t number;
        const uint8_t *bytes;
        size_t size = 0;
        if (!read_field(&p, end, &number, &bytes, &size))
            return err_set(e, ERR_INVALID, "the message is no remote-write request");
        if (number == FIELD_TIMESERIES && !bytes)
            return err_set(e, ERR_INVALID, "the message is no remote-write request");
        if (number == FIELD_TIMESERIES && take_series(d, bytes, size, e) < 0)
            return -1;
    }
    return 0;
}

int remote_write_decode(const void *body, size_t len, remote_write_on_series on_series, void *arg,
                        struct err *e)
{
    size_t unpacked;
    if (!snappy_content(body, len, &unpacked))
        return err_set(e, ERR_INVALID, "the body is no snappy block");
    if (unpacked > REMOTE_WRITE_BYTES_MOST)
        return err_set(e, ERR_TOO_LARGE, "the message has more than %d bytes",
                       REMOTE_WRITE_BYTES_MOST);
    auto_free uint8_t *message = malloc(unpacked ? unpacked : 1);
    if (!message)
        return err_set(e, ERR_EXHAUSTED, "no memory for a message of %zu bytes", unpacked);
    if (!snappy_unpack(body, len, message, unpacked))
        return err_set(e, ERR_INVALID, "the body is no snappy block");

    struct decoder *d = mem_new(struct decoder);
    d->allocator = (ProtobufCAllocator){arena_take, arena_ignore, &d->arena};
    d->on_series = on_series;
    d->arg = arg;
    int rc = take_message(d, message, unpacked, e);
    arena_done(&d->arena);
    free(d->samples);
    free(d);
    return rc;
}

/* ------------------------------------------------------------------ encoding */

/* protobuf-c packs from trees of pointers; these are the nodes of one message. */
struct tree {
    RemoteWrite__WriteRequest request;
    RemoteWrite__TimeSeries *series, **series_at;
    RemoteWrite__Label *labels, **labels_at;
    RemoteWrite__Sample *samples, **samples_at;
};

static void tree_done(struct tree *t)
{
    free(t->series);
    free(t->series_at);
    free(t->labels);
    free(t->labels_at);
    free(t->samples);
    free(t->samples_at);
}

static void plant(struct tree *t, const struct series *series, size_t count, size_t labels,
                  size_t samples)
{
    remote_write__write_request__init(&t->request);
    t->series = mem_new_array(RemoteWrite__TimeSeries, count);
    t->series_at = mem_new_array(RemoteWrite__TimeSeries *, count);
    t->labels = mem_new_array(RemoteWrite__Label, labels);
    t->labels_at = mem_new_array(RemoteWrite__Label *, labels);
    t->samples = mem_new_array(RemoteWrite__Sample, samples);
    t->samples_at = mem_new_array(RemoteWrite__Sample *, samples);
    t->request.timeseries = t->series_at;
    t->request.n_timeseries = count;

    size_t label = 0, sample = 0;
    for (size_t i = 0; i < count; i++) {
        RemoteWrite__TimeSeries *ts = t->series_at[i] = &t->series[i];
        remote_write__time_series__init(ts);
        ts->labels = &t->labels_at[label];
        ts->n_labels = series[i].label_count;
        ts->samples = &t->samples_at[sample];
        ts->n_samples = series[i].sample_count;
        for (size_t k = 0; k < series[i].label_count; k++, label++) {
            RemoteWrite__Label *l = t->labels_at[label] = &t->labels[label];
            remote_write__label__init(l);
            /* protobuf-c only reads them. */
            l->name = (char *)(uintptr_t)series[i].labels[k].name;
            l->value = (char *)(uintptr_t)series[i].labels[k].value;
        }
        for (size_t k = 0; k < series[i].sample_count; k++, sample++) {
            RemoteWrite__Sample *s = t->samples_at[sample] = &t->samples[sample];
            remote_write__sample__init(s);
            s->value = series[i].samples[k].value;
            s->timestamp = series[i].samples[k].t_ms;
        }
    }
}

static int pack(const struct tree *t, void **ret, size_t *ret_len, struct err *e)
{
    size_t size = remote_write__write_request__get_packed_size(&t->request);
    if (size > REMOTE_WRITE_BYTES_MOST)
        return err_set(e, ERR_TOO_LARGE, "a message of %zu bytes is more than %d", size,
                       REMOTE_WRITE_BYTES_MOST);
    auto_free uint8_t *message = mem_alloc(1, size);
    remote_write__write_request__pack(&t->request, message);
    auto_free uint8_t *body = mem_alloc(1, snappy_room(size));
    *ret_len = snappy_pack(message, size, body);
    *ret = TAKE(body);
    return 0;
}

int remote_write_encode(const struct series *series, size_t count, void **ret, size_t *ret_len,
                        struct err *e)
{
    size_t labels = 0, samples = 0;
    for (size_t i = 0; i < count; i++) {
        labels += series[i].label_count;
        samples += series[i].sample_count;
    }
    if (samples > REMOTE_WRITE_SAMPLES_MOST)
        return err_set(e, ERR_TOO_LARGE, "more than %d samples in one message",
                       REMOTE_WRITE_SAMPLES_MOST);
    struct tree t = {0};
    plant(&t, series, count, labels, samples);
    int rc = pack(&t, ret, ret_len, e);
    tree_done(&t);
    return rc;
}
