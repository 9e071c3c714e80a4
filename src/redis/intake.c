/*
 * Takes in what others push into job_queue, each entry exactly once, wherever either side dies:
 *
 *     job_queue --TAKE--> reeve:intake --> engine, durable under its id --HDEL--> gone
 *                              |                  (the same id again does nothing)
 *                              +--BURY--> reeve:dead, with the reason
 *
 * TAKE and BURY are one step each for Redis. An entry that stands in reeve:intake is found there
 * after any failure, and goes the rest of its way again under the same id.
 */
#include "base/clock.h"
#include "base/digest.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/access/access.h"
#include "net/backoff.h"
#include "redis/entry.h"
#include "redis/inside.h"
#include "redis/line.h"

#include <inttypes.h>

enum {
    HELD_MOST = 64, /* entries on their way */
    TAKE_BYTES = 4 << 20,
    TAKE_LOOKS = 20000, /* elements looked through at a time: some ms of Redis' own time */
    CUT_BYTES = 64 << 10,
    DEAD_MOST = 1000, /* in reeve:dead; the oldest go */
    PAUSE_LEAST_MS = 250,
    PAUSE_MOST_MS = 10000,
    SAY_EVERY_MS = 1000,
    FIRST_PRINCIPAL = 1, /* made with the store: the administrator */
};

/* The engine knows an id for 24 hours; one found later may have been taken in or not. */
#define ID_GOOD_MS (INT64_C(23) * 3600 * 1000)

enum entry_state {
    ENTRY_SOUGHT,  /* its text is asked for */
    ENTRY_WAITS,   /* to be read, or refused for now */
    ENTRY_ASKED,   /* the engine has it */
    ENTRY_DONE,    /* durable: to be removed */
    ENTRY_NO_JOB,  /* to be buried */
    ENTRY_LEAVING, /* Redis was told to */
};

struct entry {
    struct intake *intake;
    struct entry *next;
    char id[ENTRY_ID_SIZE];
    char *text;
    size_t len, bytes;             /* BYTES: before it was cut */
    enum entry_state state, after; /* AFTER: what it was before it was LEAVING */
    bool too_old;
    struct err why; /* of NO_JOB */
};

struct intake {
    struct redis *redis;
    struct entry *first, **last;
    size_t count, finding;
    bool found;      /* what stood in reeve:intake at the connect is here */
    bool taking;     /* TAKE is under way */
    bool wanted;     /* and should be done again */
    bool making;     /* our principal */
    bool complained; /* of our principal */
    size_t begin;    /* where the next TAKE begins, from the right end */
    size_t taken;    /* since TAKE began at the right end */
    unsigned refusals;
    int64_t pause_until_ms;  /* steady; the engine takes nothing until then */
    int64_t said_ms, unsaid; /* steady: the last line about entries that are no job; since then */
    bool stopping;
};

static void step_all(struct intake *in);

static bool useful(struct intake *in, const struct redis_reply *r)
{
    if (!r || !redis_link_is_up(in->redis->link))
        return false;
    if (r->type != REDIS_ERROR)
        return true;
    redis_give_up(in->redis, "entries cannot be taken in", r);
    return false;
}

static struct entry *find(struct intake *in, const char *id)
{
    for (struct entry *n = in->first; n; n = n->next)
        if (strcmp(n->id, id) == 0)
            return n;
    return NULL;
}

/* An id of ours that is not here yet. */
static bool is_new(struct intake *in, const char *id)
{
    int64_t ms;
    size_t cut;
    return entry_id_read(id, &ms, &cut) && !find(in, id);
}

/* ID is new. */
static struct entry *add(struct intake *in, const char *id)
{
    struct entry *n = mem_new(struct entry);
    n->intake = in;
    snprintf(n->id, sizeof n->id, "%s", id);
    *in->last = n;
    in->last = &n->next;
    in->count++;
    return n;
}

