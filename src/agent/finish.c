/* The end of an attempt: what its folder says, its last energy reading, and the way out. */
#include "agent/after.h"
#include "agent/agent.h"
#include "agent/link.h"
#include "agent/sampler.h"
#include "agent/trouble.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#include <string.h>

#define LAST_LOOK_MS   500   /* an end waits so long for a last reading of the counters */
#define CLEAN_MS       10000 /* so long a worker tries to end what a lost attempt left */
#define CLEAN_AGAIN_MS 5000

/* ---- over ---- */

static void release_devices(struct attempt *a)
{
    for (char **d = a->devices; *d; d++)
        devices_hold(&a->agent->devices, *d, false, clock_boot_ms());
}

static void is_over(struct attempt *a, enum attempt_phase phase)
{
    a->phase = phase;
    if (!a->over_mono_ms)
        a->over_mono_ms = clock_mono_ms();
    a->tell_over = true;
    /* Its last word is told with its end; it may have come after our last look. */
    struct progress last;
    if (a->folder && progress_read(a->folder, &last) &&
        (last.done != a->progress.done || last.total != a->progress.total)) {
        a->progress = last;
        a->tell_progress = true;
    }
    release_devices(a);
    sampler_touch(a->agent->sampler);
    link_wake(a->agent->link);
    log_push_kick(a);
    const char *word = phase == PHASE_LOST ? "lost" : a->outcome;
    log_info("job is over", F_INT("job", a->job), F_INT("attempt", a->n), F_TEXT("outcome", word),
             F_INT("exit_code", a->exit_code), F_INT("run_ms", a->run_ms), F_TEXT("why", a->why));
}

void finish_unstarted(struct attempt *a, enum attempt_phase phase, const char *outcome,
                      const char *why)
{
    bool held = a->phase == PHASE_STARTING;
    a->phase = phase;
    a->over_mono_ms = clock_mono_ms();
    a->outcome = outcome;
    a->exit_code = -1;
    if (why != a->why)
        snprintf(a->why, sizeof a->why, "%.255s", why);
    a->tell_over = true;
    a->log.is_done = true;
    if (held)
        release_devices(a);
    link_wake(a->agent->link);
}

/* ---- the last reading ---- */

static void settle_energy(struct attempt *a)
{
    for (size_t i = 0; i < a->meter_count; i++)
        energy_meter_end(&a->meters[i], clock_boot_ms(), sampler_interval_ms(a->agent->sampler));
    is_over(a, PHASE_ENDED);
}

static void on_last_look_late(void *arg)
{
    struct attempt *a = arg;
    a->last_look_timer = NULL;
    a->last_look->attempt = NULL;
    a->last_look = NULL;
    settle_energy(a);
}

static void on_last_look(void *arg, const struct gpu_report *report, const struct err *e)
{
    struct last_look *look = arg;
    struct attempt *a = look->attempt;
    (void)report, (void)e; /* the sampler has fed the meters */
    free(look);
    if (!a)
        return;
    a->last_look = NULL;
    after_cancel(TAKE(a->last_look_timer));
    if (!a->agent->is_stopping)
        settle_energy(a);
}

static void take_last_look(struct attempt *a)
{
    a->phase = PHASE_ENDING;
    if (!a->meter_count) {
        is_over(a, PHASE_ENDED);
        return;
    }
    a->last_look = mem_new(struct last_look);
    a->last_look->attempt = a;
    a->last_look_timer = after_start(a->agent->loop, LAST_LOOK_MS, on_last_look_late, a);
    sampler_fresh(a->agent->sampler, on_last_look, a->last_look);
}

/* ---- a shim that died ---- */

struct cleaning {
    struct attempt *attempt;
    char *folder, id[ATTEMPT_ID_SIZE];
    size_t count;
    int rc;
    struct err err;
};

static void clean(void *arg);

static void run_cleaning(void *state, void *job)
{
    struct cleaning *c = job;
    (void)state;
    c->rc = attempt_kill_leftovers(c->folder, c->id, CLEAN_MS, &c->count, &c->err);
}

static void on_clean_again(void *arg)
{
    struct attempt *a = arg;
    a->clean_timer = NULL;
    clean(a);
}

