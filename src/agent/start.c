/*
 * From a start command to a running shim: is it for us, is it new, is the node free at this very
 * moment, under which account; then the shim makes it durable and runs it.
 */
#include "agent/after.h"
#include "agent/agent.h"
#include "agent/command.h"
#include "agent/job_spec.h"
#include "agent/link.h"
#include "agent/sampler.h"
#include "agent/trouble.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"

#include <pthread.h>
#include <string.h>

#define TRIES        3
#define TRY_AGAIN_MS 250  /* after a reading that may still show what has just ended */
#define NO_WORD_MS   1000 /* after a reading that could not be had at once */

struct start {
    struct attempt *attempt; /* NULL: given up; the callback that is due frees this */
    struct agent *agent;
    struct command command;
    int tries;
    bool is_awaited;     /* a callback is due */
    struct after *timer; /* to the next try */
    struct account account;
    bool has_account;
    struct err account_err;
};

static void dispose(struct start *s)
{
    command_done(&s->command);
    account_done(&s->account);
    free(s);
}

void start_free(struct start *s)
{
    if (!s)
        return;
    after_cancel(TAKE(s->timer));
    s->attempt = NULL;
    if (!s->is_awaited)
        dispose(s);
}

/* ---- ways out without a start ---- */

static void give_up(struct start *s, enum attempt_phase phase, const char *outcome, const char *why)
{
    struct attempt *a = s->attempt;
    if (phase == PHASE_REFUSED) {
        a->agent->counts.refusals++;
        a->agent->tell_host = true;
        for (char **d = a->devices; *d; d++) {
            struct device_view *v = devices_find(&a->agent->devices, *d);
            if (v)
                v->tell = true;
        }
        log_info("job refused", F_INT("job", a->job), F_INT("attempt", a->n), F_TEXT("why", why));
    }
    a->start = NULL;
    start_free(s);
    finish_unstarted(a, phase, outcome, why);
}

static bool was_cancelled(struct start *s)
{
    if (!s->attempt->cancel_asked)
        return false;
    give_up(s, PHASE_ENDED, "cancelled", s->attempt->cancel_why);
    return true;
}

/* ---- the shim ---- */

static void on_news(void *arg)
{
    struct attempt *a = arg;
    struct err e = {0};
    enum shim_news news = shim_news(&a->shim, &e);
    if (news == SHIM_PENDING)
        return;
    watch_fd_stop(TAKE(a->news_watch));
    start_free(TAKE(a->start));
    if (news == SHIM_FAILED) {
        /* Its pidfd says when it is gone, and its folder what it left. */
        snprintf(a->why, sizeof a->why, "%.255s", e.text);
        return;
    }
    a->phase = PHASE_RUNNING;
    a->started_mono_ms = clock_mono_ms();
    a->tell_start = true;
    a->agent->counts.starts++;
    log_info("job started", F_INT("job", a->job), F_INT("attempt", a->n), F_TEXT("name", a->name));
    trouble_over(a->agent);
    sampler_touch(a->agent->sampler);
    link_wake(a->agent->link);
    log_push_kick(a);
    if (a->cancel_asked)
        shim_cancel(a->folder, a->cancel_why, NULL);
}

static int make_spec(struct start *s, struct attempt_spec *ret, struct err *e)
{
    struct agent *agent = s->agent;
    const struct job_spec_place place = {agent->results, s->has_account ? &s->account : NULL,
                                         &agent->cgroup, agent->options.grace_ms};
    if (job_spec_make(&s->command, &place, ret, e) < 0)
        return -1;
    if (ret->progress_pattern && progress_check_pattern(ret->progress_pattern, e) < 0)
        return err_wrap(e, "progress");
    return 0;
}

static void launch(struct start *s)
{
    struct attempt *a = s->attempt;
    struct agent *agent = s->agent;
    struct err e = {0};
    auto_attempt_spec struct attempt_spec spec = {0};
    if (make_spec(s, &spec, &e) < 0) {
        give_up(s, PHASE_ENDED, "not-started", e.text);
        return;
    }
    if (strcmp(agent->isolation, "none") == 0 &&
        data_folder_claim(&agent->data, s->command.user, &e) < 0) {
        trouble_note(agent);
        give_up(s, PHASE_REFUSED, "", e.text);
        return;
    }
    a->folder = mem_printf("%s/%s", agent->data.attempts, a->name);
    int rc = FAILPOINT("agent.before_start")
                 ? err_set(&e, ERR_UNAVAILABLE, "failpoint agent.before_start")
                 : shim_start(agent->shim_program, agent->nursery, a->folder, &spec, &a->shim, &e);
    if (rc < 0 && e.code == ERR_CONFLICT) {
        /* An earlier agent got this far and died before it could see what became of it. */
        a->start = NULL;
        start_free(s);
        finish_by_folder(a);
        return;
    }
    if (rc < 0) {
        free(TAKE(a->folder));
        trouble_note(agent);
        give_up(s, PHASE_REFUSED, "", e.text);
        return;
    }
    (void)FAILPOINT("agent.after_start");
    log_push_begin(a, true);
    sampler_begin_meters(agent->sampler, a);
    follow_shim(a);
    a->news_watch = watch_fd_start(agent->loop, a->shim.socket, on_news, a);
}

