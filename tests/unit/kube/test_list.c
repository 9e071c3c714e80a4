#include "base/mem.h"
#include "fake_api.h"
#include "kube/list.h"
#include "kube/pod.h"

struct listing {
    int done, restarts;
    struct text names, version;
    struct err err;
    struct kube_status why;
};

static void on_record(void *arg, struct kube_head *record)
{
    struct listing *l = arg;
    text_addf(&l->names, "%s/%s ", record->ns, record->name);
    free(record);
}

static void on_restart(void *arg)
{
    struct listing *l = arg;
    l->restarts++;
    text_clear(&l->names);
}

static void on_done(void *arg, const char *version, const struct kube_answer *a)
{
    struct listing *l = arg;
    l->done++;
    text_add(&l->version, version ? version : "none");
    l->err = a->err;
    l->why = a->status;
}

static const struct kube_list_ops ops = {on_record, on_restart, on_done};

static void listing_done(struct listing *l)
{
    text_done(&l->names);
    text_done(&l->version);
}

/* PATH's list, with two objects a page. */
static void list(struct listing *ret, fake_answer *answer, const struct kube_selection *s,
                 int *ret_asked)
{
    auto_fake struct fake_api f = {.answer = answer};
    auto_side struct side side;
    fake_open(&f);
    side_open(&side, &f);
    kube_list_start(side.client, s, 2, &ops, ret);
    CHECK_INT(ret->done, 0);
    side_until(&side, &ret->done, 1);
    *ret_asked = fake_count(&f, "/pods");
}

static const struct kube_selection pods = {.kind = &kube_pods};

#define POD(name) "{\"metadata\":{\"namespace\":\"a\",\"name\":\"" name "\"}}"

static void in_pages(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    (void)arg;
    if (!strstr(r->target, "limit=2") || !strstr(r->target, "labelSelector=x%3Dy"))
        fake_status(c, 400, "BadRequest", "what");
    else if (strstr(r->target, "continue=t2%2F"))
        fake_reply(c, 200, NULL,
                   "{\"items\":[" POD("c") ",{}]," /* one without a name */
                                           "\"metadata\":{\"resourceVersion\":\"7\"}}");
    else if (strstr(r->target, "continue=t1"))
        fake_reply(c, 200, NULL,
                   "{\"metadata\":{\"resourceVersion\":\"7\",\"continue\":\"t2/\"},\"items\":[]}");
    else
        fake_reply(c, 200, NULL,
                   "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"7\",\"continue\":"
                   "\"t1\",\"remainingItemCount\":1},\"items\":[" POD("a") "," POD("b") "]}");
}

TEST("a list is asked for page by page, also behind an empty one")
{
    AUTO(listing_done) struct listing l = {0};
    int asked;
    list(&l, in_pages, &(struct kube_selection){.kind = &kube_pods, .ns = "a", .labels = "x=y"},
         &asked);
    CHECK_TEXT(text_get(&l.names), "a/a a/b a/c ");
    CHECK_TEXT(text_get(&l.version), "7");
    CHECK_INT(asked, 3);
}

static void forgets(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    (void)arg;
    if (strstr(r->target, "continue="))
        fake_status(c, 410, "Expired", "too old");
    else if (strstr(r->target, "limit="))
        fake_reply(c, 200, NULL,
                   "{\"metadata\":{\"resourceVersion\":\"7\",\"continue\":\"t1\"},"
                   "\"items\":[" POD("gone") "]}");
    else
        fake_reply(c, 200, NULL,
                   "{\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[" POD("a") "]}");
}

TEST("a list whose pages have become too old begins anew, in one page")
{
    AUTO(listing_done) struct listing l = {0};
    int asked;
    list(&l, forgets, &pods, &asked);
    CHECK_INT(l.restarts, 1);
    CHECK_TEXT(text_get(&l.names), "a/a ");
    CHECK_TEXT(text_get(&l.version), "9");
    CHECK_INT(asked, 3);
}

static void stumbles(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    (void)arg;
    if (r->number == 1) {
        fake_cut(c);
    } else if (r->number == 2) {
        fake_begin(c);
        fake_chunk(c, "{\"items\":[" POD("a") ",{\"metad");
        fake_cut(c);
    } else if (r->number == 3) {
        fake_status(c, 500, "InternalError", "etcd is slow");
    } else if (r->number == 4) {
        fake_begin(c);
        fake_chunk(c, "{\"items\":[" POD("a")); /* whole for HTTP, not for us */
        fake_end(c);
    } else {
        fake_reply(c, 200, NULL,
                   "{\"items\":[" POD("a") "],\"metadata\":{\"resourceVersion\":\"7\"}}");
    }
}

TEST("a page that is cut, or fails, is asked for again")
{
    AUTO(listing_done) struct listing l = {0};
    int asked;
    list(&l, stumbles, &pods, &asked);
    CHECK_TEXT(text_get(&l.names), "a/a a/a a/a "); /* the later one counts */
    CHECK_INT(asked, 5);
}

static void talks_nonsense(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    (void)arg;
    (void)r;
    fake_reply(c, 200, NULL, "<html>please sign in</html>");
}

static void has_no_version(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    (void)arg;
    (void)r;
    fake_reply(c, 200, NULL, "{\"items\":[]}");
}

static void forbids(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    (void)arg;
    (void)r;
    fake_status(c, 403, "Forbidden", "pods is forbidden");
}

TEST("what is no list, or is refused, ends it with the reason")
{
    static fake_answer *const answers[] = {talks_nonsense, has_no_version, forbids};
    static const char *const words[] = {"no list", "no resourceVersion", "pods is forbidden"};
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        AUTO(listing_done) struct listing l = {0};
        int asked;
        list(&l, answers[i], &pods, &asked);
        CHECK_TEXT(text_get(&l.version), "none");
        CHECK(strstr(l.err.text, words[i]));
        CHECK_INT(asked, 1);
    }
}

static void is_huge(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    static const char item[] = "{\"metadata\":{\"namespace\":\"a\",\"name\":\"p\"},\"spec\":\"";
    auto_text struct text big = {0};
    (void)arg;
    (void)r;
    for (int i = 0; i < 1024 * 1024; i++)
        text_add_char(&big, 'x');
    fake_begin(c);
    fake_chunk(c, "{\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[%s", item);
    for (int i = 0; i < 9; i++)
        fake_chunk_bytes(c, big.data, big.len);
    fake_chunk(c, "\"}]}");
    fake_end(c);
}

TEST("an object of more than eight megabytes is too large")
{
    AUTO(listing_done) struct listing l = {0};
    int asked;
    list(&l, is_huge, &pods, &asked);
    CHECK_INT(l.err.code, ERR_TOO_LARGE);
    CHECK_INT(asked, 1);
}

TEST("a list can be cancelled")
{
    auto_fake struct fake_api f = {.answer = in_pages};
    auto_side struct side side;
    AUTO(listing_done) struct listing l = {0};
    fake_open(&f);
    side_open(&side, &f);
    kube_list_cancel(kube_list_start(side.client, &pods, 0, &ops, &l));
    uv_run(&side.loop, UV_RUN_NOWAIT);
    CHECK_INT(l.done, 0);
}
