#include "agent/job_log_push.h"

#include "agent/after.h"
#include "agent/agent.h"
#include "agent/link.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/failpoint.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/backoff.h"
#include "node/job_log.h"

#include <errno.h>
#include <string.h>
#include <sys/inotify.h>

#define GATHER_MS  40           /* between two pushes of one log: 25 calls a second at most */
#define PIECE      (256 * 1024) /* of one push */
#define CALLS_MOST 8            /* pushes under way at once, so that a crowd does not flood */

struct log_pushes {
    struct agent *agent;
    int inotify;
    struct watch_fd *watch;
    struct after *timer;
    int64_t timer_ms; /* mono: when it fires */
    int calls;
};

static void push(struct attempt *a);

/* ---- time ---- */

static void push_all(struct log_pushes *p)
{
    for (struct attempt *a = p->agent->attempts, *next; a; a = next) {
        next = a->next;
        push(a);
    }
}

static void on_time(void *arg)
{
    struct log_pushes *p = arg;
    p->timer = NULL;
    push_all(p);
}

static void wake_at(struct log_pushes *p, int64_t mono_ms)
{
    if (p->timer && p->timer_ms <= mono_ms)
        return;
    after_cancel(p->timer);
    p->timer_ms = mono_ms;
    p->timer = after_start(p->agent->loop, mono_ms - clock_mono_ms(), on_time, p);
}

/* ---- pushing ---- */

/* Where the other side wants us to go on; -1: no usable answer. */
static int64_t read_next(const struct http_reply *reply)
{
    auto_json json_t *tree = NULL;
    if (json_parse(reply->body, reply->len, &tree, NULL) < 0)
        return -1;
    const json_t *next = json_object_get(tree, "next");
    return json_is_integer(next) && json_integer_value(next) >= 0 ? json_integer_value(next) : -1;
}

static void finish(struct attempt *a)
{
    struct job_log_push *l = &a->log;
    l->is_done = true;
    if (l->watch >= 0)
        inotify_rm_watch(a->agent->logs->inotify, l->watch);
    l->watch = -1;
    forget_if_done(a);
}

static void on_pushed(void *arg, const struct http_reply *reply)
{
    struct attempt *a = arg;
    struct job_log_push *l = &a->log;
    struct log_pushes *p = a->agent->logs;
    struct err e = {0};
    l->call = NULL;
    p->calls--;
    int64_t next = http_reply_check(reply, &e) == 0 ? read_next(reply) : -1;
    if (next >= 0) {
        l->failures = 0;
        l->is_asked = true;
        if (l->sends_end) {
            finish(a);
            return;
        }
        l->offset = next;
        push(a);
        return;
    }
    if (reply->status == 409 || reply->status == 404 || reply->status == 410) {
        /* It has ended there, or nobody there knows it any more. */
        finish(a);
        return;
    }
    /* What arrived of it is not known: ask before going on. */
    l->is_asked = false;
    l->failures++;
    l->has_more = true;
    l->not_before_ms = clock_mono_ms() + backoff_ms(l->failures, 200, 10000, random_u64());
    wake_at(p, l->not_before_ms);
}

static void send_piece(struct attempt *a, const char *bytes, size_t len, bool end)
{
    struct job_log_push *l = &a->log;
    char path[160];
    snprintf(path, sizeof path, "/agent/v1/logs/%lld/%lld?offset=%lld%s", (long long)a->job,
             (long long)a->n, (long long)l->offset, end ? "&end=true" : "");
    const struct link_call call = {.method = HTTP_POST,
                                   .path = path,
                                   .type = "application/octet-stream",
                                   .body = bytes,
                                   .len = len,
                                   .timeout_ms = 30000};
    l->sends_end = end;
    l->not_before_ms = clock_mono_ms() + GATHER_MS;
    a->agent->counts.log_bytes += (int64_t)len;
    a->agent->logs->calls++;
    l->call = link_send(a->agent->link, &call, on_pushed, a);
}

/* False: its log is not to be looked at now. */
static bool may_push(struct attempt *a)
{
    struct job_log_push *l = &a->log;
    struct log_pushes *p = a->agent->logs;
    if (l->is_done || l->call || !a->folder || !link_is_up(a->agent->link))
        return false;
    if (!l->has_more && !attempt_is_over(a))
        return false;
    int64_t now_ms = clock_mono_ms();
    if (l->not_before_ms > now_ms && (l->failures || !attempt_is_over(a))) {
        wake_at(p, l->not_before_ms);
        return false;
    }
    if (p->calls >= CALLS_MOST) {
        wake_at(p, now_ms + GATHER_MS);
        return false;
    }
    return true;
}