static void on_cleaned(void *job)
{
    struct cleaning *c = job;
    struct attempt *a = c->attempt;
    a->is_cleaning = false;
    if (a->agent->is_stopping) {
        /* The next agent goes on with it. */
    } else if (c->rc < 0 && c->err.code == ERR_CONFLICT) {
        finish_by_folder(a);
    } else if (c->rc < 0) {
        log_warn("what a lost job left does not end, its devices stay taken", F_INT("job", a->job),
                 F_ERR(&c->err));
        a->clean_timer = after_start(a->agent->loop, CLEAN_AGAIN_MS, on_clean_again, a);
    } else {
        a->agent->counts.lost++;
        is_over(a, PHASE_LOST);
    }
    free(c->folder);
    free(c);
}

static void clean(void *arg)
{
    struct attempt *a = arg;
    struct cleaning *c = mem_new(struct cleaning);
    c->attempt = a;
    c->folder = mem_strdup(a->folder);
    memcpy(c->id, a->id, sizeof c->id);
    if (workers_submit(a->agent->workers, run_cleaning, on_cleaned, a->agent->box, c)) {
        a->is_cleaning = true;
        return;
    }
    free(c->folder);
    free(c);
    a->clean_timer = after_start(a->agent->loop, CLEAN_AGAIN_MS, on_clean_again, a);
}

static void take_lost(struct attempt *a, const struct attempt_status *st)
{
    a->phase = PHASE_CLEANING;
    if (st->has_started && st->started.wall_ms > 0) {
        int64_t ran = clock_wall_ms() - st->started.wall_ms;
        a->run_ms = ran > 0 ? ran : 0;
    }
    if (!st->same_boot) {
        snprintf(a->why, sizeof a->why, "the machine was restarted while it ran");
        a->agent->counts.lost++;
        is_over(a, PHASE_LOST);
        return;
    }
    snprintf(a->why, sizeof a->why, "its shim died while it ran: how it ended is not known%s%s",
             st->note[0] ? "; " : "", st->note);
    clean(a);
}

/* ---- by the folder ---- */

static const char *outcome_word(const struct attempt_exit *x)
{
    switch (x->cause) {
    case ATTEMPT_EXITED:
        return x->status == 0 ? "completed" : "failed";
    case ATTEMPT_SIGNALLED:
        return "signalled";
    case ATTEMPT_START_FAILED:
        return "not-started";
    case ATTEMPT_TIME_LIMIT:
        return "time-limit";
    case ATTEMPT_CANCELLED:
        return "cancelled";
    case ATTEMPT_OUT_OF_MEMORY:
        return "out-of-memory";
    case ATTEMPT_SHUT_DOWN:
    case ATTEMPT_CAUSE_COUNT:
        break;
    }
    return "";
}

static void take_end(struct attempt *a, const struct attempt_exit *x)
{
    a->outcome = outcome_word(x);
    a->exit_code = x->status;
    a->signal = x->signal;
    a->run_ms = x->run_ms > 0 ? x->run_ms : 0;
    snprintf(a->why, sizeof a->why, "%.255s", x->reason);
    int64_t ago_ms = clock_wall_ms() - x->end_ms;
    a->over_mono_ms = clock_mono_ms() - (x->end_ms > 0 && ago_ms > 0 ? ago_ms : 0);
    usage_keep(a, x->user_us + x->system_us);
    attempt_results_done(&a->results);
    attempt_results_read(a->folder, x->result, &a->results);
    if (x->cause == ATTEMPT_SHUT_DOWN) {
        is_over(a, PHASE_LOST); /* not the job's doing: it may be tried again */
        return;
    }
    take_last_look(a);
}

static void adopt_shim(struct attempt *a)
{
    struct err e = {0};
    shim_process_done(&a->shim);
    a->shim = SHIM_PROCESS_NONE;
    if (shim_adopt(a->folder, &a->shim, &e) == 0) {
        if (a->phase != PHASE_RUNNING) {
            a->phase = PHASE_RUNNING;
            a->tell_start = true;
        }
        follow_shim(a);
        return;
    }
    /* It ended in between, or cannot be followed: look again soon. */
    if (e.code != ERR_NOT_FOUND)
        log_warn("a running job cannot be followed, trying again", F_INT("job", a->job), F_ERR(&e));
    a->phase = PHASE_RUNNING;
    a->clean_timer =
        after_start(a->agent->loop, e.code == ERR_NOT_FOUND ? 0 : 1000, finish_by_folder_later, a);
}

