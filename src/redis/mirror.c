/*
 * Keeps job_queue and running_jobs as the engine has it. In rounds: what should stand there
 * (gather.c), what does stand there (only after a connect, when something looks wrong, and once a
 * minute), and the steps from one to the other (order.c). In between a small script looks four
 * times a second whether length and ends are still as they were left.
 */
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "redis/gather.h"
#include "redis/inside.h"
#include "redis/order.h"
#include "redis/scan.h"

#include <inttypes.h>

enum {
    GAP_LEAST_MS = 20,      /* changes that come together are written together */
    WORK_SHARE = 10,        /* a round's time is followed by ten times as much without one */
    SCAN_EVERY_MS = 60000,  /* looks at every element whatever the small looks say */
    FIELDS_A_COMMAND = 100, /* of the hash */
    WARN_EVERY_MS = 10000,
};

enum phase { IDLE, GATHERING, SCANNING, WRITING };

struct mirror {
    struct redis *redis;
    struct gather *gather;
    struct scan *scan;
    uv_timer_t timer;
    enum phase phase;
    bool dirty;     /* the engine has something new */
    bool must_scan; /* what stands in Redis is not known */
    bool looking;   /* a small look is under way */
    bool stopping;
    struct lines list;   /* from the right end */
    struct lines hash;   /* by job */
    int64_t hash_others; /* fields that are not ours */
    uint64_t round;      /* counts them */
    uint64_t look_round; /* the one before the look */
    size_t outstanding;  /* answers that a round waits for */
    int64_t began_us, worked_us, next_ms, scanned_ms, warned_ms;
    int64_t put_back; /* since the last warning */
};

static void wait_for(struct mirror *m, int64_t ms);

static void round_over(struct mirror *m)
{
    m->phase = IDLE;
    int64_t rest = m->worked_us * WORK_SHARE / 1000;
    m->next_ms = clock_mono_ms() + (rest > GAP_LEAST_MS ? rest : GAP_LEAST_MS);
    wait_for(m, m->dirty || m->must_scan ? m->next_ms - clock_mono_ms() : LOOK_MS);
}

/* False: the link is down, and mirror_on_down() comes or has come. */
static bool useful(struct mirror *m, const char *what, const struct redis_reply *r)
{
    if (!r || !redis_link_is_up(m->redis->link))
        return false;
    if (r->type != REDIS_ERROR)
        return true;
    redis_give_up(m->redis, what, r);
    return false;
}

/* ---- the steps ---- */

static void round_answered(struct mirror *m)
{
    if (--m->outstanding)
        return;
    struct redis_figures *f = &m->redis->figures;
    f->in_step = !m->must_scan;
    f->waiting = (int64_t)m->list.count;
    f->running = (int64_t)m->hash.count;
    if (f->in_step)
        redis_link_is_well(m->redis->link);
    redis_show(m->redis);
    round_over(m);
}

static void on_hash_step(void *arg, const struct redis_reply *r)
{
    if (useful(arg, "the mirror cannot be written", r))
        round_answered(arg);
}

/* Length of the list or elements removed: never 0 where all is as we think. */
static void on_list_step(void *arg, const struct redis_reply *r)
{
    struct mirror *m = arg;
    if (!useful(m, "the mirror cannot be written", r))
        return;
    if (r->number <= 0)
        m->must_scan = true;
    round_answered(m);
}

static void send_step(void *arg, const struct order_step *s)
{
    struct mirror *m = arg;
    static const char *const names[] = {[ORDER_REMOVE] = "LREM",
                                        [ORDER_REMOVE_ALL] = "LREM",
                                        [ORDER_PUSH_RIGHT] = "RPUSH",
                                        [ORDER_PUSH_LEFT] = "LPUSH",
                                        [ORDER_INSERT] = "LINSERT"};
    auto_free struct redis_arg *args = mem_new_array(struct redis_arg, s->count + 4);
    size_t n = 0;
    args[n++] = redis_arg(names[s->what]);
    args[n++] = redis_arg(KEY_QUEUE);
    if (s->what == ORDER_REMOVE || s->what == ORDER_REMOVE_ALL)
        args[n++] = redis_arg(s->what == ORDER_REMOVE ? "-1" : "0");
    if (s->what == ORDER_INSERT) {
        args[n++] = redis_arg("BEFORE"); /* to the left of */
        args[n++] = (struct redis_arg){s->pivot->text, s->pivot->len};
    }
    for (size_t i = 0; i < s->count; i++)
        args[n++] = (struct redis_arg){s->lines[i]->text, s->lines[i]->len};
    m->outstanding++;
    redis_link_send(m->redis->link, args, n, on_list_step, m);
}

/* HSET or HDEL of up to FIELDS_A_COMMAND lines. */
struct fields {
    struct mirror *mirror;
    bool set;
    size_t count;
    struct line *lines[FIELDS_A_COMMAND];
};

