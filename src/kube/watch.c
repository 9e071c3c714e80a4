#include "kube/watch.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "kube/records.h"
#include "kube/split.h"
#include "net/backoff.h"

/* Bookmarks come about once a minute, so longer silence means that nobody is there. */
#define SILENCE_MS    150000
#define LEAST_SECONDS 300 /* that a stream lasts: half as long again at most */
#define ARGO_SECONDS  60  /* it is silent meanwhile; and each time a list tells what was missed */
#define QUICK_END_MS  1000
#define MOST_WAIT_MS  120000

enum { GIVE_UP_VERSION = 6, GIVE_UP_STREAMED = 2 };

struct kube_watch {
    struct kube_client *client;
    struct kube_selection selection; /* its texts are ours */
    const struct kube_watch_ops *ops;
    void *arg;
    struct kube_records records;
    uint32_t listed; /* how often: records seen by the list under way carry it */
    char *version;   /* to go on from; NULL: list first */
    struct kube_list *list;
    struct kube_call *stream;
    struct kube_split split;
    bool is_initial; /* the stream under way began with a list that is not over */
    bool is_synced;
    struct err why;             /* why reading the stream ended */
    struct kube_status refused; /* by an ERROR event */
    unsigned failures, initial_failures;
    int64_t opened_ms;
    struct kube_watch_stats stats;
    uv_timer_t timer;
};

/* ---- records ---- */

static void upsert(struct kube_watch *w, struct kube_head *record)
{
    struct kube_head *old = kube_records_find(&w->records, record->ns, record->name);
    record->seen = w->listed;
    if (old && strcmp(old->version, record->version) == 0) {
        old->seen = w->listed;
        free(record);
        return;
    }
    old = kube_records_put(&w->records, record);
    /* Another object of the same name: the one before has ended without a word. */
    if (old && strcmp(old->uid, record->uid) != 0) {
        w->ops->on_gone(w->arg, old);
        free(old);
        old = NULL;
    }
    w->ops->on_changed(w->arg, old, record);
    free(old);
}

/* LAST is ours to free. */
static void forget(struct kube_watch *w, struct kube_head *last)
{
    struct kube_head *old = kube_records_take(&w->records, last->ns, last->name);
    if (old)
        w->ops->on_gone(w->arg, last);
    if (old != last)
        free(old);
    free(last);
}

/* After a list: what it did not have is gone. */
static void sweep(struct kube_watch *w)
{
    struct kube_head **gone = NULL, *record;
    size_t count = 0, at = 0;
    while ((record = kube_records_next(&w->records, &at))) {
        if (record->seen == w->listed)
            continue;
        gone = mem_resize_array(gone, count + 1);
        gone[count++] = record;
    }
    for (size_t i = 0; i < count; i++)
        forget(w, gone[i]);
    free(gone);
}

static void set_version(struct kube_watch *w, const char *version)
{
    if (!*version || (w->version && strcmp(w->version, version) == 0))
        return;
    free(w->version);
    w->version = mem_strdup(version);
}

static void synced(struct kube_watch *w)
{
    sweep(w);
    w->is_synced = true;
    w->failures = 0;
    w->stats.lists++;
    w->ops->on_synced(w->arg);
}

/* ---- going on ---- */

static void go_on(struct kube_watch *w);

static void on_timer(uv_timer_t *timer)
{
    go_on(timer->data);
}

static void wait_for(struct kube_watch *w, int64_t wait_ms)
{
    uv_timer_start(&w->timer, on_timer, (uint64_t)wait_ms, 0);
}

static void trouble(struct kube_watch *w, const struct kube_answer *a)
{
    int64_t wait_ms = kube_client_pause_ms(w->client, ++w->failures);
    int64_t asked_ms = a->status.retry_after_seconds * 1000;
    if (asked_ms > wait_ms)
        wait_ms = asked_ms < MOST_WAIT_MS ? asked_ms + backoff_spread_ms(asked_ms / 4, random_u64())
                                          : MOST_WAIT_MS;
    if (w->ops->on_trouble && a->err.code)
        w->ops->on_trouble(w->arg, &a->err);
    wait_for(w, wait_ms);
}