static void set_text(struct entry *n, const struct redis_reply *text)
{
    int64_t ms;
    size_t cut;
    entry_id_read(n->id, &ms, &cut);
    n->state = ENTRY_WAITS;
    n->len = text->len;
    n->bytes = cut ? cut : text->len;
    n->text = mem_dup(text->text, text->len + 1);
}

static void drop(struct intake *in, struct entry *gone)
{
    struct entry **at = &in->first;
    while (*at != gone)
        at = &(*at)->next;
    *at = gone->next;
    if (in->last == &gone->next)
        in->last = at;
    in->count--;
    free(gone->text);
    free(gone);
}

/* ---- leaving Redis ---- */

static void on_left(void *arg, const struct redis_reply *r)
{
    struct entry *n = arg;
    struct intake *in = n->intake;
    if (n->state == ENTRY_LEAVING)
        n->state = n->after;
    if (!useful(in, r))
        return; /* once more when Redis is back */
    if (n->state == ENTRY_DONE)
        (void)FAILPOINT("redis.removed");
    drop(in, n);
    step_all(in);
    if (in->wanted)
        intake_take(in);
}

static void remove_done(struct intake *in, struct entry *n)
{
    struct redis_arg args[] = {redis_arg("HDEL"), redis_arg(KEY_INTAKE), redis_arg(n->id)};
    n->after = n->state;
    n->state = ENTRY_LEAVING;
    redis_link_send(in->redis->link, args, 3, on_left, n);
}

static void bury(struct intake *in, struct entry *n)
{
    char most[16];
    auto_text struct text dead = {0};
    snprintf(most, sizeof most, "%d", DEAD_MOST);
    entry_write_dead(n->id, n->text, n->len, n->bytes, &n->why, engine_now_ms(in->redis->engine),
                     &dead);
    struct redis_arg args[] = {redis_arg(KEY_INTAKE),
                               redis_arg(KEY_DEAD),
                               redis_arg(n->id),
                               {dead.data, dead.len},
                               redis_arg(most)};
    n->after = n->state;
    n->state = ENTRY_LEAVING;
    redis_link_run(in->redis->link, SCRIPT_BURY, args, 2, 5, on_left, n);
}

static void is_no_job(struct intake *in, struct entry *n, const struct err *why)
{
    n->state = ENTRY_NO_JOB;
    n->why = *why;
    in->redis->figures.dead++;
    in->unsaid++;
    if (!in->said_ms || clock_mono_ms() - in->said_ms >= SAY_EVERY_MS) {
        log_warn("what was pushed to Redis is no job: it goes to " KEY_DEAD,
                 F_INT("entries", in->unsaid), F_TEXT("entry", n->id), F_ERR(why));
        in->said_ms = clock_mono_ms();
        in->unsaid = 0;
    }
    if (FAILPOINT("redis.bury"))
        redis_give_up(in->redis, "failpoint redis.bury", NULL);
}

/* ---- the engine ---- */

static void pause_a_while(struct intake *in, const struct err *why)
{
    int64_t now = clock_mono_ms();
    if (now < in->pause_until_ms)
        return;
    int64_t ms = backoff_ms(++in->refusals, PAUSE_LEAST_MS, PAUSE_MOST_MS, random_u64());
    in->pause_until_ms = now + ms;
    if (in->refusals == 1)
        log_warn("entries that were pushed to Redis wait there, trying again", F_ERR(why));
}

static void on_submitted(struct command *c)
{
    struct entry *n = c->arg;
    struct intake *in = n->intake;
    struct redis_figures *f = &in->redis->figures;
    if (in->stopping) {
        n->state = ENTRY_WAITS; /* whatever came of it: the next start finds it, or the key */
    } else if (c->error.code && err_is_temporary(c->error.code)) {
        n->state = ENTRY_WAITS;
        pause_a_while(in, &c->error);
    } else if (c->error.code) {
        is_no_job(in, n, &c->error);
    } else {
        if (FAILPOINT("redis.committed"))
            redis_give_up(in->redis, "failpoint redis.committed", NULL);
        n->state = ENTRY_DONE;
        in->refusals = 0;
        f->accepted += !c->ret_repeated;
        f->repeated += c->ret_repeated;
        log_debug("a job was pushed to Redis", F_TEXT("entry", n->id), F_INT("job", c->ret_id));
    }
    command_free(c);
    step_all(in);
}

