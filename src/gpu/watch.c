/*
 * Policy over tether (the helper process) and roll (what is known):
 *
 *   DOWN --again--> OPENING --ready--> IDLE <--sample/end--> ROUND
 *     ^                |                 |                     |
 *     +---- failed, ended, hung (killed), or to open anew -----+
 *
 * In OPENING and ROUND the helper works, and a guard looks whether its pulse moves. In DOWN the
 * timer `again` waits to start the next one.
 */
#include "gpu/watch.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "gpu/roll.h"
#include "gpu/tether.h"

enum {
    FIRST_WAIT_MS = 250,
    LAST_WAIT_MS = 60000,
    GUARD_LOOKS = 5,     /* within the time that a call may take */
    SECOND_LOOK_MS = 50, /* after our own loop may have been busy */
    MOST_STUCK = 4,      /* helpers that were killed and cannot die */
};

struct ask {
    struct ask *next;
    gpu_watch_sample_fn *cb;
    void *arg;
    uint32_t round; /* the first whose readings are new enough */
    int64_t deadline_ms;
};

struct gpu_watch {
    uv_loop_t *loop;
    struct gpu_watch_callbacks cb;
    char *helper; /* NULL: the running program */
    struct wire_open open;
    int64_t interval_ms, call_timeout_ms, look_again_ms;
    bool none; /* configured not to look */

    enum { DOWN, OPENING, IDLE, ROUND } state;
    struct tether *tether; /* NULL in DOWN */
    unsigned tethers;      /* not yet gone, this one and those that were cut */
    struct roll *roll;
    bool reported, no_gpu;
    char trouble[512]; /* the last that was told */

    uint32_t round, ended; /* numbers of the last that began and that ended */
    int64_t began_ms;      /* loop time of it, 0: none yet */
    int64_t opened_boot_ms;
    int64_t wait_ms; /* before the next start */
    struct ask *asks;

    uint32_t beat; /* the guard's last look */
    int64_t beat_ms;
    bool second_look;

    uv_timer_t tick, guard, again, due;
    int handles;
    bool stopped;
};

static int64_t now_ms(struct gpu_watch *w)
{
    return (int64_t)uv_now(w->loop);
}

/* --- answers ------------------------------------------------------------------------------- */

static void on_due(uv_timer_t *timer);

/* The timer of the asks stands at the earliest deadline. */
static void arm_due(struct gpu_watch *w)
{
    int64_t earliest = INT64_MAX;
    for (struct ask *a = w->asks; a; a = a->next)
        if (a->deadline_ms < earliest)
            earliest = a->deadline_ms;
    if (earliest == INT64_MAX) {
        uv_timer_stop(&w->due);
        return;
    }
    int64_t left = earliest - now_ms(w);
    uv_timer_start(&w->due, on_due, left > 0 ? (uint64_t)left : 0, 0);
}

/* Answers those that WANTED says; a callback may ask again or stop the watch. */
static void answer(struct gpu_watch *w, bool (*wanted)(struct gpu_watch *, struct ask *),
                   const struct err *e)
{
    struct ask *now = NULL, **last = &now;
    for (struct ask **p = &w->asks; *p;) {
        struct ask *a = *p;
        if (!wanted(w, a)) {
            p = &a->next;
            continue;
        }
        *p = a->next;
        a->next = NULL;
        *last = a;
        last = &a->next;
    }
    while (now) {
        struct ask *a = now;
        now = a->next;
        a->cb(a->arg, e ? NULL : roll_report(w->roll), e);
        free(a);
    }
    if (!w->stopped)
        arm_due(w);
}

static bool is_served(struct gpu_watch *w, struct ask *a)
{
    return (int32_t)(w->ended - a->round) >= 0;
}

static bool is_any(struct gpu_watch *w, struct ask *a)
{
    (void)w;
    (void)a;
    return true;
}

static bool is_late(struct gpu_watch *w, struct ask *a)
{
    return now_ms(w) >= a->deadline_ms;
}

static void on_due(uv_timer_t *timer)
{
    struct gpu_watch *w = timer->data;
    struct err e = {0};
    if (w->no_gpu && w->state == DOWN) {
        answer(w, is_any, NULL); /* the report says that there is nothing to sample */
        return;
    }
    err_set(&e, ERR_TIMEOUT, "the GPU driver did not answer within %lld ms",
            (long long)w->call_timeout_ms);
    answer(w, is_late, &e);
}

static void report(struct gpu_watch *w)
{
    w->reported = true;
    if (w->cb.on_report)
        w->cb.on_report(w->cb.arg, roll_report(w->roll));
}

static void tell_trouble(struct gpu_watch *w, const struct err *e)
{
    if (strcmp(w->trouble, e->text) == 0)
        return;
    snprintf(w->trouble, sizeof w->trouble, "%s", e->text);
    if (w->cb.on_trouble)
        w->cb.on_trouble(w->cb.arg, e);
}