/* ---- the list ---- */

static void on_listed(void *arg, struct kube_head *record)
{
    struct kube_watch *w = arg;
    w->stats.heard_ms = clock_mono_ms();
    upsert(w, record);
}

static void on_list_restart(void *arg)
{
    struct kube_watch *w = arg;
    w->listed++;
}

static void on_list_done(void *arg, const char *version, const struct kube_answer *a)
{
    struct kube_watch *w = arg;
    w->stats.unread += kube_list_unread(w->list);
    w->list = NULL;
    if (!version) {
        trouble(w, a);
        return;
    }
    set_version(w, version);
    synced(w);
    wait_for(w, 0);
}

static const struct kube_list_ops list_ops = {on_listed, on_list_restart, on_list_done};

/* ---- the stream ---- */

static const char initial_end[] = "k8s.io/initial-events-end";
static const char *const bookmark_annotations[] = {initial_end, NULL};
static const struct kube_field no_fields[] = {{0}};
static const struct kube_kind bookmarks = {.at = {"", "", "bookmarks"},
                                           .size = sizeof(struct kube_head),
                                           .fields = no_fields,
                                           .annotations = bookmark_annotations};

/* One of these is being read at a time, and good until the next. */
struct event {
    struct json_part type, object;
};

static int split_event(const struct kube_watch *w, const char *json, size_t len, struct event *ret,
                       struct err *e)
{
    static const char error[] = "ERROR";
    struct json_scan s;
    struct json_part key, value;
    *ret = (struct event){0};
    /* Argo Server wraps them: {"result": EVENT} or {"error": why there are no more}. */
    if (w->selection.by_argo_server) {
        json_scan_init(&s, json, len);
        for (json_scan_object(&s); json_scan_member(&s, &key);) {
            json_scan_pass(&s, &value);
            if (json_part_is(&key, "error")) {
                ret->type =
                    (struct json_part){.kind = JSON_PART_TEXT, .at = error, .len = strlen(error)};
                ret->object = value;
            } else if (json_part_is(&key, "result")) {
                json = value.at;
                len = value.len;
            }
        }
        if (json_scan_end(&s, e) < 0)
            return err_wrap(e, "could not read an event");
        if (ret->object.at)
            return 0;
    }
    json_scan_init(&s, json, len);
    for (json_scan_object(&s); json_scan_member(&s, &key);) {
        json_scan_pass(&s, &value);
        if (json_part_is(&key, "type"))
            ret->type = value;
        else if (json_part_is(&key, "object"))
            ret->object = value;
    }
    if (json_scan_end(&s, e) < 0)
        return err_wrap(e, "could not read an event");
    if (ret->type.kind != JSON_PART_TEXT || ret->object.kind != JSON_PART_OBJECT)
        return err_set(e, ERR_INVALID, "an event has no type or no object");
    return 0;
}

static int take_bookmark(struct kube_watch *w, const struct event *ev, struct err *e)
{
    struct kube_head *head;
    if (kube_object_read(&bookmarks, kube_client_build(w->client), ev->object.at, ev->object.len,
                         &head, e) < 0)
        return -1;
    const char *ends = kube_pair_find(head->annotations, initial_end);
    /* Before the list is over, the version is not one to go on from. */
    if (w->is_initial && ends && strcmp(ends, "true") == 0) {
        w->is_initial = false;
        w->initial_failures = 0;
        set_version(w, head->version);
        synced(w);
    } else if (!w->is_initial) {
        set_version(w, head->version);
    }
    free(head);
    return 0;
}

static void take_object(struct kube_watch *w, const struct event *ev)
{
    struct kube_head *record;
    if (kube_record_read(w->selection.kind, kube_client_build(w->client), ev->object.at,
                         ev->object.len, &record, NULL) < 0) {
        w->stats.unread++;
        return;
    }
    if (!w->is_initial)
        set_version(w, record->version);
    if (json_part_is(&ev->type, "DELETED"))
        forget(w, record);
    else
        upsert(w, record);
}