static bool is_allowed(const struct redis *r, const char *user)
{
    if (!r->config.users)
        return true;
    for (const char *const *at = r->config.users; *at; at++)
        if (strcmp(*at, user) == 0)
            return true;
    return false;
}

/* As whom and for whom; 0 as ACTOR: not now. */
static int find_principals(struct intake *in, const char *user, int64_t *ret_actor,
                           int64_t *ret_owner, struct err *e)
{
    struct redis *r = in->redis;
    int rc = 0;
    const struct engine_view *v = engine_view_get(r->engine);
    const struct principal *us = fleet_principal_named(&v->fleet, REDIS_PRINCIPAL);
    const struct principal *p = fleet_principal_named(&v->fleet, user);
    *ret_actor = us && !us->disabled_ms && access_may_act_for(us->role) ? us->id : 0;
    *ret_owner = p ? p->id : 0;
    if (!p || p->disabled_ms) {
        err_set(e, ERR_UNPROCESSABLE, "there is no user '%s'", user);
        rc = err_blame(e, "user");
    } else if (!is_allowed(r, user)) {
        err_set(e, ERR_DENIED, "jobs of user '%s' are not taken from Redis (--redis-users)", user);
        rc = err_blame(e, "user");
    }
    engine_view_release(r->engine, v);
    return rc;
}

static void read_entry(const struct intake *in, const struct entry *n, struct entry_job *ret,
                       struct err *e)
{
    if (n->bytes > ENTRY_BYTES_MOST)
        err_set(e, ERR_TOO_LARGE, "it has %zu bytes, and may have %d", n->bytes, ENTRY_BYTES_MOST);
    else if (n->too_old)
        err_set(e, ERR_CONFLICT,
                "it has waited in " KEY_INTAKE " for so long that nobody can tell whether it was "
                "taken in before: look for its job, and push it again if there is none");
    else
        entry_read(n->text, n->len, &in->redis->config, ret, e);
}

static void submit(struct intake *in, struct entry *n)
{
    struct redis *r = in->redis;
    struct err e = {0};
    struct entry_job job = {0};
    int64_t actor = 0, owner = 0;
    read_entry(in, n, &job, &e);
    if (e.code || find_principals(in, job.user, &actor, &owner, &e) < 0) {
        free(job.job.spec);
        is_no_job(in, n, &e);
        return;
    }
    struct command *c = command_new(COMMAND_SUBMIT);
    c->jobs = mem_new(struct submission);
    c->jobs[0] = job.job;
    c->job_count = 1;
    c->actor = actor;
    c->on_behalf = owner == actor ? 0 : owner;
    c->idempotency_key = job.key[0]
                             ? mem_printf("%lld/redis/%s/%s", (long long)actor, job.user, job.key)
                             : mem_printf("%lld/redis//%s", (long long)actor, n->id);
    c->body_hash = digest_of(n->text, n->len);
    c->on_done = on_submitted;
    c->reply_to = r->box;
    c->arg = n;
    n->state = ENTRY_ASKED;
    if (actor && engine_command(r->engine, c))
        return;
    command_free(c);
    n->state = ENTRY_WAITS;
    err_set(&e, ERR_EXHAUSTED, "%s",
            actor ? "too many commands wait" : "user '" REDIS_PRINCIPAL "' is not there");
    pause_a_while(in, &e);
}

static void show(struct intake *in)
{
    in->redis->figures.held = (int64_t)in->count;
    redis_show(in->redis);
}

