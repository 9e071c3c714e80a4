#include "base/mem.h"
#include "core/fleet/tree.h"
#include "test.h"

static struct pages *pages;
static struct table nodes;

static void begin(void)
{
    pages = pages_new();
    table_init(&nodes, pages, TREE_NODE_BYTES);
}

static void end(void)
{
    table_done(&nodes);
    pages_free(pages);
}

TEST("a tree agrees with a plain sorted list through random puts and removes")
{
    begin();
    struct tree t = TREE_EMPTY;
    enum { N = 4000 };
    auto_free char *in = mem_alloc(N, 1);
    srand(42);
    for (int step = 0; step < 40000; step++) {
        uint32_t k = (uint32_t)rand() % N;
        struct tree_key key = {k / 100, k % 100};
        /* Phases of growing and shrinking, so that nodes fill, split and empty. */
        bool put = rand() % 4 < (step / 8000 % 2 ? 1 : 3);
        if (put && !in[k])
            tree_put(&t, &nodes, key, k);
        else if (!put)
            CHECK_INT(tree_remove(&t, &nodes, key), in[k] ? k : NO_ROW);
        in[k] = put;
        if (step % 500)
            continue;
        uint32_t rank = 0;
        for (uint32_t i = 0; i < N; i++) {
            struct tree_key at = {i / 100, i % 100};
            CHECK_INT(tree_find(&t, &nodes.view, at), in[i] ? i : NO_ROW);
            CHECK_INT(tree_rank(&t, &nodes.view, at), rank);
            rank += in[i] != 0;
        }
        CHECK_INT(t.count, rank);
    }
    end();
}

TEST("walks go both ways from anywhere")
{
    begin();
    struct tree t = TREE_EMPTY;
    for (uint32_t i = 0; i < 1000; i++)
        tree_put(&t, &nodes, (struct tree_key){1, 2 * i}, i);
    struct tree_walk w;
    CHECK(tree_first(&w, &t, &nodes.view, (struct tree_key){1, 501}));
    for (uint32_t i = 251; i < 1000; i++) {
        CHECK_INT(w.value, i);
        CHECK(tree_next(&w) == (i < 999));
    }
    CHECK(tree_last(&w, &t, &nodes.view, (struct tree_key){1, 501}));
    for (uint32_t i = 250; i + 1 > 0; i--) {
        CHECK_INT(w.value, i);
        CHECK(tree_previous(&w) == (i > 0));
    }
    CHECK(!tree_first(&w, &t, &nodes.view, (struct tree_key){2, 0}));
    CHECK(!tree_last(&w, &t, &nodes.view, (struct tree_key){0, 9}));
    CHECK(tree_last(&w, &t, &nodes.view, (struct tree_key){9, 9}));
    CHECK_INT(w.value, 999);
    end();
}

TEST("a queue that only moves forward uses full nodes and gives them back")
{
    begin();
    struct tree t = TREE_EMPTY;
    for (uint64_t i = 0; i < 100000; i++)
        tree_put(&t, &nodes, (struct tree_key){0, i}, (uint32_t)i);
    CHECK(pages_bytes(pages) < 100000 * 28);
    for (uint64_t i = 0; i < 100000; i++)
        CHECK_INT(tree_remove(&t, &nodes, (struct tree_key){0, i}), i);
    CHECK_INT(t.count, 0);
    CHECK_INT(t.root, NO_ROW);
    end();
}