static void push(struct attempt *a)
{
    struct job_log_push *l = &a->log;
    if (!may_push(a))
        return;
    if (!l->is_asked) {
        send_piece(a, NULL, 0, false);
        return;
    }
    /* Over means that the shim is gone: what is read from now on is all there will be. */
    bool over = attempt_is_over(a);
    int64_t next = 0, gap = 0;
    size_t len = 0;
    struct err e = {0};
    l->has_more = false;
    int64_t end = 0;
    size_t room = PIECE;
    if (job_log_end(a->folder, &end, &e) == 0 && end >= l->offset && end - l->offset < PIECE)
        room = (size_t)(end - l->offset) + 1;
    auto_free char *buf = mem_alloc(1, room);
    if (job_log_read(a->folder, l->offset, buf, room, &len, &next, &gap, &e) < 0) {
        log_warn("the log of a job cannot be read, trying again", F_INT("job", a->job), F_ERR(&e));
        l->failures++;
        l->has_more = true;
        l->not_before_ms = clock_mono_ms() + backoff_ms(l->failures, 200, 10000, random_u64());
        wake_at(a->agent->logs, l->not_before_ms);
        return;
    }
    if (gap)
        l->offset = next - (int64_t)len;
    l->has_more = len > 0; /* a read may stop at the end of one file of several */
    if (len || over)
        send_piece(a, buf, len, over && !len);
}

/* ---- what happens in folders ---- */

static void on_progress(struct attempt *a)
{
    struct progress now;
    if (!progress_read(a->folder, &now) ||
        (now.done == a->progress.done && now.total == a->progress.total))
        return;
    a->progress = now;
    a->tell_progress = true;
    link_wake(a->agent->link);
}

static void take_event(struct log_pushes *p, const struct inotify_event *ev)
{
    for (struct attempt *a = p->agent->attempts; a; a = a->next) {
        if (ev->mask & IN_Q_OVERFLOW)
            a->log.has_more = true;
        else if (a->log.watch != ev->wd)
            continue;
        else if (ev->mask & IN_IGNORED)
            a->log.watch = -1;
        else if (ev->len && strncmp(ev->name, "log.", 4) == 0)
            a->log.has_more = true;
        else if (ev->len && strcmp(ev->name, "progress") == 0)
            on_progress(a);
    }
}

static void on_inotify(void *arg)
{
    struct log_pushes *p = arg;
    char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    for (ssize_t len; (len = read(p->inotify, buf, sizeof buf)) > 0;)
        for (const char *at = buf; at < buf + len;) {
            const struct inotify_event *ev = (const void *)at;
            take_event(p, ev);
            at += sizeof *ev + ev->len;
        }
    push_all(p);
}

/* ---- the outside ---- */

int log_pushes_start(struct agent *agent, struct log_pushes **ret, struct err *e)
{
    struct log_pushes *p = mem_new(struct log_pushes);
    p->agent = agent;
    p->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (p->inotify < 0) {
        err_sys(e, errno, "could not watch the logs of jobs");
        free(p);
        return -1;
    }
    p->watch = watch_fd_start(agent->loop, p->inotify, on_inotify, p);
    *ret = p;
    return 0;
}

void log_pushes_stop(struct log_pushes *p)
{
    if (!p)
        return;
    after_cancel(p->timer);
    watch_fd_stop(p->watch);
    close(p->inotify);
    free(p);
}

void log_push_begin(struct attempt *a, bool fresh)
{
    struct log_pushes *p = a->agent->logs;
    a->log.is_asked = fresh;
    a->log.has_more = true;
    a->log.watch = inotify_add_watch(p->inotify, a->folder, IN_MODIFY | IN_CREATE | IN_MOVED_TO);
    if (a->log.watch < 0)
        log_warn("the log of a job cannot be watched, its output comes at its end",
                 F_INT("job", a->job));
    on_progress(a);
}

void log_push_kick(struct attempt *a)
{
    a->log.has_more = true;
    push(a);
}

void log_push_kick_all(struct agent *agent)
{
    for (struct attempt *a = agent->attempts, *next; a; a = next) {
        next = a->next;
        a->log.failures = 0;
        a->log.not_before_ms = 0;
        log_push_kick(a);
    }
}

void log_push_end(struct attempt *a)
{
    struct log_pushes *p = a->agent->logs;
    if (a->log.call) {
        http_call_cancel(TAKE(a->log.call));
        p->calls--;
    }
    if (a->log.watch >= 0)
        inotify_rm_watch(p->inotify, a->log.watch);
    a->log.watch = -1;
    a->log.is_done = true;
}
