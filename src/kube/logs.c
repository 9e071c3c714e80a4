#include "kube/logs.h"

#include "base/clock.h"
#include "base/mem.h"
#include "kube/timestamp.h"

#include <assert.h>

/* A quiet job is quiet for hours; a peer that is gone is found by the kernel's probes. */
enum { MOST_TIME = 40, MOST_TRIES = 12 };

struct kube_log {
    struct kube_client *client;
    const struct kube_log_ops *ops;
    void *arg;
    char *target; /* without what is about where to begin */
    bool follow, wants_no_more;
    struct kube_log_position at;

    /* Of the connection under way. */
    char time[MOST_TIME]; /* of the line being read, as far as it came */
    size_t time_len;
    bool in_text;    /* behind the line's time */
    bool skips_line; /* the line was there already */
    int64_t line_second;
    uint64_t skip_lines; /* of second AT.SECOND that were there already */
    uint64_t skip_bytes; /* of the line behind them */
    struct err why;
    unsigned failures;
    struct kube_call *call; /* NULL: waiting */
    uv_timer_t timer;
};

static bool give(struct kube_log *l, const char *p, size_t len)
{
    l->failures = 0;
    if (l->ops->on_bytes(l->arg, p, len, &l->at))
        return true;
    l->wants_no_more = true;
    return false;
}

/* The time of a line is whole: what to do with its text. */
static int begin_line(struct kube_log *l)
{
    int64_t ms;
    if (!kube_time(l->time, l->time_len, &ms))
        return err_set(&l->why, ERR_INVALID, "a line of the log does not begin with its time");
    l->in_text = true;
    l->line_second = ms / 1000;
    l->skips_line = false;
    if (l->line_second > l->at.second) {
        l->skip_lines = l->skip_bytes = 0; /* what was to be skipped is gone */
        l->at = (struct kube_log_position){.second = l->line_second};
    } else if (l->skip_lines) {
        l->skip_lines--;
        l->skips_line = true;
    }
    return 0;
}

/* The text of a line, up to its end when ENDS. What is new of it is given with the line break. */
static int take_text(struct kube_log *l, const char *p, size_t len, bool ends)
{
    if (!l->skips_line) {
        size_t skip = len < l->skip_bytes ? len : (size_t)l->skip_bytes;
        l->skip_bytes -= skip;
        l->at.in_line += len - skip;
        if (ends) {
            l->at.lines++;
            l->at.in_line = 0;
            l->skip_bytes = 0;
        }
        if (len + ends - skip && !give(l, p + skip, len + ends - skip))
            return -1;
    }
    if (ends) {
        l->in_text = false;
        l->time_len = 0;
    }
    return 0;
}

static int take(struct kube_log *l, const char *p, const char *end)
{
    while (p < end) {
        if (!l->in_text) {
            char c = *p++;
            if (c == ' ') {
                if (begin_line(l) < 0)
                    return -1;
            } else if (c == '\n' && !l->time_len) {
                continue;
            } else if (c == '\n' || l->time_len == MOST_TIME) {
                return err_set(&l->why, ERR_INVALID,
                               "a line of the log does not begin with its time");
            } else {
                l->time[l->time_len++] = c;
            }
            continue;
        }
        const char *line_end = memchr(p, '\n', (size_t)(end - p));
        const char *stop = line_end ? line_end : end;
        if (take_text(l, p, (size_t)(stop - p), line_end) < 0)
            return -1;
        p = line_end ? line_end + 1 : end;
    }
    return 0;
}

static bool on_data(void *arg, const char *bytes, size_t len)
{
    struct kube_log *l = arg;
    return take(l, bytes, bytes + len) == 0;
}

static void on_done(void *arg, const struct kube_answer *a);

static void ask(struct kube_log *l)
{
    auto_text struct text target = {0};
    char time[KUBE_TIME_SIZE];
    text_add(&target, l->target);
    if (l->at.second)
        kube_query(&target, "sinceTime", kube_time_format(l->at.second * 1000, time));
    l->time_len = 0;
    l->in_text = false;
    l->skip_lines = l->at.lines;
    l->skip_bytes = l->at.in_line;
    l->why = (struct err){0};
    l->call = kube_send(l->client,
                        &(struct kube_request){.target = text_get(&target),
                                               .accept = "text/plain, application/json, */*",
                                               .on_data = on_data},
                        on_done, l);
}

static void on_timer(uv_timer_t *timer)
{
    ask(timer->data);
}

static void on_closed(uv_handle_t *handle)
{
    struct kube_log *l = handle->data;
    free(l->target);
    free(l);
}

static void finish(struct kube_log *l, const struct kube_answer *a)
{
    l->ops->on_end(l->arg, &l->at, a);
    uv_close((uv_handle_t *)&l->timer, on_closed);
}

static bool may_pass(const struct kube_answer *a)
{
    return a->err.code == ERR_UNAVAILABLE || a->err.code == ERR_TIMEOUT ||
           a->err.code == ERR_EXHAUSTED;
}

static void on_done(void *arg, const struct kube_answer *answer)
{
    struct kube_log *l = arg;
    struct kube_answer a = *answer;
    l->call = NULL;
    if (l->why.code)
        a.err = l->why;
    if (l->wants_no_more || !may_pass(&a) || ++l->failures > MOST_TRIES) {
        finish(l, &a);
        return;
    }
    int64_t wait_ms = kube_client_pause_ms(l->client, l->failures);
    if (a.status.retry_after_seconds * 1000 > wait_ms)
        wait_ms = a.status.retry_after_seconds * 1000;
    uv_timer_start(&l->timer, on_timer, (uint64_t)wait_ms, 0);
}

struct kube_log *kube_log_start(struct kube_client *c, const struct kube_log_request *r,
                                const struct kube_log_ops *ops, void *arg)
{
    struct kube_log *l = mem_new(struct kube_log);
    struct text target = {0};
    l->client = c;
    l->ops = ops;
    l->arg = arg;
    l->follow = r->follow;
    l->at = r->from;
    kube_path(&target, &(struct kube_resource_name){"", "v1", "pods"}, r->ns, r->pod, "log");
    kube_query(&target, "timestamps", "true");
    kube_query(&target, "container", r->container);
    kube_query(&target, "follow", r->follow ? "true" : NULL);
    kube_query(&target, "previous", r->previous ? "true" : NULL);
    if (r->limit_bytes)
        kube_query_int(&target, "limitBytes", r->limit_bytes);
    l->target = text_take(&target);
    uv_timer_init(kube_client_loop(c), &l->timer);
    l->timer.data = l;
    ask(l);
    return l;
}

void kube_log_stop(struct kube_log *l)
{
    if (l->call)
        kube_cancel(l->call);
    uv_close((uv_handle_t *)&l->timer, on_closed);
}
