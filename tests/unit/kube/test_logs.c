#include "base/mem.h"
#include "fake_api.h"
#include "kube/logs.h"

struct seen {
    struct text text;
    struct kube_log_position at;
    int ended, bytes, enough;
    struct err err;
};

static bool on_bytes(void *arg, const char *bytes, size_t len,
                     const struct kube_log_position *position)
{
    struct seen *s = arg;
    text_add_bytes(&s->text, bytes, len);
    s->at = *position;
    s->bytes = (int)s->text.len;
    return !s->enough || s->bytes < s->enough;
}

static void on_end(void *arg, const struct kube_log_position *position, const struct kube_answer *a)
{
    struct seen *s = arg;
    s->at = *position;
    s->err = a->err;
    s->ended++;
}

static const struct kube_log_ops ops = {on_bytes, on_end};

static struct seen read_log(fake_answer *answer, const struct kube_log_request *r, int enough,
                            char *last, size_t size)
{
    auto_fake struct fake_api f = {.answer = answer};
    auto_side struct side s;
    struct seen seen = {.enough = enough};
    fake_open(&f);
    side_open(&s, &f);
    kube_log_start(s.client, r, &ops, &seen);
    CHECK_INT(seen.ended, 0);
    side_until(&s, &seen.ended, 1);
    fake_last(&f, "/log", last, size);
    return seen;
}

static const struct kube_log_request follow = {
    .ns = "work", .pod = "p", .container = "main", .follow = true};
static char last[1024];

#define T0 "2026-01-31T09:00:00."
#define T1 "2026-01-31T09:00:01."

/* Cut in the middle of a line, of a time, and behind a line; kubelet gives all of the second. */
static void cuts(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    (void)arg;
    fake_begin(c);
    if (r->number == 1) {
        fake_chunk(c, T0 "100000000Z one\n" T0 "200000000Z\x20\n" T1 "1Z two-st");
        fake_cut(c);
    } else if (r->number == 2) {
        fake_chunk(c, T1 "1Z two-start-and-end\n" T1 "0Z thr"); /* out of order, as it happens */
        fake_chunk(c, "ee\n" T1);
        fake_cut(c);
    } else if (r->number == 3) {
        fake_chunk(c, T1 "1Z two-start-and-end\n" T1 "0Z three\n" T1 "9Z four\n");
        fake_cut(c);
    } else {
        fake_chunk(c, T1 "1Z two-start-and-end\n" T1 "0Z three\n" T1 "9Z four\n" T1 "95Z five");
        fake_end(c);
    }
}

TEST("a log comes whole and once, wherever it is cut")
{
    struct seen s = read_log(cuts, &follow, 0, last, sizeof last);
    CHECK_TEXT(text_get(&s.text), "one\n\ntwo-start-and-end\nthree\nfour\nfive");
    CHECK_INT(s.err.code, ERR_NONE);
    CHECK_INT(s.at.second, 1769850001);
    CHECK_INT(s.at.lines, 3);
    CHECK_INT(s.at.in_line, 4);
    CHECK(strstr(last, "/api/v1/namespaces/work/pods/p/log?timestamps=true&container=main&"
                       "follow=true&sinceTime=2026-01-31T09%3A00%3A01.000000Z"));
    text_done(&s.text);
}

static void goes_on(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    (void)arg;
    (void)r;
    fake_begin(c);
    fake_chunk(c, T1 "1Z a\n" T1 "2Z bcdef\n" T1 "3Z g\n");
    fake_end(c);
}

TEST("a log goes on from a position that was kept")
{
    struct kube_log_request r = follow;
    r.from = (struct kube_log_position){1769850001, 1, 2};
    struct seen s = read_log(goes_on, &r, 0, last, sizeof last);
    CHECK_TEXT(text_get(&s.text), "def\ng\n");
    text_done(&s.text);
    r.from = (struct kube_log_position){1769850000, 7, 3}; /* of lines that are gone */
    s = read_log(goes_on, &r, 0, last, sizeof last);
    CHECK_TEXT(text_get(&s.text), "a\nbcdef\ng\n");
    CHECK_INT(s.at.lines, 3);
    text_done(&s.text);
}

TEST("a reader that has enough gets no more, and can go on there")
{
    struct seen s = read_log(goes_on, &follow, 3, last, sizeof last);
    CHECK_TEXT(text_get(&s.text), "a\nbcdef\n");
    CHECK_INT(s.err.code, ERR_NONE);
    struct kube_log_request r = follow;
    r.from = s.at;
    text_done(&s.text);
    s = read_log(goes_on, &r, 0, last, sizeof last);
    CHECK_TEXT(text_get(&s.text), "g\n");
    text_done(&s.text);
}

static void is_not_ready(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    (void)arg;
    (void)r;
    fake_status(c, 400, "BadRequest", "container main is waiting to start");
}

static void has_no_times(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    (void)arg;
    (void)r;
    fake_begin(c);
    fake_chunk(c, "unable to retrieve container logs for containerd://x");
    fake_end(c);
}

TEST("a log that cannot be had says why")
{
    struct kube_log_request r = {.ns = "work", .pod = "p", .previous = true, .limit_bytes = 99};
    struct seen s = read_log(is_not_ready, &r, 0, last, sizeof last);
    CHECK_INT(s.err.code, ERR_INVALID);
    CHECK(strstr(s.err.text, "waiting to start"));
    CHECK(strstr(last, "/log?timestamps=true&previous=true&limitBytes=99"));
    s = read_log(has_no_times, &r, 0, last, sizeof last);
    CHECK(strstr(s.err.text, "begin with its time"));
    text_done(&s.text);
}

static void is_silent(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    (void)arg;
    (void)r;
    fake_begin(c);
    fake_chunk(c, T0 "1Z x\n");
    fake_wait(c);
}

TEST("a log can be stopped while it is followed")
{
    auto_fake struct fake_api f = {.answer = is_silent};
    auto_side struct side s;
    struct seen seen = {0};
    fake_open(&f);
    side_open(&s, &f);
    struct kube_log *l = kube_log_start(s.client, &follow, &ops, &seen);
    side_until(&s, &seen.bytes, 2);
    kube_log_stop(l);
    text_done(&seen.text);
}
