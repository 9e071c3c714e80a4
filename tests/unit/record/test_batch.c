#include "record/batch.h"
#include "test.h"

TEST("a batch keeps copies, so the caller may reuse what it gave")
{
    char name[] = "alice";
    struct principal_row p = {.id = 1, .name = name, .team = ""};
    struct batch *b = batch_new();
    batch_put(b, TABLE_ID_PRINCIPAL, &p);
    name[0] = 'X';
    p.id = 2;

    const struct principal_row *kept = b->first->record;
    CHECK_INT(kept->id, 1);
    CHECK_TEXT(kept->name, "alice");
    CHECK(kept->team == NULL);
    CHECK_INT(b->rows, 1);
    batch_free(b);
}

TEST("the tables' descriptions cover their structs")
{
    for (int t = 0; t < TABLE_COUNT; t++) {
        const struct table_desc *d = &table_descs[t];
        CHECK(d->keys >= 1 && d->keys <= d->count && d->count <= COLUMNS_MOST);
        size_t bytes = 0;
        for (int c = 0; c < d->count; c++)
            bytes += d->columns[c].type == COLUMN_BLOB ? sizeof(struct blob) : 8;
        CHECK_INT(bytes, d->size);
        for (int c = 0; c < d->keys; c++)
            CHECK(d->columns[c].type != COLUMN_BLOB);
    }
}
