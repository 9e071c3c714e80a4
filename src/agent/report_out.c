#include "agent/report_out.h"

#include "agent/after.h"
#include "agent/aside.h"
#include "agent/link.h"
#include "agent/pods.h"
#include "agent/report.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/failpoint.h"
#include "base/mem.h"
#include "net/backoff.h"

#include <string.h>

#define PROGRESS_MS   500 /* between two words about one job's progress */
#define ATTEMPTS_MOST 2000
#define CHECKS_MOST   1024 /* answers of the gate in one report */
#define METERS_MOST   4096
#define RESULTS_MOST  (400 * 1024) /* bytes of results in one report */

void report_out_init(struct report_out *r, struct agent *agent, bool (*may_send)(void *arg),
                     void (*on_done)(void *arg, const struct http_reply *reply, bool was_hello),
                     void *arg)
{
    *r = (struct report_out){.agent = agent, .may_send = may_send, .on_done = on_done, .arg = arg};
}

void report_out_done(struct report_out *r)
{
    after_cancel(TAKE(r->timer));
    if (r->call)
        http_call_cancel(TAKE(r->call));
}

/* ---- gathering ---- */

/* What one report holds, as long as it is written. */
struct gathered {
    const struct device_view *devices[GPU_MAX_DEVICES];
    struct report_attempt *attempts;
    struct report_progress *progress;
    struct report_meter *meters;
    size_t device_count, attempt_count, progress_count, meter_count;
    size_t result_bytes;
    int64_t next_progress_ms; /* mono: when the next word about progress is due; 0: none waits */
};

static void add_started(struct gathered *g, struct attempt *a, int64_t now_ms)
{
    g->attempts[g->attempt_count++] =
        (struct report_attempt){.id = a->id,
                                .state = "started",
                                .job = a->job,
                                .n = a->n,
                                .ago_ms = a->started_mono_ms ? now_ms - a->started_mono_ms : 0};
    a->tell_start = false;
    a->sent_start = true;
}

static size_t results_size(const struct attempt *a)
{
    const struct attempt_results *r = &a->results;
    return (r->files ? strlen(r->files) : 0) + (r->metadata ? strlen(r->metadata) : 0);
}

static bool has_room(const struct gathered *g, const struct attempt *a)
{
    return g->result_bytes + results_size(a) <= RESULTS_MOST;
}

static void add_over(struct gathered *g, struct attempt *a, int64_t now_ms)
{
    struct report_attempt *r = &g->attempts[g->attempt_count++];
    *r = (struct report_attempt){.id = a->id,
                                 .state = a->phase == PHASE_ENDED  ? "ended"
                                          : a->phase == PHASE_LOST ? "lost"
                                                                   : "refused",
                                 .job = a->job,
                                 .n = a->n,
                                 .ago_ms = now_ms - a->over_mono_ms,
                                 .outcome = a->outcome,
                                 .exit_code = a->exit_code,
                                 .signal = a->signal,
                                 .run_ms = a->run_ms,
                                 .energy_measured = true,
                                 .why = a->why};
    if (a->phase == PHASE_ENDED && has_room(g, a)) {
        r->results = a->results.files;
        r->metadata = a->results.metadata;
        g->result_bytes += results_size(a);
    }
    for (size_t i = 0; i < a->meter_count && a->folder; i++) {
        r->energy_mj += a->meters[i].total_mj;
        r->energy_measured &= energy_is_measured(&a->meters[i]);
    }
    a->tell_over = false;
    a->sent_over = true;
}