/* --- the helper ---------------------------------------------------------------------------- */

static void start(struct gpu_watch *w);

static void on_again(uv_timer_t *timer)
{
    start(timer->data);
}

/* Lets go of the helper and tries the next one after WAIT_MS. */
static void go_down(struct gpu_watch *w, int64_t wait_ms)
{
    if (w->tether)
        tether_cut(TAKE(w->tether));
    uv_timer_stop(&w->guard);
    w->state = DOWN;
    uv_timer_start(&w->again, on_again, (uint64_t)wait_ms, 0);
}

static int64_t next_wait(struct gpu_watch *w)
{
    int64_t wait_ms = w->wait_ms ? w->wait_ms : FIRST_WAIT_MS;
    w->wait_ms = wait_ms * 2 < LAST_WAIT_MS ? wait_ms * 2 : LAST_WAIT_MS;
    return wait_ms;
}

static void hung(struct gpu_watch *w, const char *what)
{
    const struct gpu_pulse *pulse = tether_pulse(w->tether);
    int device = atomic_load_explicit(&pulse->device, memory_order_acquire);
    char call[sizeof pulse->call];
    gpu_copy_text(call, sizeof call, pulse->call);

    struct err e = {0};
    err_set(&e, ERR_TIMEOUT, "%s %s", call[0] ? call : "the driver", what);
    roll_hung(w->roll, device, e.text, clock_boot_ms());
    /* With the device passed over the next helper will do: no need to wait long. */
    go_down(w, device >= 0 ? FIRST_WAIT_MS : next_wait(w));
    tell_trouble(w, &e);
    if (!w->stopped)
        report(w);
}

static void on_guard(uv_timer_t *timer)
{
    struct gpu_watch *w = timer->data;
    uint32_t beat = atomic_load_explicit(&tether_pulse(w->tether)->beat, memory_order_acquire);
    int64_t look_ms = w->call_timeout_ms / GUARD_LOOKS + 1;

    if (beat != w->beat) {
        w->beat = beat;
        w->beat_ms = now_ms(w);
        w->second_look = false;
    } else if (now_ms(w) - w->beat_ms >= w->call_timeout_ms) {
        if (w->second_look) {
            char what[80];
            snprintf(what, sizeof what, "did not come back within %lld ms",
                     (long long)w->call_timeout_ms);
            hung(w, what);
            return;
        }
        /* Perhaps its answer waits and this loop was too busy to read it. */
        w->second_look = true;
        look_ms = SECOND_LOOK_MS;
    }
    uv_timer_start(&w->guard, on_guard, (uint64_t)look_ms, 0);
}

static void start_guard(struct gpu_watch *w)
{
    w->beat = atomic_load_explicit(&tether_pulse(w->tether)->beat, memory_order_acquire);
    w->beat_ms = now_ms(w);
    w->second_look = false;
    uv_timer_start(&w->guard, on_guard, (uint64_t)(w->call_timeout_ms / GUARD_LOOKS + 1), 0);
}

/* No driver, or it went away. */
static void no_driver(struct gpu_watch *w, enum err_code code, const char *text)
{
    struct err e = {0};
    err_set(&e, code, "%s", text);
    roll_no_driver(w->roll, code, e.text);
    roll_begin(w->roll, clock_boot_ms());
    w->no_gpu = code == ERR_NOT_FOUND && !roll_report(w->roll)->device_count;
    go_down(w, w->no_gpu ? w->look_again_ms : next_wait(w));
    if (!w->no_gpu)
        tell_trouble(w, &e);
    if (w->stopped)
        return;
    report(w);
    if (!w->stopped && w->no_gpu)
        answer(w, is_any, NULL);
}

/* The helper died or talks nonsense. If it was at work, that call is to blame. */
static void on_end(void *arg, const char *why)
{
    struct gpu_watch *w = arg;
    if (w->state == ROUND || w->state == OPENING) {
        char what[160];
        snprintf(what, sizeof what, "did not come back: %s", why);
        hung(w, what);
        return;
    }
    struct err e = {0};
    err_set(&e, ERR_UNAVAILABLE, "%s", why);
    go_down(w, next_wait(w));
    tell_trouble(w, &e);
}

static void begin_round(struct gpu_watch *w)
{
    struct wire_sample ask = {.round = w->round + 1};
    struct err e = {0};
    w->began_ms = now_ms(w);
    if (tether_send(w->tether, WIRE_SAMPLE, &ask, sizeof ask, &e) < 0) {
        go_down(w, next_wait(w));
        tell_trouble(w, &e);
        return;
    }
    w->round++;
    w->state = ROUND;
    roll_begin(w->roll, clock_boot_ms());
    start_guard(w);
}