void finish_by_folder_later(void *arg)
{
    struct attempt *a = arg;
    a->clean_timer = NULL;
    finish_by_folder(a);
}

void finish_by_folder(struct attempt *a)
{
    struct err e = {0};
    auto_attempt_status struct attempt_status st = {0};
    if (attempt_state(a->folder, &st, &e) < 0) {
        log_error("the state of a job cannot be read, trying again", F_INT("job", a->job),
                  F_ERR(&e));
        a->clean_timer = after_start(a->agent->loop, 1000, finish_by_folder_later, a);
        return;
    }
    switch (st.state) {
    case ATTEMPT_RUNNING:
        adopt_shim(a);
        break;
    case ATTEMPT_ENDED:
        take_end(a, &st.end);
        break;
    case ATTEMPT_LOST:
        take_lost(a, &st);
        break;
    case ATTEMPT_NEVER_STARTED:
        file_remove_tree(a->folder, NULL);
        log_push_end(a);
        free(TAKE(a->folder));
        finish_unstarted(a, PHASE_REFUSED, "",
                         a->why[0] ? a->why : "its shim ended before it started anything");
        a->agent->counts.refusals++;
        trouble_note(a->agent);
        log_warn("job did not start", F_INT("job", a->job), F_INT("attempt", a->n),
                 F_TEXT("why", a->why));
        break;
    }
}

/* ---- a shim that runs ---- */

static void on_shim_ended(void *arg)
{
    struct attempt *a = arg;
    struct err e = {0};
    /* Its last word may still lie in the socket. */
    if (a->shim.socket >= 0 && shim_news(&a->shim, &e) == SHIM_STARTED) {
        a->started_mono_ms = clock_mono_ms();
        a->tell_start = true;
        a->agent->counts.starts++;
    } else if (e.code) {
        snprintf(a->why, sizeof a->why, "%.255s", e.text);
    }
    watch_fd_stop(TAKE(a->news_watch));
    watch_fd_stop(TAKE(a->shim_watch));
    start_free(TAKE(a->start));
    shim_reap(&a->shim);
    shim_process_done(&a->shim);
    a->shim = SHIM_PROCESS_NONE;
    (void)FAILPOINT("agent.before_end");
    finish_by_folder(a);
}

void follow_shim(struct attempt *a)
{
    a->shim_watch = watch_fd_start(a->agent->loop, a->shim.pidfd, on_shim_ended, a);
    if (!a->shim_watch) {
        log_error("a shim cannot be watched, looking at its folder instead", F_INT("job", a->job));
        a->clean_timer = after_start(a->agent->loop, 1000, finish_by_folder_later, a);
    }
}

/* ---- gone ---- */

struct removal {
    struct attempt *attempt;
    struct tombstones *tombstones;
    char *folder, id[ATTEMPT_ID_SIZE];
    struct err err;
};

static void run_removal(void *state, void *job)
{
    struct removal *r = job;
    (void)state;
    /* The note first: a start that comes late must never find nothing at all. */
    if (tombstone_add(r->tombstones, r->id, TOMBSTONE_FORGOTTEN, &r->err) < 0)
        return;
    if (!FAILPOINT("agent.before_remove"))
        file_remove_tree(r->folder, &r->err);
}

static void on_removed(void *job)
{
    struct removal *r = job;
    if (r->err.code)
        log_warn("the folder of a job that is over stays", F_TEXT("folder", r->folder),
                 F_ERR(&r->err));
    attempt_drop(r->attempt);
    free(r->folder);
    free(r);
}

void forget_if_done(struct attempt *a)
{
    if (!a->forget_asked || !a->log.is_done || a->is_removing || !attempt_is_over(a))
        return;
    if (!a->folder) {
        attempt_drop(a);
        return;
    }
    struct removal *r = mem_new(struct removal);
    r->attempt = a;
    r->tombstones = a->agent->data.tombstones;
    r->folder = mem_strdup(a->folder);
    memcpy(r->id, a->id, sizeof r->id);
    a->is_removing = workers_submit(a->agent->workers, run_removal, on_removed, a->agent->box, r);
    if (!a->is_removing) {
        /* The control plane says it again when it next hears of this attempt. */
        free(r->folder);
        free(r);
    }
}

void forget_attempt(struct attempt *a)
{
    a->forget_asked = true;
    forget_if_done(a);
}
