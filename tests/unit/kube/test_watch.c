#include "base/mem.h"
#include "fake_api.h"
#include "kube/job.h"
#include "kube/pod.h"
#include "kube/watch.h"

/* What was told, as text: "+a ~a -a sync". */
struct story {
    struct text text;
    int synced, changes, troubles;
    char why[512];
};

static void tell(struct story *s, const char *mark, const struct kube_head *h)
{
    text_addf(&s->text, "%s%s@%s ", mark, h->name, h->version);
    s->changes++;
}

static void on_changed(void *arg, const struct kube_head *before, const struct kube_head *now)
{
    tell(arg, before ? "~" : "+", now);
}

static void on_gone(void *arg, const struct kube_head *last)
{
    tell(arg, "-", last);
}

static void on_synced(void *arg)
{
    struct story *s = arg;
    text_add(&s->text, "sync ");
    s->synced++;
}

static void on_trouble(void *arg, const struct err *why)
{
    struct story *s = arg;
    snprintf(s->why, sizeof s->why, "%s", why->text);
    s->troubles++;
}

static const struct kube_watch_ops ops = {on_changed, on_gone, on_synced, on_trouble};
static const struct kube_selection pods = {.kind = &kube_pods, .ns = "a"};

#define OBJECT(name, version, uid)                                                                 \
    "{\"metadata\":{\"namespace\":\"a\",\"name\":\"" name "\",\"resourceVersion\":\"" version      \
    "\",\"uid\":\"" uid "\"}}"
#define EVENT(type, name, version)                                                                 \
    "{\"type\":\"" type "\",\"object\":" OBJECT(name, version, name) "}\n"
#define BOOKMARK(version, annotations)                                                             \
    "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"resourceVersion\":"       \
    "\"" version "\",\"annotations\":{" annotations "}}}}\n"
#define INITIAL_END(version) BOOKMARK(version, "\"k8s.io/initial-events-end\":\"true\"")
#define FAILURE(code, reason)                                                                      \
    "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":" #code ",\"reason\":\"" reason  \
    "\",\"message\":\"no\"}}\n"

struct test {
    struct fake_api f;
    struct side s;
    struct story story;
    struct kube_watch *w;
};

static void test_open(struct test *t, fake_answer *answer)
{
    *t = (struct test){.f = {.answer = answer}};
    fake_open(&t->f);
    side_open(&t->s, &t->f);
    t->w = kube_watch_start(t->s.client, &pods, &ops, &t->story);
}

static void test_close(struct test *t)
{
    kube_watch_stop(t->w);
    side_close(&t->s);
    fake_close(&t->f);
    text_done(&t->story.text);
}

/* ---- one after the other ---- */

static bool is_initial(const struct fake_request *r)
{
    return strstr(r->target, "sendInitialEvents=true&resourceVersionMatch=NotOlderThan") &&
           !strstr(r->target, "resourceVersion=");
}