static void end_round(struct gpu_watch *w)
{
    int64_t boot_ms = clock_boot_ms();
    uv_timer_stop(&w->guard);
    w->state = IDLE;
    w->ended = w->round;
    w->wait_ms = 0;
    w->trouble[0] = '\0';
    roll_end(w->roll, boot_ms);
    report(w);
    if (w->stopped)
        return;
    answer(w, is_served, NULL);
    if (w->stopped || w->state != IDLE)
        return;
    if (roll_wants_reopen(w->roll, w->opened_boot_ms, boot_ms, w->open.skip))
        go_down(w, 0);
    else if (w->asks)
        begin_round(w);
}

static bool on_ready(struct gpu_watch *w, const struct wire_ready *ready, size_t len)
{
    if (w->state != OPENING || len < sizeof *ready || ready->count > GPU_MAX_DEVICES ||
        len != sizeof *ready + ready->count * sizeof ready->infos[0])
        return false;
    w->no_gpu = false;
    w->opened_boot_ms = clock_boot_ms();
    roll_open(w->roll, ready, w->open.skip);
    begin_round(w);
    return true;
}

static bool take_frame(struct gpu_watch *w, const struct wire_head *head, const void *body)
{
    switch (head->type) {
    case WIRE_READY:
        return on_ready(w, body, head->length);
    case WIRE_FAILED: {
        const struct wire_failed *failed = body;
        if (w->state != OPENING || head->length != sizeof *failed || failed->code <= ERR_NONE ||
            failed->code >= ERR_CODE_COUNT)
            return false;
        char text[sizeof failed->text];
        gpu_copy_text(text, sizeof text, failed->text);
        no_driver(w, (enum err_code)failed->code, text);
        return true;
    }
    case WIRE_DEVICE:
        return w->state == ROUND && head->length >= sizeof(uint32_t) &&
               roll_device(w->roll, body, head->length);
    case WIRE_EVENTS:
        return w->state == ROUND && roll_events(w->roll, body, head->length, clock_boot_ms());
    case WIRE_END: {
        const struct wire_end *over = body;
        if (w->state != ROUND || head->length != sizeof *over || over->round != w->round)
            return false;
        char text[sizeof over->text];
        gpu_copy_text(text, sizeof text, over->text);
        if (over->code)
            no_driver(w, ERR_UNAVAILABLE, text);
        else
            end_round(w);
        return true;
    }
    default:
        return false;
    }
}

static void on_frame(void *arg, const struct wire_head *head, const void *body)
{
    struct gpu_watch *w = arg;
    if (!take_frame(w, head, body))
        on_end(w, "it speaks another language");
}

static void free_when_done(struct gpu_watch *w)
{
    if (!w->stopped || w->handles || w->tethers)
        return;
    roll_free(w->roll);
    free(w->helper);
    free(w);
}

static void on_gone(void *arg)
{
    struct gpu_watch *w = arg;
    w->tethers--;
    free_when_done(w);
}

static void start(struct gpu_watch *w)
{
    const struct tether_callbacks callbacks = {
        .on_frame = on_frame, .on_end = on_end, .on_gone = on_gone, .arg = w};
    struct err e = {0};

    if (w->tethers >= MOST_STUCK) {
        err_set(&e, ERR_UNAVAILABLE, "%u helpers hang in the kernel: the GPU driver is stuck",
                w->tethers);
        no_driver(w, e.code, e.text);
        return;
    }
    w->open.skip = roll_skip(w->roll, clock_boot_ms());
    w->tether = tether_start(w->loop, w->helper, &callbacks, &e);
    if (w->tether) {
        w->tethers++;
        w->state = OPENING;
        if (tether_send(w->tether, WIRE_OPEN, &w->open, sizeof w->open, &e) == 0) {
            start_guard(w);
            return;
        }
    }
    no_driver(w, ERR_UNAVAILABLE, e.text);
}

static void on_tick(uv_timer_t *timer)
{
    struct gpu_watch *w = timer->data;
    if (w->state == IDLE)
        begin_round(w);
}

/* --- from outside -------------------------------------------------------------------------- */

static int check_config(const struct gpu_watch_config *c, struct err *e)
{
    bool known = !c->backend || strcmp(c->backend, "auto") == 0 || strcmp(c->backend, "none") == 0;
    for (size_t i = 0; gpu_backends[i] && !known; i++)
        known = strcmp(c->backend, gpu_backends[i]->name) == 0;
    if (!known)
        return err_set(e, ERR_INVALID, "there is no GPU backend '%s'", c->backend);
    if ((c->library && strlen(c->library) >= sizeof((struct wire_open *)0)->library) ||
        (c->nvidia_smi && strlen(c->nvidia_smi) >= sizeof((struct wire_open *)0)->program))
        return err_set(e, ERR_INVALID, "a path of a GPU library or program is too long");
    return 0;
}

