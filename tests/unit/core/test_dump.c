#include "core/dump.h"

#include "random_world.h"

struct bytes {
    struct text text;
    size_t at;
};

static int keep(void *arg, const void *bytes, size_t len)
{
    text_add_bytes(&((struct bytes *)arg)->text, bytes, len);
    return 0;
}

/* In odd pieces. */
static ssize_t give(void *arg, void *bytes, size_t size, struct err *e)
{
    struct bytes *b = arg;
    size_t left = b->text.len - b->at, len = left < 7 ? left : 7;
    (void)e;
    len = len < size ? len : size;
    memcpy(bytes, b->text.data + b->at, len);
    b->at += len;
    return (ssize_t)len;
}

static void check_same(const struct fleet_view *a, const struct fleet_view *b)
{
    struct digest x = fleet_digest(a), y = fleet_digest(b);
    CHECK(digest_equal(&x, &y));
    struct bytes p = {0}, q = {0};
    CHECK_OK(core_dump(a, keep, &p));
    CHECK_OK(core_dump(b, keep, &q));
    CHECK_INT(p.text.len, q.text.len);
    CHECK(memcmp(p.text.data, q.text.data, p.text.len) == 0);
    text_done(&p.text);
    text_done(&q.text);
}

TEST("a fleet made from its bytes is the same, and decides the same from there on")
{
    for (unsigned seed = 1; seed <= 10; seed++) {
        struct world w;
        struct bytes b = {0};
        random_world(&w, seed, 300);
        CHECK_OK(core_dump(seen(&w), keep, &b));
        size_t from = w.count;

        struct core again;
        core_init(&again);
        CHECK_OK(core_restore(&again, give, &b, &test_err));
        check_same(seen(&w), &again.fleet->view);

        for (int i = 0; i < 300; i++)
            random_step(&w);
        for (size_t i = from; i < w.count; i++) {
            struct event p;
            if (w.log[i].kind == EVENT_ID_PLANNED)
                core_plan(&again, w.log[i].PLANNED.now_ms, PLAN_VERSION, &p);
            CHECK_OK(core_apply(&again, &w.log[i], NULL, &test_err));
        }
        check_same(seen(&w), &again.fleet->view);
        core_done(&again);
        text_done(&b.text);
        world_end(&w);
    }
}

TEST("bytes that were cut short or changed are refused, or make another fleet, but nothing worse")
{
    struct world w;
    struct bytes b = {0};
    random_world(&w, 4, 200);
    CHECK_OK(core_dump(seen(&w), keep, &b));
    for (size_t len = 0; len < b.text.len; len += 1 + len / 50) {
        struct core c;
        struct bytes cut = {.text = {.data = b.text.data, .len = len}};
        core_init(&c);
        CHECK_FAILS(core_restore(&c, give, &cut, &test_err), ERR_UNPROCESSABLE, "no sense");
        core_done(&c);
    }
    for (size_t at = 0; at < b.text.len; at += 3) {
        struct core c;
        b.text.data[at] ^= 0x15;
        b.at = 0;
        core_init(&c);
        (void)core_restore(&c, give, &b, &test_err);
        core_done(&c);
        b.text.data[at] ^= 0x15;
    }
    text_done(&b.text);
    world_end(&w);
}