static void streams(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    (void)arg;
    fake_begin(c);
    if (is_initial(r) && r->number == 1) {
        fake_chunk(c, EVENT("ADDED", "x", "3") EVENT("ADDED", "y", "2"));
        fake_chunk(c, INITIAL_END("10") EVENT("MODIFIED", "x", "11"));
        fake_chunk(c, "{\"type\":\"DELETED\",\"obj");
        fake_chunk(c, "ect\":" OBJECT("y", "12", "y") "}\n");
        fake_chunk(c, BOOKMARK("20", "") "{\"type\":\"NEW\",\"object\":{}}\n");
        fake_cut(c);
    } else if (strstr(r->target, "resourceVersion=20") && !is_initial(r)) {
        fake_chunk(c, EVENT("ADDED", "z", "21"));
        fake_chunk(c, "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"na"); /* cut in the middle */
        fake_cut(c);
    } else if (strstr(r->target, "resourceVersion=21")) {
        fake_chunk(c, EVENT("ADDED", "last", "22"));
        fake_wait(c);
    } else {
        fake_chunk(c, FAILURE(400, "BadRequest"));
    }
}

TEST("a watch begins with what is there, then tells each change, across cut connections")
{
    AUTO(test_close) struct test t;
    test_open(&t, streams);
    side_until(&t.s, &t.story.changes, 6);
    CHECK_TEXT(text_get(&t.story.text), "+x@3 +y@2 sync ~x@11 -y@12 +z@21 +last@22 ");
    CHECK(kube_watch_find(t.w, "a", "z") && !kube_watch_find(t.w, "a", "y"));
    CHECK(!kube_watch_find(t.w, "", "z"));
    struct kube_watch_stats stats;
    kube_watch_stats(t.w, &stats);
    CHECK_INT(stats.count, 3);
    CHECK(stats.bytes > 0 && stats.is_synced && stats.heard_ms > 0);
    CHECK_INT(stats.lists, 1);
    char last[1024];
    CHECK(strstr(fake_last(&t.f, "watch=1", last, sizeof last), "allowWatchBookmarks=true"));
    CHECK(strstr(last, "timeoutSeconds="));
}

/* ---- servers that do not stream lists ---- */

#define LIST(version, items)                                                                       \
    "{\"metadata\":{\"resourceVersion\":\"" version "\"},\"items\":[" items "]}"

static void lists_only(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    (void)arg;
    if (is_initial(r)) {
        fake_status(c, 422, "Invalid", "sendInitialEvents is forbidden for watch");
    } else if (!strstr(r->target, "watch=1")) {
        fake_reply(c, 200, NULL, LIST("5", OBJECT("x", "3", "x")));
    } else {
        fake_begin(c);
        fake_chunk(c, EVENT("ADDED", "y", "6"));
        fake_wait(c);
    }
}

TEST("a server that does not stream lists is asked for pages, once and for all")
{
    AUTO(test_close) struct test t;
    struct story other = {0};
    test_open(&t, lists_only);
    side_until(&t.s, &t.story.changes, 2);
    CHECK_TEXT(text_get(&t.story.text), "+x@3 sync +y@6 ");
    CHECK_INT(t.story.troubles, 0);
    struct kube_watch *second = kube_watch_start(t.s.client, &pods, &ops, &other);
    side_until(&t.s, &other.changes, 2);
    CHECK_INT(fake_count(&t.f, "sendInitialEvents"), 1);
    CHECK_INT(fake_count(&t.f, "resourceVersion=5"), 2);
    kube_watch_stop(second);
    text_done(&other.text);
}

static void never_ends_list(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    if (is_initial(r)) {
        fake_begin(c);
        fake_chunk(c, EVENT("ADDED", "x", "3"));
        fake_cut(c);
    } else {
        lists_only(c, r, arg);
    }
}

TEST("streamed lists that do not come to their end are given up for pages")
{
    AUTO(test_close) struct test t;
    test_open(&t, never_ends_list);
    side_until(&t.s, &t.story.changes, 2);
    CHECK_TEXT(text_get(&t.story.text), "+x@3 sync +y@6 ");
    CHECK_INT(fake_count(&t.f, "sendInitialEvents"), 2);
}

static void falls_silent(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    if (is_initial(r)) {
        fake_begin(c);
        fake_chunk(c, EVENT("ADDED", "x", "3"));
        fake_wait(c);
    } else {
        lists_only(c, r, arg);
    }
}

TEST("streamed lists that fall silent are given up for pages")
{
    AUTO(test_close) struct test t;
    test_open(&t, falls_silent);
    side_until(&t.s, &t.story.changes, 2);
    CHECK_TEXT(text_get(&t.story.text), "+x@3 sync +y@6 ");
    CHECK_INT(fake_count(&t.f, "sendInitialEvents"), 2);
    CHECK(strstr(t.story.why, "does not come to its end"));
}

static void is_quiet_afterwards(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    (void)arg;
    (void)r;
    fake_begin(c);
    fake_chunk(c, EVENT("ADDED", "x", "3") INITIAL_END("10"));
    usleep(800000); /* more than the client's patience with a list */
    fake_chunk(c, EVENT("ADDED", "y", "11"));
    fake_wait(c);
}

TEST("once its list is over, a stream may be quiet for long")
{
    AUTO(test_close) struct test t;
    test_open(&t, is_quiet_afterwards);
    side_until(&t.s, &t.story.changes, 2);
    CHECK_TEXT(text_get(&t.story.text), "+x@3 sync +y@11 ");
    CHECK_INT(t.story.troubles, 0);
}

/* ---- what the server has forgotten ---- */

/* By the number of the request: list, forgotten in the stream, list, forgotten at once, list. */
static void forgets(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    (void)arg;
    if (r->number == 4) {
        fake_status(c, 410, "Gone", "too old");
        return;
    }
    fake_begin(c);
    if (r->number == 1) {
        fake_chunk(c, EVENT("ADDED", "x", "3") EVENT("ADDED", "y", "4") INITIAL_END("10"));
        fake_cut(c);
    } else if (r->number == 2) {
        fake_chunk(c, EVENT("MODIFIED", "y", "11") FAILURE(410, "Expired"));
        fake_end(c);
    } else if (r->number == 3) {
        fake_chunk(c, EVENT("ADDED", "x", "3") EVENT("ADDED", "z", "40") INITIAL_END("50"));
        fake_cut(c);
    } else {
        fake_chunk(c, INITIAL_END("60"));
        fake_wait(c);
    }
}

TEST("when the server has forgotten where we were, what went unseen is told")
{
    AUTO(test_close) struct test t;
    test_open(&t, forgets);
    side_until(&t.s, &t.story.synced, 3);
    const char *story = text_get(&t.story.text);
    const char *start = "+x@3 +y@4 sync ~y@11 +z@40 -y@11 sync ";
    CHECK(text_starts_with(story, start));
    CHECK(strcmp(story + strlen(start), "-x@3 -z@40 sync ") == 0 ||
          strcmp(story + strlen(start), "-z@40 -x@3 sync ") == 0);
    CHECK_INT(t.story.troubles, 2); /* that it was cut; to be forgotten is none */
}

/* ---- trouble ---- */

static void is_busy(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    (void)arg;
    if (r->number == 1) {
        fake_status(c, 429, "TooManyRequests", "slow down");
    } else if (r->number == 2) {
        fake_status(c, 403, "Forbidden", "pods is forbidden");
    } else if (r->number == 3) {
        fake_begin(c);
        fake_chunk(c, EVENT("ADDED", "x", "3") INITIAL_END("10"));
        fake_cut(c);
    } else if (r->number < 6) {
        fake_status(c, 503, "ServiceUnavailable", "away");
    } else if (r->number == 6) {
        fake_begin(c);
        fake_chunk(c, "<html>");
        fake_wait(c);
    } else if (strstr(r->target, "resourceVersion=10")) {
        fake_begin(c);
        fake_chunk(c, EVENT("DELETED", "x", "11"));
        fake_wait(c);
    }
}

TEST("a server that is busy, refuses or talks nonsense is asked again where we were")
{
    AUTO(test_close) struct test t;
    test_open(&t, is_busy);
    side_until(&t.s, &t.story.changes, 2);
    CHECK_TEXT(text_get(&t.story.text), "+x@3 sync -x@11 ");
    CHECK(t.story.troubles >= 5);
    CHECK_INT(fake_count(&t.f, "sendInitialEvents"), 3);
    CHECK(strstr(t.story.why, "no list or stream"));
}

static void replaces(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    (void)arg;
    (void)r;
    fake_begin(c);
    fake_chunk(c, EVENT("ADDED", "x", "3") INITIAL_END("10"));
    fake_chunk(c, EVENT("ADDED", "x", "3")); /* nothing new */
    fake_chunk(c, "{\"type\":\"MODIFIED\",\"object\":" OBJECT("x", "12", "other") "}\n");
    fake_chunk(c, "{\"type\":\"DELETED\",\"object\":" OBJECT("never-seen", "13", "n") "}\n");
    fake_chunk(c, "{\"type\":\"ADDED\",\"object\":{\"metadata\":{}}}\n");
    fake_chunk(c, EVENT("ADDED", "y", "14"));
    fake_wait(c);
}

TEST("another object of the same name is one that went and one that came")
{
    AUTO(test_close) struct test t;
    test_open(&t, replaces);
    side_until(&t.s, &t.story.changes, 4);
    CHECK_TEXT(text_get(&t.story.text), "+x@3 sync -x@3 +x@12 +y@14 ");
    struct kube_watch_stats stats;
    kube_watch_stats(t.w, &stats);
    CHECK_INT(stats.unread, 1);
    size_t at = 0, count = 0;
    while (kube_watch_next(t.w, &at))
        count++;
    CHECK_INT(count, 2);
}

TEST("a watch can be told to list anew")
{
    AUTO(test_close) struct test t;
    test_open(&t, replaces);
    side_until(&t.s, &t.story.changes, 4);
    kube_watch_relist(t.w);
    side_until(&t.s, &t.story.synced, 2);
    CHECK(strstr(text_get(&t.story.text), "-x@12 +x@3 -y@14 sync "));
}

/* ---- Argo Server ---- */

#define WRAPPED(type, name, version)                                                               \
    "{\"result\":{\"type\":\"" type "\",\"object\":" OBJECT(name, version, name) "}}\n"

static const struct kube_selection workflows = {
    .kind = &kube_workflows, .ns = "a", .labels = "x=y", .by_argo_server = true};

static void argo_server(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    (void)arg;
    if (strstr(r->target, "/api/v1/workflows/a?") && r->number == 1) {
        fake_reply(c, 200, NULL, LIST("7", OBJECT("v", "5", "v") "," OBJECT("w", "6", "w")));
    } else if (strstr(r->target, "/api/v1/workflows/a?") && r->number == 2) {
        /* It has none in its own store, and then knows no version. */
        fake_reply(c, 200, NULL, "{\"metadata\":{},\"items\":null}");
    } else if (strstr(r->target, "/api/v1/workflow-events/a?") && r->number == 1) {
        fake_begin(c);
        fake_chunk(c, WRAPPED("MODIFIED", "w", "8") WRAPPED("DELETED", "v", "9"));
        fake_chunk(c, "{\"error\":{\"grpc_code\":8,\"http_code\":429,\"message\":\"EOF\"}}\n");
        fake_end(c);
    } else if (strstr(r->target, "/api/v1/workflow-events/a?") && r->number == 2) {
        fake_begin(c);
        fake_chunk(c, WRAPPED("ADDED", "u", "12"));
        fake_wait(c);
    } else {
        fake_reply(c, 403, NULL, "{\"code\":7,\"message\":\"not allowed\"}");
    }
}

TEST("Argo Server's workflows are watched in its own words, and listed anew after each stream")
{
    AUTO(test_close) struct test t = {.f = {.answer = argo_server}};
    char last[1024];
    fake_open(&t.f);
    side_open(&t.s, &t.f);
    t.w = kube_watch_start(t.s.client, &workflows, &ops, &t.story);
    side_until(&t.s, &t.story.changes, 6);
    CHECK_TEXT(text_get(&t.story.text), "+v@5 +w@6 sync ~w@8 -v@9 -w@8 sync +u@12 ");
    fake_last(&t.f, "workflows/a?", last, sizeof last);
    CHECK(strstr(last, "listOptions.labelSelector=x%3Dy"));
    CHECK(strstr(last, "listOptions.limit="));
    fake_last(&t.f, "workflow-events/a?", last, sizeof last);
    CHECK(strstr(last, "listOptions.resourceVersion=0"));
    CHECK(strstr(last, "listOptions.timeoutSeconds="));
    CHECK(!strstr(last, "watch=1") && !strstr(last, "sendInitialEvents"));
}

static void argo_denies(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    (void)r;
    (void)arg;
    fake_reply(c, 403, NULL, "{\"code\":7,\"message\":\"not allowed\"}");
}

TEST("what Argo Server does not allow is told in its words")
{
    AUTO(test_close) struct test t = {.f = {.answer = argo_denies}};
    fake_open(&t.f);
    side_open(&t.s, &t.f);
    t.w = kube_watch_start(t.s.client, &workflows, &ops, &t.story);
    side_until(&t.s, &t.story.troubles, 1);
    CHECK_TEXT(t.story.why, "not allowed");
}
