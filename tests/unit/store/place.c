#include "place.h"

#include "base/file.h"

#include <inttypes.h>

static void open_it(struct place *p)
{
    CHECK_OK(store_open(p->address, &p->ops, &p->s, &test_err));
    CHECK_OK(p->ops->claim(p->s, &p->epoch, &p->seq, &test_err));
    CHECK_OK(p->ops->reader_open(p->s, &p->r, &test_err));
}

void place_make(struct place *p, const char *member, const char *options)
{
    if (strcmp(member, "memory") == 0) {
        snprintf(p->address, sizeof p->address, "memory:%s", options);
    } else {
        strcpy(p->folder, "/tmp/test_storeXXXXXX");
        CHECK(mkdtemp(p->folder) != NULL);
        snprintf(p->address, sizeof p->address, "sqlite:%s/reeve.db", p->folder);
    }
    open_it(p);
}

void place_close(struct place *p)
{
    if (!p->s)
        return;
    p->ops->reader_close(TAKE(p->r));
    p->ops->close(TAKE(p->s));
}

void place_again(struct place *p)
{
    place_close(p);
    open_it(p);
}

void place_remove(struct place *p)
{
    place_close(p);
    text_done(&p->seen);
    if (p->folder[0])
        CHECK_OK(file_remove_tree(p->folder, &test_err));
}

struct batch *place_batch(struct place *p)
{
    struct batch *b = batch_new();
    b->epoch = p->epoch;
    b->seq = p->seq + 1;
    return b;
}

int place_commit(struct place *p, struct batch *b)
{
    int rc = p->ops->commit(p->s, b, &test_err);
    if (rc == 0)
        p->seq = b->seq;
    batch_free(b);
    return rc;
}

void place_describe(struct text *t, enum table_id table, const void *record)
{
    const struct table_desc *d = &table_descs[table];
    for (unsigned i = 0; i < d->count; i++) {
        const void *field = (const char *)record + d->columns[i].offset;
        const char *text;
        text_addf(t, "%s%s=", i ? " " : "", d->columns[i].name);
        switch (d->columns[i].type) {
        case COLUMN_INT:
            text_addf(t, "%" PRId64, *(const int64_t *)field);
            break;
        case COLUMN_TEXT:
            text = *(const char *const *)field;
            text_add(t, text ? text : "-");
            break;
        case COLUMN_BLOB:
            for (size_t k = 0; k < ((const struct blob *)field)->len; k++)
                text_addf(t, "%02x",
                          ((const unsigned char *)((const struct blob *)field)->data)[k]);
            break;
        }
    }
}

static int on_row(void *arg, enum table_id table, const void *record)
{
    struct place *p = arg;
    const struct table_desc *d = &table_descs[table];
    text_addf(&p->seen, "%s%s", p->seen.len ? ", " : "", d->name);
    for (unsigned i = 0; i < d->keys; i++) {
        const void *field = (const char *)record + d->columns[i].offset;
        if (d->columns[i].type == COLUMN_INT)
            text_addf(&p->seen, " %" PRId64, *(const int64_t *)field);
        else
            text_addf(&p->seen, " %s", *(const char *const *)field);
    }
    return 0;
}

const char *place_ask(struct place *p, struct store_query q)
{
    q.limit = q.limit ? q.limit : 100;
    q.state = q.state ? q.state : -1;
    text_clear(&p->seen);
    CHECK_OK(p->ops->read(p->r, &q, on_row, p, &test_err));
    return text_get(&p->seen);
}

const char *place_load(struct place *p, enum table_id table)
{
    text_clear(&p->seen);
    CHECK_OK(p->ops->load(p->s, table, on_row, p, &test_err));
    return text_get(&p->seen);
}

void put_job(struct batch *b, int64_t id, int64_t principal)
{
    struct job_row job = {.id = id,
                          .principal = principal,
                          .submitted_ms = 1000 + id,
                          .gpus = 1,
                          .name = "train",
                          .spec = "{\"command\":[\"python3\",\"train.py\"]}"};
    batch_put(b, TABLE_ID_JOB, &job);
}

void end_job(struct batch *b, int64_t id, int64_t principal, int64_t state, const char *team)
{
    struct job_row key = {.id = id};
    struct job_history_row end = {.id = id, .principal = principal, .state = state, .team = team};
    batch_move(b, TABLE_ID_JOB, TABLE_ID_JOB_SPEC, &key);
    batch_put(b, TABLE_ID_JOB_HISTORY, &end);
}

void put_ledger(struct batch *b, int64_t seq, int64_t time_ms, int64_t subject, const char *body)
{
    struct ledger_row row = {.seq = seq,
                             .batch = b->seq,
                             .time_ms = time_ms,
                             .kind = 1 + seq % 3,
                             .subject = subject,
                             .actor = seq % 2 ? 7 : 8,
                             .body = body};
    batch_put(b, TABLE_ID_LEDGER, &row);
}
