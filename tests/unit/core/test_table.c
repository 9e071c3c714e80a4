#include "core/fleet/table.h"
#include "test.h"

#include <stdlib.h>

TEST("a snapshot shows what was, while the owner goes on")
{
    struct pages *p = pages_new();
    struct table t;
    table_init(&t, p, 64);
    for (int i = 0; i < 5000; i++)
        *(int *)table_edit(&t, table_add(&t)) = i;

    uint64_t s = pages_snapshot(p);
    struct table_view old = table_share(&t);
    for (uint32_t i = 0; i < 5000; i += 100)
        *(int *)table_edit(&t, i) = -1;
    table_remove(&t, 7);
    table_add(&t);
    for (int i = 0; i < 5000; i++)
        CHECK_INT(*(const int *)table_row(&old, (uint32_t)i), i);
    CHECK_INT(*(const int *)table_row(&t.view, 100), -1);
    CHECK_INT(*(const int *)table_row(&t.view, 7), 0);

    size_t with = pages_bytes(p);
    table_unshare(&old);
    pages_release(p, s);
    CHECK(pages_bytes(p) < with);
    table_done(&t);
    CHECK_INT(pages_bytes(p), 0);
    pages_free(p);
}

TEST("many snapshots, released in any order, each keep their own moment")
{
    struct pages *p = pages_new();
    struct table t;
    table_init(&t, p, 8);
    uint32_t row = table_add(&t);
    uint64_t ids[20];
    struct table_view views[20];
    for (int64_t i = 0; i < 20; i++) {
        *(int64_t *)table_edit(&t, row) = i;
        ids[i] = pages_snapshot(p);
        views[i] = table_share(&t);
    }
    srand(1);
    for (int left = 20; left; left--) {
        int k = rand() % left;
        for (int i = 0; i < left; i++)
            CHECK_INT(*(const int64_t *)table_row(&views[i], row), (int64_t)ids[i] - 1);
        table_unshare(&views[k]);
        pages_release(p, ids[k]);
        ids[k] = ids[left - 1];
        views[k] = views[left - 1];
    }
    table_done(&t);
    pages_free(p);
}