/* In their order: when the engine refuses one for now, those behind it wait, too. */
static void step_all(struct intake *in)
{
    bool engine = clock_mono_ms() >= in->pause_until_ms;
    for (struct entry *n = in->first; n && !in->stopping; n = n->next) {
        if (n->state == ENTRY_WAITS && engine)
            submit(in, n);
        engine = engine && n->state != ENTRY_WAITS;
        if (!in->redis->ours || !redis_link_is_up(in->redis->link))
            continue;
        if (n->state == ENTRY_DONE)
            remove_done(in, n);
        else if (n->state == ENTRY_NO_JOB)
            bury(in, n);
    }
    show(in);
}

/* ---- our principal ---- */

static void on_made(struct command *c)
{
    struct intake *in = c->arg;
    in->making = false;
    if (c->error.code && c->error.code != ERR_CONFLICT)
        log_warn("could not make user '" REDIS_PRINCIPAL "', trying again", F_ERR(&c->error));
    command_free(c);
    if (!in->stopping && in->wanted)
        intake_take(in);
}

static void make_principal(struct intake *in)
{
    struct command *c = command_new(COMMAND_PRINCIPAL_ADD);
    c->actor = FIRST_PRINCIPAL;
    c->role = ROLE_SERVICE;
    snprintf(c->name, sizeof c->name, "%s", REDIS_PRINCIPAL);
    c->on_done = on_made;
    c->reply_to = in->redis->box;
    c->arg = in;
    in->making = engine_command(in->redis->engine, c);
    if (!in->making)
        command_free(c);
}

/* Whether it is there and may act for others. An administrator who disables it turns intake off. */
static bool has_principal(struct intake *in)
{
    const struct engine_view *v = engine_view_get(in->redis->engine);
    const struct principal *p = fleet_principal_named(&v->fleet, REDIS_PRINCIPAL);
    bool there = p != NULL, may = p && !p->disabled_ms && access_may_act_for(p->role);
    engine_view_release(in->redis->engine, v);
    if (!there && !in->making)
        make_principal(in);
    if (there && !may && !in->complained)
        log_warn("user '" REDIS_PRINCIPAL "' is disabled or has no role that may act for others: "
                 "nothing is taken in from Redis");
    in->complained = there && !may;
    return may;
}

/* ---- taking ---- */

static void on_taken(void *arg, const struct redis_reply *r)
{
    struct intake *in = arg;
    in->taking = false;
    if (!useful(in, r))
        return;
    int64_t next = redis_int(r, 0);
    if (r->count > 1 && FAILPOINT("redis.taken")) {
        redis_give_up(in->redis, "failpoint redis.taken", NULL); /* they are found again */
        return;
    }
    for (size_t i = 1; i + 1 < r->count; i += 2)
        if (is_new(in, redis_text(r, i)) && redis_item(r, i + 1)->text)
            set_text(add(in, redis_text(r, i)), redis_item(r, i + 1));
    in->taken += r->count / 2;
    in->begin = next > 0 ? (size_t)next : 0;
    in->wanted = next >= 0;
    if (next < 0 && !in->taken)
        mirror_look_closely(in->redis->mirror);
    if (next < 0)
        in->taken = 0;
    step_all(in);
    if (in->wanted)
        intake_take(in);
}