static void gather_attempts(struct report_out *r, struct gathered *g, int64_t now_ms)
{
    size_t count = 0;
    for (struct attempt *a = r->agent->attempts; a; a = a->next)
        count++;
    g->attempts = mem_new_array(struct report_attempt, 2 * count + CHECKS_MOST);
    g->attempt_count = aside_answers(r->agent->aside, g->attempts, CHECKS_MOST);
    g->progress = mem_new_array(struct report_progress, count);
    for (struct attempt *a = r->agent->attempts; a; a = a->next) {
        if (a->phase < PHASE_RUNNING || g->attempt_count >= ATTEMPTS_MOST)
            continue;
        bool over = attempt_is_over(a);
        if (a->tell_start || (r->sends_hello && !over))
            add_started(g, a, now_ms);
        /* A hello names everything, so then results stay behind; else their end waits with them. */
        if (over && (r->sends_hello || (a->tell_over && has_room(g, a))))
            add_over(g, a, now_ms);
        /* Progress is kept in memory only at the other end, which may have begun anew. */
        bool again = r->sends_hello && a->progress.total > 0;
        if (!a->tell_progress && !again)
            continue;
        int64_t due_ms =
            a->progress_told_ms && !over && !again ? a->progress_told_ms + PROGRESS_MS : now_ms;
        if (due_ms > now_ms) {
            if (!g->next_progress_ms || due_ms < g->next_progress_ms)
                g->next_progress_ms = due_ms;
            continue;
        }
        g->progress[g->progress_count++] =
            (struct report_progress){a->job, a->n, a->progress.done, a->progress.total};
        a->tell_progress = false;
        a->sent_progress = true;
        a->progress_told_ms = now_ms;
    }
}

/* Of attempts that run here, and of those that run as pods. */
static void gather_meters(struct report_out *r, struct gathered *g)
{
    if (!r->agent->tell_meters && !r->sends_hello)
        return;
    g->meters = mem_new_array(struct report_meter, METERS_MOST);
    g->meter_count = aside_meters(r->agent->aside, g->meters, METERS_MOST);
    for (const struct attempt *a = r->agent->attempts; a && g->meter_count < METERS_MOST;
         a = a->next) {
        struct report_meter m = {a->job, a->n, 0, true};
        if (a->phase != PHASE_RUNNING || !a->meter_count)
            continue;
        for (size_t i = 0; i < a->meter_count; i++) {
            m.energy_mj += a->meters[i].total_mj;
            m.measured &= energy_is_measured(&a->meters[i]);
        }
        g->meters[g->meter_count++] = m;
    }
    r->agent->tell_meters = false; /* what does not arrive is old soon */
}

static void gather_devices(struct report_out *r, struct gathered *g)
{
    struct devices *d = &r->agent->devices;
    for (size_t i = 0; i < d->count; i++) {
        r->sent_device[i] = d->items[i].tell || r->sends_hello;
        if (!r->sent_device[i])
            continue;
        g->devices[g->device_count++] = &d->items[i];
        device_told(&d->items[i]);
    }
    if (r->sends_hello)
        d->is_new_set = false;
}

static bool gather(struct report_out *r, struct text *body, int64_t *ret_next_progress_ms)
{
    struct agent *agent = r->agent;
    struct gathered g = {0};
    r->sends_hello = r->is_hello_due;
    r->sent_host = agent->tell_host || r->sends_hello;
    gather_attempts(r, &g, clock_mono_ms());
    gather_devices(r, &g);
    gather_meters(r, &g);
    agent->tell_host = false;
    struct report_bound *bound = NULL; /* kilobytes, and rarely wanted */
    size_t bound_count = 0;
    r->sent_bound = agent->tell_bound || (r->sends_hello && pods_are_known(agent->pods));
    if (r->sent_bound) {
        bound = mem_new_array(struct report_bound, GPU_MAX_DEVICES);
        bound_count = pods_bound(agent->pods, bound, GPU_MAX_DEVICES);
    }
    agent->tell_bound = false;

    const struct report_hello hello = {REEVE_VERSION, agent->isolation, agent->capacity.cpu_milli,
                                       agent->capacity.memory_bytes >> 20};
    const struct report report = {.boot_id = agent->boot_id,
                                  .now_ms = clock_wall_ms(),
                                  .data_id = agent->data.id,
                                  .seq = r->seq + 1,
                                  .hello = r->sends_hello ? &hello : NULL,
                                  .host = r->sent_host ? &agent->host_use : NULL,
                                  .host_busy = agent->host_busy.busy || agent->trouble,
                                  .devices = g.devices,
                                  .device_count = g.device_count,
                                  .attempts = g.attempts,
                                  .attempt_count = g.attempt_count,
                                  .progress = g.progress,
                                  .progress_count = g.progress_count,
                                  .meters = g.meters,
                                  .meter_count = g.meter_count,
                                  .bound = bound,
                                  .bound_count = bound_count,
                                  .has_bound = r->sent_bound};
    bool any = !report_is_empty(&report);
    if (any) {
        r->seq++;
        r->is_hello_due = false;
        report_write(&report, body);
    }
    *ret_next_progress_ms = g.next_progress_ms;
    free(g.attempts);
    free(g.progress);
    free(g.meters);
    free(bound);
    return any;
}