/* ---- the account ---- */

/* A worker's; account maps belong to one thread at a time. */
static pthread_mutex_t account_lock = PTHREAD_MUTEX_INITIALIZER;

struct account_job {
    struct start *start;
    struct account_map *map;
    char *user;
    struct account account;
    int rc;
    struct err err;
};

static void find_account(void *state, void *job)
{
    struct account_job *j = job;
    (void)state;
    pthread_mutex_lock(&account_lock);
    j->rc = account_find_recent(j->map, j->user, clock_mono_ms(), &j->account, &j->err);
    pthread_mutex_unlock(&account_lock);
}

static void on_account(void *job)
{
    struct account_job *j = job;
    struct start *s = j->start;
    s->is_awaited = false;
    if (j->rc == 0) {
        s->account = j->account;
        s->has_account = true;
    }
    struct err e = j->err;
    bool failed = j->rc < 0;
    free(j->user);
    free(j);

    if (!s->attempt)
        dispose(s);
    else if (was_cancelled(s))
        return;
    else if (failed && e.code == ERR_DENIED)
        give_up(s, PHASE_ENDED, "not-started", e.text);
    else if (failed) {
        trouble_note(s->agent);
        give_up(s, PHASE_REFUSED, "", e.text);
    } else
        launch(s);
}

static void gate_is_open(struct start *s)
{
    struct agent *agent = s->agent;
    s->attempt->phase = PHASE_STARTING; /* from now on it holds its devices */
    for (char **d = s->attempt->devices; *d; d++)
        devices_hold(&agent->devices, *d, true, 0);
    if (!agent->accounts) {
        launch(s);
        return;
    }
    struct account_job *j = mem_new(struct account_job);
    j->start = s;
    j->map = agent->accounts;
    j->user = mem_strdup(s->command.user);
    s->is_awaited = true;
    if (!workers_submit(agent->workers, find_account, on_account, agent->box, j)) {
        s->is_awaited = false;
        free(j->user);
        free(j);
        give_up(s, PHASE_REFUSED, "", "too much waits to be done on this node");
    }
}

/* ---- the gate ---- */

static void ask(void *arg);

/* False: one of the devices is not free, and WHY says so. */
static bool devices_are_free(struct start *s, char *why, size_t room, bool *ret_again)
{
    struct agent *agent = s->agent;
    for (char **d = s->attempt->devices; *d; d++) {
        char reason[GATE_WHY_SIZE];
        struct device_view *v = devices_find(&agent->devices, *d);
        struct attempt *holder = attempt_holding(agent, *d);
        if (!v) {
            snprintf(why, room, "this node has no device %s", *d);
            return false;
        }
        if (holder) {
            snprintf(why, room, "device %s is held by job %lld", *d, (long long)holder->job);
            return false;
        }
        if (!device_may_start(v, &agent->gate, s->command.gpu_memory_mib, reason)) {
            snprintf(why, room, "device %s is not free: %s", *d, reason);
            *ret_again = v->ours_until_ms && v->boot_ms - v->ours_until_ms < 2000;
            return false;
        }
    }
    return true;
}

static void try_again(struct start *s, int64_t ms, const char *why)
{
    if (++s->tries >= TRIES)
        give_up(s, PHASE_REFUSED, "", why);
    else
        s->timer = after_start(s->agent->loop, ms, ask, s);
}

static void judge(struct start *s)
{
    char why[256], reason[GATE_WHY_SIZE];
    bool again = false;
    if (FAILPOINT("agent.gate")) {
        give_up(s, PHASE_REFUSED, "", "failpoint agent.gate");
        return;
    }
    if (!devices_are_free(s, why, sizeof why, &again)) {
        if (again)
            try_again(s, TRY_AGAIN_MS, why);
        else
            give_up(s, PHASE_REFUSED, "", why);
        return;
    }
    if (!gate_host_is_free(&s->agent->gate, &s->agent->host_use, reason)) {
        snprintf(why, sizeof why, "node %s is not free: %s", s->agent->options.node, reason);
        give_up(s, PHASE_REFUSED, "", why);
        return;
    }
    gate_is_open(s);
}

