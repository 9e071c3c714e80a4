#include "kube/list.h"

#include "base/mem.h"
#include "kube/split.h"

enum { PAGE = 500, MOST_TRIES = 6, MOST_RESTARTS = 3, MOST_CONTINUE = 4096 };
#define SILENCE_MS 30000

struct kube_list {
    struct kube_client *client;
    const struct kube_kind *kind;
    const struct kube_list_ops *ops;
    void *arg;
    bool by_argo_server;
    char *target; /* without what is about pages */
    unsigned page, tries, restarts;
    char *next; /* the token of the next page; NULL: the first */
    struct kube_split split;
    struct err why; /* why reading the page ended */
    size_t unread;
    struct kube_call *call; /* NULL: waiting */
    uv_timer_t timer;
};

static void on_closed(uv_handle_t *handle)
{
    struct kube_list *l = handle->data;
    kube_split_done(&l->split);
    free(l->target);
    free(l->next);
    free(l);
}

static void close_list(struct kube_list *l)
{
    uv_close((uv_handle_t *)&l->timer, on_closed);
}

static void finish(struct kube_list *l, const char *version, const struct kube_answer *a)
{
    l->ops->on_done(l->arg, version, a);
    close_list(l);
}

void kube_selection_query(struct text *out, const struct kube_selection *s, const char *key,
                          const char *value)
{
    char name[64];
    snprintf(name, sizeof name, "%s%s", s->by_argo_server ? "listOptions." : "", key);
    kube_query(out, name, value);
}

void kube_selection_target(struct text *out, const struct kube_selection *s, bool stream)
{
    static const struct kube_resource_name workflows = {"", "v1", "workflows"},
                                           changes = {"", "v1", "workflow-events"};
    if (s->by_argo_server)
        kube_path(out, stream ? &changes : &workflows, NULL, s->ns, NULL);
    else
        kube_path(out, &s->kind->at, s->kind->cluster_scoped ? NULL : s->ns, NULL, NULL);
    kube_selection_query(out, s, "labelSelector", s->labels);
    kube_selection_query(out, s, "fieldSelector", s->fields);
}

/* ---- a page ---- */

struct frame {
    const char *version, *next;
};

static int read_frame(struct kube_list *l, struct text *version, struct err *e)
{
    static const struct kube_field metadata[] = {
        {"resourceVersion", KUBE_TEXT, offsetof(struct frame, version), .most = 64},
        {"continue", KUBE_TEXT, offsetof(struct frame, next), .most = MOST_CONTINUE},
        {0},
    };
    static const struct kube_field fields[] = {
        {"metadata", KUBE_OBJECT, .fields = metadata},
        {0},
    };
    struct json_scan s;
    if (kube_split_end(&l->split, e) < 0)
        return -1;
    struct kube_build *b = kube_client_build(l->client);
    struct frame *f = kube_build_begin(b, sizeof *f, NULL);
    kube_build_empty_texts(fields, f);
    json_scan_init(&s, text_get(&l->split.rest), l->split.rest.len);
    kube_build_read(b, &s, fields, f);
    if (json_scan_end(&s, e) < 0)
        return err_wrap(e, "could not read a list of %s", l->kind->at.resource);
    if (!f->version[0] && l->by_argo_server)
        f->version = "0"; /* it saw none: a stream begins with what is there by then */
    if (!f->version[0])
        return err_set(e, ERR_INVALID, "a list of %s has no resourceVersion", l->kind->at.resource);
    free(l->next);
    l->next = f->next[0] ? mem_strdup(f->next) : NULL;
    text_add(version, f->version);
    return 0;
}

static bool on_object(void *arg, const char *json, size_t len)
{
    struct kube_list *l = arg;
    struct kube_head *record;
    if (kube_record_read(l->kind, kube_client_build(l->client), json, len, &record, NULL) < 0)
        l->unread++;
    else
        l->ops->on_record(l->arg, record);
    return true;
}

static bool on_data(void *arg, const char *bytes, size_t len)
{
    struct kube_list *l = arg;
    return kube_split_feed(&l->split, bytes, len, &l->why) == 0;
}

static void on_done(void *arg, const struct kube_answer *a);

static void ask(struct kube_list *l)
{
    auto_text struct text target = {0};
    struct kube_selection words = {.by_argo_server = l->by_argo_server};
    char page[16];
    kube_split_done(&l->split);
    l->split = (struct kube_split){
        .mode = KUBE_SPLIT_ITEMS, .most = KUBE_MOST_OBJECT, .on_object = on_object, .arg = l};
    l->why = (struct err){0};
    text_add(&target, l->target);
    snprintf(page, sizeof page, "%u", l->page);
    kube_selection_query(&target, &words, "limit", l->page ? page : NULL);
    kube_selection_query(&target, &words, "continue", l->next);
    l->call =
        kube_send(l->client,
                  &(struct kube_request){
                      .target = text_get(&target), .on_data = on_data, .silence_ms = SILENCE_MS},
                  on_done, l);
}

static void on_timer(uv_timer_t *timer)
{
    ask(timer->data);
}

static void ask_later(struct kube_list *l, int64_t wait_ms)
{
    uv_timer_start(&l->timer, on_timer, (uint64_t)wait_ms, 0);
}

/* Pages are of one moment, which the server has forgotten. Next time all of it in one. */
static void restart(struct kube_list *l)
{
    free(TAKE(l->next));
    l->page = 0;
    l->restarts++;
    if (l->ops->on_restart)
        l->ops->on_restart(l->arg);
    ask(l);
}

static bool may_pass(const struct kube_answer *a)
{
    return a->err.code == ERR_UNAVAILABLE || a->err.code == ERR_TIMEOUT ||
           a->err.code == ERR_EXHAUSTED;
}

static void on_failure(struct kube_list *l, const struct kube_answer *a)
{
    int64_t wait_ms = kube_client_pause_ms(l->client, ++l->tries);
    if (a->status.retry_after_seconds * 1000 > wait_ms)
        wait_ms = a->status.retry_after_seconds * 1000;
    if (l->next && kube_status_is_expired(&a->status) && l->restarts < MOST_RESTARTS)
        restart(l);
    else if (may_pass(a) && l->tries < MOST_TRIES && wait_ms < 120000)
        ask_later(l, wait_ms);
    else
        finish(l, NULL, a);
}

static void on_done(void *arg, const struct kube_answer *a)
{
    struct kube_list *l = arg;
    struct kube_answer answer = *a;
    auto_text struct text version = {0};
    l->call = NULL;
    if (l->why.code)
        answer.err = l->why;
    if (answer.err.code || read_frame(l, &version, &answer.err) < 0) {
        on_failure(l, &answer);
        return;
    }
    l->tries = 0;
    if (l->next)
        ask(l);
    else
        finish(l, text_get(&version), a);
}

struct kube_list *kube_list_start(struct kube_client *c, const struct kube_selection *s,
                                  unsigned page, const struct kube_list_ops *ops, void *arg)
{
    struct kube_list *l = mem_new(struct kube_list);
    struct text target = {0};
    l->client = c;
    l->kind = s->kind;
    l->ops = ops;
    l->arg = arg;
    l->page = page ? page : PAGE;
    l->by_argo_server = s->by_argo_server;
    kube_selection_target(&target, s, false);
    l->target = text_take(&target);
    uv_timer_init(kube_client_loop(c), &l->timer);
    l->timer.data = l;
    ask(l);
    return l;
}

void kube_list_cancel(struct kube_list *l)
{
    if (l->call)
        kube_cancel(l->call);
    close_list(l);
}

size_t kube_list_unread(const struct kube_list *l)
{
    return l->unread;
}