void intake_take(struct intake *in)
{
    struct redis *r = in->redis;
    char most[16], id[40], longest[16], bytes[16], begin[24], looks[16], cut[16];
    in->wanted = true;
    if (in->taking || in->stopping || !in->found || in->finding || in->count > HELD_MOST / 2 ||
        !r->ours || clock_mono_ms() < in->pause_until_ms || !has_principal(in))
        return;
    if (FAILPOINT("redis.take")) {
        redis_give_up(r, "failpoint redis.take", NULL);
        return;
    }
    snprintf(most, sizeof most, "%zu", HELD_MOST - in->count);
    snprintf(id, sizeof id, "%013" PRId64 "-%016" PRIx64, engine_now_ms(r->engine), random_u64());
    snprintf(longest, sizeof longest, "%d", ENTRY_BYTES_MOST);
    snprintf(bytes, sizeof bytes, "%d", TAKE_BYTES);
    snprintf(begin, sizeof begin, "%zu", in->begin);
    snprintf(looks, sizeof looks, "%d", TAKE_LOOKS);
    snprintf(cut, sizeof cut, "%d", CUT_BYTES);
    struct redis_arg args[] = {redis_arg(KEY_QUEUE), redis_arg(KEY_INTAKE), redis_arg(LINE_MARK),
                               redis_arg(most),      redis_arg(id),         redis_arg(longest),
                               redis_arg(bytes),     redis_arg(begin),      redis_arg(looks),
                               redis_arg(cut)};
    in->taking = true;
    in->wanted = false;
    redis_link_run(r->link, SCRIPT_TAKE, args, 2, 10, on_taken, in);
}

/* ---- what stands in reeve:intake already ---- */

static void on_text(void *arg, const struct redis_reply *r)
{
    struct entry *n = arg;
    struct intake *in = n->intake;
    int64_t ms;
    size_t cut;
    bool is_useful = useful(in, r);
    in->finding--;
    if (is_useful && r->type == REDIS_TEXT) {
        set_text(n, r);
        entry_id_read(n->id, &ms, &cut);
        n->too_old = engine_now_ms(in->redis->engine) - ms > ID_GOOD_MS;
    } else {
        drop(in, n); /* gone, or found again after the next connect */
    }
    if (is_useful && !in->finding)
        step_all(in);
}

static int by_id(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void on_ids(void *arg, const struct redis_reply *r)
{
    struct intake *in = arg;
    in->finding--;
    if (!useful(in, r))
        return;
    size_t count = 0;
    auto_free const char **ids = mem_new_array(const char *, r->count + 1);
    for (size_t i = 0; i < r->count; i++)
        if (is_new(in, redis_text(r, i)))
            ids[count++] = redis_text(r, i);
    qsort(ids, count, sizeof *ids, by_id);
    for (size_t i = 0; i < count && i < HELD_MOST; i++) {
        struct entry *n = add(in, ids[i]);
        struct redis_arg args[] = {redis_arg("HGET"), redis_arg(KEY_INTAKE), redis_arg(n->id)};
        in->finding++;
        redis_link_send(in->redis->link, args, 3, on_text, n);
    }
    in->found = !count; /* else looks once more when these are through */
    step_all(in);
    if (in->found && in->wanted)
        intake_take(in);
}

static void look_for_more(struct intake *in)
{
    struct redis_arg args[] = {redis_arg("HKEYS"), redis_arg(KEY_INTAKE)};
    in->finding++;
    redis_link_send(in->redis->link, args, 2, on_ids, in);
}

/* ---- from outside ---- */

void intake_on_up(struct intake *in)
{
    in->found = false;
    in->begin = in->taken = 0;
    has_principal(in);
    look_for_more(in);
}

void intake_on_down(struct intake *in)
{
    in->found = in->taking = false; /* whatever was asked has been answered: by nothing */
}

void intake_tick(struct intake *in)
{
    if (in->stopping)
        return;
    step_all(in);
    if (!in->redis->ours)
        return;
    if (!in->found && !in->finding && !in->count)
        look_for_more(in);
    else if (in->wanted)
        intake_take(in);
}

void intake_stop(struct intake *in)
{
    in->stopping = true;
}

struct intake *intake_new(struct redis *r)
{
    struct intake *in = mem_new(struct intake);
    in->redis = r;
    in->last = &in->first;
    return in;
}

void intake_free(struct intake *in)
{
    if (!in)
        return;
    while (in->first)
        drop(in, in->first);
    free(in);
}