static void on_fresh(void *arg, const struct gpu_report *report, const struct err *e)
{
    struct start *s = arg;
    s->is_awaited = false;
    if (!s->attempt) {
        dispose(s);
        return;
    }
    if (s->agent->is_stopping || was_cancelled(s))
        return;
    if (report) {
        judge(s);
        return;
    }
    char why[256];
    snprintf(why, sizeof why, "no word from the GPUs: %.200s", e->text);
    try_again(s, e->code == ERR_TIMEOUT ? 0 : NO_WORD_MS, why);
}

static void ask(void *arg)
{
    struct start *s = arg;
    s->timer = NULL;
    if (was_cancelled(s))
        return;
    if (s->agent->gate.off || !s->attempt->devices[0]) {
        sampler_fresh_host(s->agent->sampler);
        judge(s);
        return;
    }
    s->is_awaited = true;
    sampler_fresh(s->agent->sampler, on_fresh, s);
}

/* ---- the command ---- */

/* It is here already: say what it is. */
static void answer_known(struct attempt *a)
{
    if (attempt_is_over(a))
        a->tell_over = true;
    else if (a->phase >= PHASE_RUNNING)
        a->tell_start = true;
    link_wake(a->agent->link);
}

/* NULL: it is for us and may go on to the gate. */
static const char *why_not_ours(struct agent *agent, const struct command *c, char *buf,
                                size_t room)
{
    if (c->epoch < agent->data.epoch) {
        snprintf(buf, room, "epoch %lld is over, %lld is known here", (long long)c->epoch,
                 (long long)agent->data.epoch);
        return buf;
    }
    if (strcmp(c->boot_id, agent->boot_id) != 0)
        return "the node was booted since this was decided";
    if (strcmp(c->data_id, agent->data.id) != 0)
        return "the agent has another data folder than when this was decided";
    if (tombstone_find(agent->data.tombstones, c->attempt) == TOMBSTONE_FORGOTTEN)
        return "this attempt has been here and is over";
    return NULL;
}

void start_attempt(struct agent *agent, struct command *c)
{
    struct attempt *a = attempt_find(agent, c->attempt);
    /* A refusal started nothing, so the gate may be asked anew. */
    if (a && a->phase == PHASE_REFUSED && !a->folder) {
        attempt_drop(a);
        a = NULL;
    }
    if (a) {
        answer_known(a);
        command_done(c);
        return;
    }
    a = attempt_add(agent, c->attempt, c->job, c->n, c->name);
    struct start *s = mem_new(struct start);
    s->attempt = a;
    s->agent = agent;
    s->command = *c;
    c->tree = NULL;
    a->start = s;

    char buf[128];
    struct err e = {0};
    const char *why = why_not_ours(agent, &s->command, buf, sizeof buf);
    if (why)
        give_up(s, PHASE_REFUSED, "", why);
    else if (tombstone_find(agent->data.tombstones, a->id) == TOMBSTONE_CANCELLED)
        give_up(s, PHASE_ENDED, "cancelled", "it was cancelled before it came here");
    else if (data_folder_set_epoch(&agent->data, s->command.epoch, &e) < 0)
        give_up(s, PHASE_REFUSED, "", e.text);
    else {
        attempt_set_devices(a, s->command.devices, s->command.device_count);
        ask(s);
    }
}

void cancel_attempt(struct agent *agent, const struct command *c)
{
    struct err e = {0};
    const char *why = c->why[0] ? c->why : c->type == COMMAND_END ? "superseded" : "cancelled";
    struct attempt *a = attempt_find(agent, c->attempt);
    agent->counts.cancels++;
    if (!a) {
        /* Durable before it is answered: a start that was sent earlier may still come. */
        if (FAILPOINT("agent.before_tombstone") ||
            tombstone_add(agent->data.tombstones, c->attempt, TOMBSTONE_CANCELLED, &e) < 0) {
            log_error("a cancel could not be kept", F_INT("job", c->job), F_ERR(&e));
            return;
        }
        a = attempt_add(agent, c->attempt, c->job, c->n, NULL);
        finish_unstarted(a, PHASE_ENDED, "cancelled", why);
        return;
    }
    if (attempt_is_over(a) || a->phase == PHASE_ENDING) {
        answer_known(a);
        return;
    }
    a->cancel_asked = true;
    snprintf(a->cancel_why, sizeof a->cancel_why, "%s", why);
    log_info("job is to end", F_INT("job", a->job), F_INT("attempt", a->n), F_TEXT("why", why));
    if (a->phase == PHASE_RUNNING || (a->phase == PHASE_STARTING && a->shim.pid > 0)) {
        if (shim_cancel(a->folder, why, &e) < 0)
            log_error("a job could not be asked to end", F_INT("job", a->job), F_ERR(&e));
    } else if (a->phase == PHASE_GATING && !a->start->is_awaited) {
        after_cancel(TAKE(a->start->timer));
        was_cancelled(a->start);
    }
}