static int take_event(struct kube_watch *w, const char *json, size_t len, struct err *e)
{
    struct event ev;
    if (split_event(w, json, len, &ev, e) < 0)
        return -1;
    w->stats.heard_ms = clock_mono_ms();
    if (json_part_is(&ev.type, "ERROR")) {
        if (!kube_status_parse(ev.object.at, ev.object.len, &w->refused))
            return err_set(e, ERR_INVALID, "an event tells of a failure and not of which");
        return kube_status_to_err(&w->refused, e);
    }
    w->stats.events++;
    w->failures = 0;
    if (json_part_is(&ev.type, "BOOKMARK"))
        return take_bookmark(w, &ev, e);
    /* Others than these three are of a later day. */
    if (json_part_is(&ev.type, "ADDED") || json_part_is(&ev.type, "MODIFIED") ||
        json_part_is(&ev.type, "DELETED"))
        take_object(w, &ev);
    return 0;
}

static bool on_object(void *arg, const char *json, size_t len)
{
    struct kube_watch *w = arg;
    return take_event(w, json, len, &w->why) == 0;
}

static void be_patient(struct kube_watch *w);

static bool on_data(void *arg, const char *bytes, size_t len)
{
    struct kube_watch *w = arg;
    bool good = kube_split_feed(&w->split, bytes, len, &w->why) == 0;
    if (w->is_initial && good)
        be_patient(w);
    else
        uv_timer_stop(&w->timer);
    return good;
}

/* The server does not know streamed lists, or cannot serve them. */
static bool is_refusal(const struct kube_answer *a)
{
    return a->http_status == 400 || a->http_status == 422 || a->http_status == 405 ||
           a->http_status == 501 || strcmp(a->status.reason, "Invalid") == 0 ||
           strcmp(a->status.reason, "BadRequest") == 0;
}

/* Streamed lists need more of the server than others do: one that begins them and does not come to
 * their end is asked for the others. */
static void initial_ended(struct kube_watch *w, const struct kube_answer *a)
{
    w->is_initial = false;
    if (is_refusal(a)) {
        kube_client_no_streamed_lists(w->client);
        wait_for(w, 0);
        return;
    }
    w->initial_failures += a->http_status == 200;
    trouble(w, a);
}

static void on_patience_ends(uv_timer_t *timer)
{
    struct kube_watch *w = timer->data;
    struct kube_answer a = {.http_status = 200};
    kube_cancel(w->stream);
    w->stream = NULL;
    err_set(&a.err, ERR_TIMEOUT, "a streamed list does not come to its end");
    initial_ended(w, &a);
}

/* With a streamed list under way, from its last word on. */
static void be_patient(struct kube_watch *w)
{
    uint64_t ms = (uint64_t)kube_client_patience_ms(w->client);
    uv_timer_start(&w->timer, on_patience_ends, ms, 0);
}

static void on_stream_end(void *arg, const struct kube_answer *answer)
{
    struct kube_watch *w = arg;
    struct kube_answer a = *answer;
    bool was_quick = clock_mono_ms() - w->opened_ms < QUICK_END_MS;
    w->stream = NULL;
    uv_timer_stop(&w->timer);
    /* Argo Server marks no places to go on from, and ends with an error whatever happened. */
    if (w->selection.by_argo_server) {
        free(TAKE(w->version));
        if (a.http_status == 200 && !was_quick) {
            w->why = (struct err){0};
            w->refused = (struct kube_status){0};
            a.err.code = ERR_NONE;
        }
    }
    if (w->why.code) {
        a.err = w->why;
        if (w->refused.code || w->refused.reason[0])
            a.status = w->refused;
    }
    if (kube_status_is_expired(&a.status)) {
        free(TAKE(w->version));
        a.err.code = ERR_NONE; /* that happens; no trouble but the wait */
        trouble(w, &a);
    } else if (w->is_initial) {
        initial_ended(w, &a);
    } else if (!a.err.code && !was_quick) {
        w->failures = 0;
        wait_for(w, 0);
    } else {
        trouble(w, &a);
        /* A server that is there and well: maybe it is our question that cannot be answered. */
        bool is_well = a.http_status && a.http_status < 500 && a.http_status != 429;
        if (is_well && w->failures >= GIVE_UP_VERSION)
            free(TAKE(w->version));
    }
}

