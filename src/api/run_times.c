#include "api/run_times.h"

#include "base/mem.h"
#include "record/event.h"

enum {
    SLOTS = 65536, /* by key or job number, with nothing behind them: the newest stays */
    JOBS_AT_FIRST = 2000,
    ROWS_MOST = 100000, /* of the ledger to be looked through; then rather the history anew */
    COUNT_MOST = 64,    /* what is older than about so many attempts fades */
};

struct mean {
    uint64_t key;
    int64_t sum_ms;
    uint32_t count;
};

struct known_name {
    int64_t job;
    uint64_t key;
};

struct run_times {
    struct mean all, by_key[SLOTS];
    struct known_name names[SLOTS];
    int64_t upto; /* ledger row */
    bool begun;
};

struct run_times *run_times_new(void)
{
    return mem_new(struct run_times);
}

void run_times_free(struct run_times *t)
{
    free(t);
}

static uint64_t key_of(int64_t principal, const char *name)
{
    uint64_t key;
    struct digest_state *s = digest_begin();
    digest_add_int(s, principal);
    digest_add(s, name ? name : "", name ? strlen(name) : 0);
    struct digest d = digest_end(s);
    memcpy(&key, d.bytes, sizeof key);
    return key;
}

static void add_to(struct mean *m, int64_t ms)
{
    if (m->count == COUNT_MOST) {
        m->sum_ms /= 2;
        m->count /= 2;
    }
    m->sum_ms += ms;
    m->count++;
}

static void add(struct run_times *t, uint64_t key, int64_t ms)
{
    struct mean *m = &t->by_key[key % SLOTS];
    if (m->key != key)
        *m = (struct mean){.key = key};
    add_to(m, ms);
    add_to(&t->all, ms);
}

/* Whether such an end says how long the job takes: nobody else put an end to it. */
static bool is_its_own(int64_t outcome)
{
    return outcome == OUTCOME_COMPLETED || outcome == OUTCOME_FAILED ||
           outcome == OUTCOME_SIGNALLED || outcome == OUTCOME_TIME_LIMIT ||
           outcome == OUTCOME_OUT_OF_MEMORY;
}

/* ---- the newest of the history ---- */

struct begin {
    struct run_times *times;
    int64_t run_ms; /* of the job whose record as submitted comes next; -1: not to be counted */
};

static int on_ended(void *arg, enum table_id table, const void *record)
{
    struct begin *b = arg;
    if (table == TABLE_ID_JOB_HISTORY) {
        const struct job_history_row *h = record;
        b->run_ms = h->attempts == 1 && is_its_own(h->reason) ? h->run_ms : -1;
    } else if (b->run_ms >= 0) {
        const struct job_spec_row *s = record;
        add(b->times, key_of(s->principal, s->name), b->run_ms);
    }
    return 0;
}

static int begin(struct run_times *t, const struct store_ops *ops, struct store_reader *r,
                 struct err *e)
{
    struct begin b = {t, -1};
    struct store_query q = {.id = QUERY_HISTORY, .state = -1, .limit = JOBS_AT_FIRST};
    memset(t->by_key, 0, sizeof t->by_key);
    t->all = (struct mean){0};
    return ops->read(r, &q, on_ended, &b, e);
}

/* ---- what has ended since ---- */

static int on_name(void *arg, enum table_id table, const void *record)
{
    (void)table; /* JOB and JOB_SPEC have the same columns */
    const struct job_row *row = record;
    *(uint64_t *)arg = key_of(row->principal, row->name);
    return 0;
}

/* 0: the job is not there, or could not be read. */
static uint64_t key_of_job(struct run_times *t, const struct store_ops *ops, struct store_reader *r,
                           int64_t job)
{
    struct known_name *n = &t->names[job % SLOTS];
    uint64_t key = 0;
    if (n->job == job)
        return n->key;
    struct store_query q = {.id = QUERY_JOB, .key = job, .limit = 1};
    if (ops->read(r, &q, on_name, &key, NULL) == 0 && key)
        *n = (struct known_name){job, key};
    return key;
}

struct ends {
    struct {
        int64_t job, run_ms;
    } * items;
    size_t count;
    int64_t last;
};

static int on_end(void *arg, enum table_id table, const void *record)
{
    struct ends *ends = arg;
    const struct ledger_row *row = record;
    struct event ev = {.kind = (enum event_kind)row->kind};
    (void)table;
    ends->last = row->seq;
    if (!row->body || event_read_body(&ev, row->body, strlen(row->body), NULL) < 0 ||
        !is_its_own(ev.ATTEMPT_ENDED.outcome))
        return 0;
    ends->items[ends->count].job = row->subject;
    ends->items[ends->count++].run_ms = ev.ATTEMPT_ENDED.run_ms;
    return 0;
}

int run_times_catch_up(struct run_times *t, const struct store_ops *ops, struct store_reader *r,
                       const struct fleet_view *v, struct err *e)
{
    if (!t->begun || v->last_seq - t->upto > ROWS_MOST) {
        if (begin(t, ops, r, e) < 0)
            return -1;
        t->begun = true;
        t->upto = v->last_seq;
        return 0;
    }
    struct ends ends = {.last = t->upto};
    struct store_query q = {.id = QUERY_LEDGER,
                            .after = t->upto,
                            .upto = v->last_seq,
                            .kind = EVENT_ID_ATTEMPT_ENDED,
                            .limit = STORE_LIMIT};
    if (q.after == q.upto)
        return 0;
    ends.items = mem_alloc(STORE_LIMIT, sizeof *ends.items);
    int rc = ops->read(r, &q, on_end, &ends, e);
    for (size_t i = 0; rc == 0 && i < ends.count; i++)
        add(t, key_of_job(t, ops, r, ends.items[i].job), ends.items[i].run_ms);
    if (rc == 0)
        t->upto = ends.count == STORE_LIMIT ? ends.last : v->last_seq;
    free(ends.items);
    return rc;
}

int64_t run_times_expect_ms(struct run_times *t, const struct store_ops *ops,
                            struct store_reader *r, const struct job *j)
{
    if (!t->all.count)
        return -1;
    uint64_t key = key_of_job(t, ops, r, j->id);
    const struct mean *m = &t->by_key[key % SLOTS];
    if (!key || m->key != key || !m->count)
        m = &t->all;
    return m->sum_ms / m->count;
}