static void send_fields(struct fields *f)
{
    struct redis_arg args[2 + 2 * FIELDS_A_COMMAND];
    char jobs[FIELDS_A_COMMAND][24];
    size_t n = 0;
    if (!f->count)
        return;
    args[n++] = redis_arg(f->set ? "HSET" : "HDEL");
    args[n++] = redis_arg(KEY_RUNNING);
    for (size_t i = 0; i < f->count; i++) {
        snprintf(jobs[i], sizeof jobs[i], "%" PRId64, f->lines[i]->job);
        args[n++] = redis_arg(jobs[i]);
        if (f->set)
            args[n++] = (struct redis_arg){f->lines[i]->text, f->lines[i]->len};
    }
    f->count = 0;
    f->mirror->outstanding++;
    redis_link_send(f->mirror->redis->link, args, n, on_hash_step, f->mirror);
}

static void add_field(struct fields *f, struct line *line)
{
    f->lines[f->count++] = line;
    if (f->count == FIELDS_A_COMMAND)
        send_fields(f);
}

/* Both by job. */
static void send_hash(struct mirror *m, struct line *const *want, size_t count)
{
    struct fields set = {.mirror = m, .set = true}, gone = {.mirror = m};
    size_t i = 0, k = 0;
    while (i < count || k < m->hash.count) {
        struct line *is = k < m->hash.count ? m->hash.all[k] : NULL;
        if (is && (i == count || is->job < want[i]->job)) {
            add_field(&gone, is);
            k++;
        } else {
            bool there = is && is->job == want[i]->job;
            if (!there || is != want[i])
                add_field(&set, want[i]);
            i++;
            k += there;
        }
    }
    send_fields(&gone);
    send_fields(&set);
}

static void write_round(struct mirror *m)
{
    size_t waiting, running;
    int64_t began_us = clock_mono_us();
    struct line *const *queue = gather_waiting(m->gather, &waiting);
    struct line *const *hash = gather_running(m->gather, &running);
    m->phase = WRITING;
    m->round++;
    m->outstanding = 1; /* ourselves */
    order_steps(m->list.all, m->list.count, queue, waiting, send_step, m);
    if (FAILPOINT("redis.mirror")) {
        redis_give_up(m->redis, "failpoint redis.mirror", NULL);
        return;
    }
    send_hash(m, hash, running);
    lines_set(&m->list, queue, waiting);
    lines_set(&m->hash, hash, running);
    m->worked_us += clock_mono_us() - began_us;
    round_answered(m);
}

/* ---- what stands there ---- */

/* Those that we had put there, and that should still be there. */
static int64_t count_vanished(struct mirror *m, const struct lines *had, struct lines found,
                              bool waiting, int64_t *ret_first)
{
    int64_t count = 0;
    struct lines sorted = {0};
    lines_set(&sorted, found.all, found.count);
    lines_sort(&sorted);
    for (size_t i = 0; i < had->count; i++) {
        struct line *line = had->all[i];
        if (gather_find(m->gather, line->job, waiting) != line || lines_find(&sorted, line->job))
            continue;
        if (!count++)
            *ret_first = line->job;
    }
    lines_done(&sorted);
    return count;
}

static void warn_of_vanished(struct mirror *m, const struct scan_result *s)
{
    int64_t first = 0;
    int64_t count = count_vanished(m, &m->hash, s->hash, false, &first) +
                    count_vanished(m, &m->list, s->list, true, &first);
    int64_t now = clock_mono_ms();
    m->redis->figures.put_back += count;
    m->put_back += count;
    if (!m->put_back || (m->warned_ms && now - m->warned_ms < WARN_EVERY_MS))
        return;
    log_warn("entries of the queue's mirror in Redis had vanished, putting them back",
             F_INT("count", m->put_back), F_INT("job", first), F_TEXT("redis", m->redis->address));
    m->put_back = 0;
    m->warned_ms = now;
}

static void on_scanned(void *arg, struct scan_result *s)
{
    struct mirror *m = arg;
    warn_of_vanished(m, s);
    lines_set(&m->list, s->list.all, s->list.count);
    lines_set(&m->hash, s->hash.all, s->hash.count);
    m->hash_others = s->hash_others;
    m->must_scan = !s->is_sure;
    m->scanned_ms = clock_mono_ms();
    write_round(m);
}

/* ---- rounds ---- */

static void on_gathered(void *arg, const struct err *e)
{
    struct mirror *m = arg;
    if (e) {
        log_warn("could not read what the queue's mirror in Redis should show, trying again",
                 F_ERR(e));
        m->dirty = true;
        m->worked_us = 100000; /* a second's rest */
        round_over(m);
    } else if (!m->redis->ours || m->stopping) {
        m->dirty = true;
        round_over(m);
    } else if (m->must_scan) {
        m->phase = SCANNING;
        scan_begin(m->scan);
    } else {
        write_round(m);
    }
}