static void open_stream(struct kube_watch *w, bool initial)
{
    auto_text struct text target = {0};
    const struct kube_selection *s = &w->selection;
    char seconds[24];
    kube_split_done(&w->split);
    w->split = (struct kube_split){
        .mode = KUBE_SPLIT_EVENTS, .most = KUBE_MOST_OBJECT, .on_object = on_object, .arg = w};
    w->why = (struct err){0};
    w->refused = (struct kube_status){0};
    w->is_initial = initial;
    w->opened_ms = clock_mono_ms();
    int64_t least = s->by_argo_server ? ARGO_SECONDS : LEAST_SECONDS;
    snprintf(seconds, sizeof seconds, "%lld",
             (long long)(least + backoff_spread_ms(least, random_u64())));
    kube_selection_target(&target, s, true);
    if (!s->by_argo_server) {
        kube_query(&target, "watch", "1");
        kube_query(&target, "allowWatchBookmarks", "true");
    }
    kube_selection_query(&target, s, "timeoutSeconds", seconds);
    kube_selection_query(&target, s, "resourceVersion", initial ? NULL : w->version);
    if (initial) {
        kube_query(&target, "sendInitialEvents", "true");
        kube_query(&target, "resourceVersionMatch", "NotOlderThan");
    }
    w->stream =
        kube_send(w->client,
                  &(struct kube_request){
                      .target = text_get(&target), .on_data = on_data, .silence_ms = SILENCE_MS},
                  on_stream_end, w);
    if (initial)
        be_patient(w);
}

static void go_on(struct kube_watch *w)
{
    if (w->version) {
        open_stream(w, false);
        return;
    }
    w->listed++;
    if (!w->selection.by_argo_server && kube_client_streams_lists(w->client) &&
        w->initial_failures < GIVE_UP_STREAMED)
        open_stream(w, true);
    else
        w->list = kube_list_start(w->client, &w->selection, 0, &list_ops, w);
}

/* ---- for its owner ---- */

static char *copy(const char *s)
{
    return s ? mem_strdup(s) : NULL;
}

struct kube_watch *kube_watch_start(struct kube_client *c, const struct kube_selection *s,
                                    const struct kube_watch_ops *ops, void *arg)
{
    struct kube_watch *w = mem_new(struct kube_watch);
    w->client = c;
    w->selection = *s;
    w->selection.ns = copy(s->ns);
    w->selection.labels = copy(s->labels);
    w->selection.fields = copy(s->fields);
    w->ops = ops;
    w->arg = arg;
    uv_timer_init(kube_client_loop(c), &w->timer);
    w->timer.data = w;
    wait_for(w, 0);
    return w;
}

static void on_closed(uv_handle_t *handle)
{
    struct kube_watch *w = handle->data;
    kube_records_done(&w->records);
    kube_split_done(&w->split);
    free((char *)w->selection.ns);
    free((char *)w->selection.labels);
    free((char *)w->selection.fields);
    free(w->version);
    free(w);
}

static void stop_asking(struct kube_watch *w)
{
    if (w->list)
        kube_list_cancel(w->list);
    if (w->stream)
        kube_cancel(w->stream);
    w->list = NULL;
    w->stream = NULL;
}

void kube_watch_stop(struct kube_watch *w)
{
    if (!w)
        return;
    stop_asking(w);
    uv_close((uv_handle_t *)&w->timer, on_closed);
}

void kube_watch_relist(struct kube_watch *w)
{
    stop_asking(w);
    free(TAKE(w->version));
    wait_for(w, 0);
}

const struct kube_head *kube_watch_find(const struct kube_watch *w, const char *ns,
                                        const char *name)
{
    return kube_records_find(&w->records, ns, name);
}

const struct kube_head *kube_watch_next(const struct kube_watch *w, size_t *at)
{
    return kube_records_next(&w->records, at);
}

void kube_watch_stats(const struct kube_watch *w, struct kube_watch_stats *ret)
{
    *ret = w->stats;
    ret->count = w->records.count;
    ret->bytes = w->records.bytes;
    ret->is_synced = w->is_synced;
}