/* ---- sending ---- */

static void on_time(void *arg);

static void mark_again(struct report_out *r)
{
    struct agent *agent = r->agent;
    r->is_hello_due |= r->sends_hello;
    agent->tell_host |= r->sent_host;
    agent->tell_bound |= r->sent_bound;
    for (size_t i = 0; i < agent->devices.count; i++)
        agent->devices.items[i].tell |= r->sent_device[i];
    for (struct attempt *a = agent->attempts; a; a = a->next) {
        a->tell_start |= a->sent_start;
        a->tell_over |= a->sent_over;
        a->tell_progress |= a->sent_progress;
        a->sent_start = a->sent_over = a->sent_progress = false;
    }
}

static void mark_arrived(struct report_out *r)
{
    for (struct attempt *a = r->agent->attempts, *next; a; a = next) {
        next = a->next;
        bool over = a->sent_over;
        a->sent_start = a->sent_over = a->sent_progress = false;
        if (!over)
            continue;
        a->over_acked = true;
        if (!a->folder && !a->tell_over)
            attempt_drop(a); /* nothing of it is on disk: nobody has to say "forget" */
    }
}

static void on_sent(void *arg, const struct http_reply *reply)
{
    struct report_out *r = arg;
    struct agent *agent = r->agent;
    bool was_hello = r->sends_hello, arrived = http_reply_check(reply, NULL) == 0;
    r->call = NULL;
    (void)FAILPOINT("agent.before_ack");
    if (arrived) {
        agent->counts.reports++;
        r->failures = 0;
        mark_arrived(r);
        aside_told(agent->aside, true);
    } else {
        agent->counts.report_failures++;
        r->failures++;
        mark_again(r);
        aside_told(agent->aside, false);
    }
    r->on_done(r->arg, reply, was_hello);
    if (arrived || reply->status == 409) {
        report_out_wake(r);
        return;
    }
    after_cancel(r->timer);
    r->timer =
        after_start(agent->loop, backoff_ms(r->failures, 100, 5000, random_u64()), on_time, r);
}

static void send_report(struct report_out *r)
{
    auto_text struct text body = {0};
    int64_t next_progress_ms;
    if (gather(r, &body, &next_progress_ms)) {
        const struct link_call call = {.method = HTTP_POST,
                                       .path = "/agent/v1/reports",
                                       .type = "application/json",
                                       .body = body.data,
                                       .len = body.len,
                                       .timeout_ms = 20000};
        r->call = link_send(r->agent->link, &call, on_sent, r);
    } else if (next_progress_ms && !r->timer) {
        r->timer = after_start(r->agent->loop, next_progress_ms - clock_mono_ms(), on_time, r);
    }
}

static void on_time(void *arg)
{
    struct report_out *r = arg;
    r->timer = NULL;
    if (!r->call && r->may_send(r->arg))
        send_report(r);
}

void report_out_wake(struct report_out *r)
{
    /* While sending fails the timer stands for the next try. */
    if (r->call || (r->timer && r->failures))
        return;
    after_cancel(r->timer);
    r->timer = after_start(r->agent->loop, 0, on_time, r);
}