/* The small program where it is installed or built; NULL: none, the running program must do. */
static char *find_helper(void)
{
    static const char *const places[] = {"", "/../libexec/reeve", "/../gpu", "/../src/gpu",
                                         "/src/gpu"};
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        char *path = mem_printf("%s%s/reeve-gpu-helper", file_program_folder(), places[i]);
        if (access(path, X_OK) == 0)
            return path;
        free(path);
    }
    return NULL;
}

static void on_none(uv_timer_t *timer)
{
    report(timer->data);
}

struct gpu_watch *gpu_watch_start(uv_loop_t *loop, const struct gpu_watch_config *config,
                                  const struct gpu_watch_callbacks *callbacks, struct err *e)
{
    if (check_config(config, e) < 0)
        return NULL;

    struct gpu_watch *w = mem_new(struct gpu_watch);
    w->loop = loop;
    w->cb = *callbacks;
    w->interval_ms = config->interval_ms > 0 ? config->interval_ms : 5000;
    w->call_timeout_ms = config->call_timeout_ms > 0 ? config->call_timeout_ms : 5000;
    w->look_again_ms = config->look_again_ms > 0 ? config->look_again_ms : 60000;
    w->helper = config->helper ? mem_strdup(config->helper) : find_helper();
    w->roll = roll_new();
    w->open.timeout_ms = w->call_timeout_ms;
    snprintf(w->open.backend, sizeof w->open.backend, "%s",
             config->backend ? config->backend : "auto");
    if (config->library)
        snprintf(w->open.library, sizeof w->open.library, "%s", config->library);
    if (config->nvidia_smi)
        snprintf(w->open.program, sizeof w->open.program, "%s", config->nvidia_smi);

    uv_timer_t *const timers[] = {&w->tick, &w->guard, &w->again, &w->due};
    for (size_t i = 0; i < COUNT_OF(timers); i++, w->handles++) {
        uv_timer_init(loop, timers[i]);
        timers[i]->data = w;
    }
    if (strcmp(w->open.backend, "none") == 0) {
        w->none = w->no_gpu = true;
        roll_no_driver(w->roll, ERR_NOT_FOUND, "looking for GPUs is switched off");
        roll_begin(w->roll, clock_boot_ms());
        uv_timer_start(&w->again, on_none, 0, 0);
        return w;
    }
    uv_timer_start(&w->again, on_again, 0, 0);
    uv_timer_start(&w->tick, on_tick, (uint64_t)w->interval_ms, (uint64_t)w->interval_ms);
    return w;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct gpu_watch *w = handle->data;
    w->handles--;
    free_when_done(w);
}

void gpu_watch_stop(struct gpu_watch *w)
{
    if (!w || w->stopped)
        return;
    struct err e = {0};
    err_set(&e, ERR_UNAVAILABLE, "the GPU watch is being stopped");
    w->stopped = true;
    w->cb = (struct gpu_watch_callbacks){0};
    if (w->tether)
        tether_cut(TAKE(w->tether));
    w->state = DOWN;
    uv_timer_t *const timers[] = {&w->tick, &w->guard, &w->again, &w->due};
    for (size_t i = 0; i < COUNT_OF(timers); i++)
        uv_close((uv_handle_t *)timers[i], on_timer_closed);
    answer(w, is_any, &e);
}

void gpu_watch_set_interval(struct gpu_watch *w, int64_t interval_ms)
{
    if (interval_ms <= 0 || interval_ms == w->interval_ms || w->none)
        return;
    w->interval_ms = interval_ms;
    int64_t left = w->began_ms ? w->began_ms + interval_ms - now_ms(w) : interval_ms;
    uv_timer_start(&w->tick, on_tick, left > 0 ? (uint64_t)left : 0, (uint64_t)interval_ms);
}

void gpu_watch_sample_now(struct gpu_watch *w, gpu_watch_sample_fn *cb, void *arg)
{
    struct ask *a = mem_new(struct ask);
    bool nothing = w->no_gpu && w->state == DOWN;
    uv_update_time(w->loop); /* the caller may have worked for a while */
    *a = (struct ask){
        .next = w->asks,
        .cb = cb,
        .arg = arg,
        .round = w->round + 1,
        .deadline_ms = now_ms(w) + (nothing ? 0 : w->call_timeout_ms),
    };
    w->asks = a;
    arm_due(w);
    if (w->state == IDLE)
        begin_round(w);
}

const struct gpu_report *gpu_watch_last(const struct gpu_watch *w)
{
    return w->reported ? roll_report(w->roll) : NULL;
}

int gpu_watch_helper_pid(const struct gpu_watch *w)
{
    return w->tether ? tether_pid(w->tether) : 0;
}