static void begin_round(struct mirror *m)
{
    int64_t began_us = clock_mono_us();
    m->dirty = false;
    m->phase = GATHERING;
    bool changed = gather_begin(m->gather);
    m->worked_us = clock_mono_us() - began_us;
    if (changed)
        return;
    if (m->must_scan)
        on_gathered(m, NULL);
    else
        round_over(m);
}

/* ---- small looks ---- */

static int64_t end_job(const struct lines *l, bool left)
{
    return l->count ? l->all[left ? l->count - 1 : 0]->job : 0;
}

static void compare(struct mirror *m, const struct redis_reply *r)
{
    int64_t left, right;
    bool left_ours = line_is_ours(redis_text(r, 2), &left);
    bool right_ours = line_is_ours(redis_text(r, 3), &right);
    int64_t length = redis_int(r, 0), more = length - (int64_t)m->list.count;
    bool foreign = length && (!left_ours || !right_ours);
    if (redis_int(r, 1) != (int64_t)m->hash.count + m->hash_others || more < 0 ||
        (right_ours && right != end_job(&m->list, false)) ||
        (more == 0 && left_ours && left != end_job(&m->list, true)))
        m->must_scan = true;
    if (more > 0 || foreign)
        intake_take(m->redis->intake);
}

static void on_look(void *arg, const struct redis_reply *r)
{
    struct mirror *m = arg;
    m->looking = false;
    if (!useful(m, "the mirror cannot be read", r))
        return;
    if (strcmp(redis_text(r, 4), m->redis->site) != 0) { /* flushed, or somebody else's now */
        redis_give_up(m->redis, "the keys were emptied or taken over, beginning anew", NULL);
        return;
    }
    if (m->phase == IDLE && m->round == m->look_round)
        compare(m, r);
    if (m->phase == IDLE)
        wait_for(m, m->must_scan || m->dirty ? 0 : LOOK_MS);
}

static void look(struct mirror *m)
{
    struct redis_arg keys[] = {redis_arg(KEY_QUEUE), redis_arg(KEY_RUNNING), redis_arg(KEY_SITE)};
    m->looking = true;
    m->look_round = m->round;
    redis_link_run(m->redis->link, SCRIPT_LOOK, keys, 3, 3, on_look, m);
}

static void on_timer(uv_timer_t *timer)
{
    struct mirror *m = timer->data;
    int64_t now = clock_mono_ms();
    if (m->phase != IDLE || m->stopping || !m->redis->ours)
        return;
    if (now - m->scanned_ms >= SCAN_EVERY_MS)
        m->must_scan = true;
    if ((m->dirty || m->must_scan) && now >= m->next_ms)
        begin_round(m);
    else if (m->dirty || m->must_scan)
        wait_for(m, m->next_ms - now);
    else if (!m->looking)
        look(m);
}

static void wait_for(struct mirror *m, int64_t ms)
{
    if (!m->stopping)
        uv_timer_start(&m->timer, on_timer, ms > 0 ? (uint64_t)ms : 0, 0);
}

/* ---- from outside ---- */

void mirror_on_change(struct mirror *m)
{
    if (m->dirty)
        return;
    m->dirty = true;
    if (m->phase == IDLE && m->redis->ours) {
        int64_t rest = m->next_ms - clock_mono_ms();
        wait_for(m, rest > GAP_LEAST_MS ? rest : GAP_LEAST_MS);
    }
}

void mirror_look_closely(struct mirror *m)
{
    m->must_scan = true;
    if (m->phase == IDLE)
        wait_for(m, 0);
}

void mirror_on_up(struct mirror *m)
{
    m->must_scan = m->dirty = true;
    m->looking = false;
    if (m->phase == IDLE)
        wait_for(m, 0);
}

void mirror_on_down(struct mirror *m)
{
    m->must_scan = m->dirty = true;
    m->redis->figures.in_step = false;
    scan_cancel(m->scan);
    if (m->phase != GATHERING) /* that goes on, and finds out then */
        m->phase = IDLE;
}

void mirror_stop(struct mirror *m)
{
    m->stopping = true;
    uv_timer_stop(&m->timer);
    gather_stop(m->gather);
}

struct mirror *mirror_new(struct redis *r)
{
    struct mirror *m = mem_new(struct mirror);
    struct gather_config config = {.engine = r->engine,
                                   .box = r->box,
                                   .mask = r->config.mask_users,
                                   .on_ready = on_gathered,
                                   .arg = m};
    m->redis = r;
    m->gather = gather_new(&config);
    m->scan = scan_new(r, m->gather, on_scanned, m);
    uv_timer_init(r->loop, &m->timer);
    m->timer.data = m;
    return m;
}

static void on_closed(uv_handle_t *handle)
{
    struct mirror *m = handle->data;
    scan_free(m->scan);
    gather_free(m->gather);
    lines_done(&m->list);
    lines_done(&m->hash);
    free(m);
}

void mirror_free(struct mirror *m)
{
    if (m)
        uv_close((uv_handle_t *)&m->timer, on_closed);
}
