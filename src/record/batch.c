#include "record/batch.h"

#include "base/mem.h"

#include <assert.h>

enum { CHUNK = 16 * 1024 };

struct batch_chunk {
    struct batch_chunk *next;
    size_t used, size;
    _Alignas(16) char bytes[];
};

struct batch *batch_new(void)
{
    struct batch *b = mem_new(struct batch);
    b->last = &b->first;
    return b;
}

void batch_free(struct batch *b)
{
    if (!b)
        return;
    for (struct batch_chunk *c = b->chunks, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    free(b);
}

void *batch_memory(struct batch *b, size_t size)
{
    size = (size + 15) & ~(size_t)15;
    struct batch_chunk *c = b->chunks;
    if (!c || c->size - c->used < size) {
        size_t room = size > CHUNK ? size : CHUNK;
        c = mem_alloc(1, sizeof *c + room);
        c->size = room;
        c->next = b->chunks;
        b->chunks = c;
    }
    void *p = c->bytes + c->used;
    c->used += size;
    b->bytes += size;
    return p;
}

static void copy_column(struct batch *b, char *record, const struct column *c)
{
    if (c->type == COLUMN_TEXT) {
        const char **text = (const char **)(record + c->offset);
        if (!*text || !**text) {
            *text = NULL;
            return;
        }
        size_t size = strlen(*text) + 1;
        *text = memcpy(batch_memory(b, size), *text, size);
    } else if (c->type == COLUMN_BLOB) {
        struct blob *blob = (struct blob *)(record + c->offset);
        if (blob->len)
            blob->data = memcpy(batch_memory(b, blob->len), blob->data, blob->len);
        else
            blob->data = NULL;
    }
}

static void add(struct batch *b, enum row_op op, enum table_id table, enum table_id to,
                const void *record)
{
    const struct table_desc *d = &table_descs[table];
    char *copy = memcpy(batch_memory(b, d->size), record, d->size);
    unsigned columns = op == ROW_PUT ? d->count : d->keys;
    for (unsigned i = 0; i < columns; i++)
        copy_column(b, copy, &d->columns[i]);

    struct row *row = batch_memory(b, sizeof *row);
    *row = (struct row){.op = op, .table = table, .to = to, .record = copy};
    *b->last = row;
    b->last = &row->next;
    b->rows++;
    if (table == TABLE_ID_LEDGER)
        b->ledger_rows++;
}

void batch_put(struct batch *b, enum table_id table, const void *record)
{
    add(b, ROW_PUT, table, table, record);
}

void batch_delete(struct batch *b, enum table_id table, const void *record)
{
    add(b, ROW_DELETE, table, table, record);
}

void batch_move(struct batch *b, enum table_id from, enum table_id to, const void *record)
{
    assert(table_descs[from].count == table_descs[to].count);
    add(b, ROW_MOVE, from, to, record);
}
