/* The list of jobs, newest first: open ones from the snapshot and ended ones from the store, merged
 * by their numbers. */
#include "api/door.h"
#include "api/handlers.h"
#include "api/job_json.h"
#include "api/job_rows.h"
#include "base/mem.h"

enum {
    OPEN_STATES = 1 << JOB_QUEUED | 1 << JOB_SCHEDULED | 1 << JOB_RUNNING,
    ENDED_STATES = 1 << JOB_COMPLETED | 1 << JOB_FAILED | 1 << JOB_CANCELLED,
};

struct job_filter {
    int64_t principal; /* 0: any */
    const char *team;  /* NULL: any */
    unsigned states;   /* a bit each */
    bool none;         /* nothing can match */
};

/* ---- what is asked for ---- */

static int read_states(const char *list, unsigned *ret, struct err *e)
{
    char word[16];
    *ret = 0;
    for (;;) {
        size_t len = strcspn(list, ",");
        snprintf(word, sizeof word, "%.*s", (int)(len < sizeof word ? len : sizeof word), list);
        int state = job_state_find(word);
        if (state < 0 || strcmp(job_state_name((enum job_state)state), word) != 0) {
            err_set(e, ERR_INVALID, "parameter state: '%.40s' is no state of a job", word);
            return err_blame(e, "state");
        }
        *ret |= 1U << state;
        if (!list[len])
            return 0;
        list += len + 1;
    }
}

static int read_name(struct call *c, const char *name, const char **ret, struct err *e)
{
    *ret = http_query_get(c->request, name);
    if (!*ret || text_is_name(*ret, FLEET_NAME - 1))
        return 0;
    err_set(e, ERR_INVALID, "parameter %s must be letters, digits, '.', '_' and '-'", name);
    return err_blame(e, "%s", name);
}

static int read_filter(struct call *c, const struct fleet_view *v, struct job_filter *ret,
                       struct err *e)
{
    const char *user, *states = http_query_get(c->request, "state");
    *ret = (struct job_filter){.states = OPEN_STATES | ENDED_STATES};
    if (read_name(c, "user", &user, e) < 0 || read_name(c, "team", &ret->team, e) < 0 ||
        (states && read_states(states, &ret->states, e) < 0))
        return -1;
    if (user) {
        const struct principal *p = fleet_principal_named(v, user);
        ret->principal = p ? p->id : 0;
        ret->none = !p;
    }
    return 0;
}

/* A question about what the reader may not see finds nothing, else asking would tell it. */
static bool passes(struct call *c, const struct job_filter *f, int64_t principal, int64_t submitter,
                   const char *team, unsigned state)
{
    if (!(f->states & 1U << state) || (f->principal && f->principal != principal))
        return false;
    enum sight sight = caller_sight(&c->caller, principal, submitter);
    if (f->principal && !caller_sees_user(c->api, sight))
        return false;
    return !f->team || (sight >= SIGHT_COST && strcmp(f->team, team ? team : "") == 0);
}

/* ---- the two sources ---- */

struct open_walk {
    struct call *call;
    const struct fleet_view *view;
    const struct job_filter *filter;
    struct tree_walk walk;
    bool more;
};

static void open_settle(struct open_walk *w)
{
    const struct job_filter *f = w->filter;
    for (; w->more; w->more = tree_previous(&w->walk)) {
        if (f->principal && w->walk.key.a != (uint64_t)f->principal) {
            w->more = false;
            return;
        }
        const struct job *j = fleet_job_at(w->view, w->walk.value);
        if (passes(w->call, f, j->principal, j->submitter, fleet_team(w->view, j), j->state))
            return;
    }
}

static void open_begin(struct open_walk *w, int64_t before)
{
    const struct fleet_view *v = w->view;
    const struct job_filter *f = w->filter;
    struct tree_key upto = {(uint64_t)f->principal, before ? (uint64_t)before - 1 : UINT64_MAX};
    w->more = !f->none && f->states & OPEN_STATES &&
              tree_last(&w->walk, f->principal ? &v->by_owner : &v->by_id, &v->tree_nodes, upto);
    open_settle(w);
}

struct past_walk {
    struct call *call;
    struct store_reader *reader;
    const struct job_filter *filter;
    struct job_rows *rows;
    size_t count, at;
    int64_t before;
    int64_t page;
    bool done, cut; /* CUT: too many rows had to be looked at */
};

static int on_past(void *arg, enum table_id table, const void *record)
{
    struct past_walk *w = arg;
    if (table == TABLE_ID_JOB_HISTORY) {
        w->rows = mem_resize_array(w->rows, w->count + 1);
        w->rows[w->count] = (struct job_rows){0};
        job_rows_keep_history(&w->rows[w->count++], record);
    } else if (w->count) {
        job_rows_keep_spec(&w->rows[w->count - 1], table, record);
    }
    return 0;
}

static void past_forget(struct past_walk *w)
{
    for (size_t i = 0; i < w->count; i++)
        job_rows_done(&w->rows[i]);
    w->count = w->at = 0;
}

static bool past_passes(const struct past_walk *w)
{
    const struct job_rows *r = &w->rows[w->at];
    const struct job_history_row *h = &r->history;
    int64_t submitter = r->has_spec ? r->spec.submitter : h->principal;
    return passes(w->call, w->filter, h->principal, submitter, h->team, (unsigned)h->state);
}

/* Moves on to a row that passes, reading another page when there is none. */
static int past_settle(struct past_walk *w, struct err *e)
{
    const struct job_filter *f = w->filter;
    unsigned ended = f->states & ENDED_STATES;
    if (f->none || !ended)
        w->done = true;
    for (;;) {
        for (; w->at < w->count; w->at++)
            if (past_passes(w))
                return 0;
        if (w->done)
            return 0;
        past_forget(w);
        struct store_query q = {.id = QUERY_HISTORY,
                                .principal = f->principal,
                                .before = w->before,
                                .state = ended & (ended - 1) ? -1 : __builtin_ctz(ended),
                                .team = f->team,
                                .limit = w->page};
        struct err why = {0};
        if (engine_store(w->call->api->engine)->read(w->reader, &q, on_past, w, &why) < 0) {
            if (why.code != ERR_TIMEOUT || !w->count) {
                *e = why;
                return -1;
            }
            w->cut = true;
        }
        w->done = w->cut || (int64_t)w->count < w->page;
        if (w->count)
            w->before = w->rows[w->count - 1].history.id;
    }
}

/* ---- the page ---- */

struct entry {
    const struct job *open; /* NULL: it has ended, and ROWS has it */
    struct job_rows rows;
};

struct page {
    struct entry *entries;
    size_t count;
    int64_t next; /* 0: it was the last one */
};

static int64_t entry_id(const struct entry *en)
{
    return en->open ? en->open->id : en->rows.history.id;
}

static int merge(struct open_walk *open, struct past_walk *past, size_t most, struct page *ret,
                 struct err *e)
{
    ret->entries = mem_new_array(struct entry, most);
    for (;;) {
        if (past_settle(past, e) < 0)
            return -1;
        int64_t open_id = open->more ? fleet_job_at(open->view, open->walk.value)->id : 0;
        int64_t past_id = past->at < past->count ? past->rows[past->at].history.id : 0;
        bool at_end = !open_id && !past_id;
        if (at_end || ret->count == most) {
            if (ret->count && (!at_end || past->cut))
                ret->next = entry_id(&ret->entries[ret->count - 1]);
            else if (past->cut)
                ret->next = past->before;
            return 0;
        }
        struct entry *en = &ret->entries[ret->count++];
        if (open_id >= past_id) {
            en->open = fleet_job_at(open->view, open->walk.value);
            open->more = tree_previous(&open->walk);
            open_settle(open);
        } else {
            en->rows = past->rows[past->at];
            past->rows[past->at] = (struct job_rows){0};
        }
        if (past_id >= open_id)
            past->at++;
    }
}

/* Ids fall along the page. */
static int on_cold(void *arg, enum table_id table, const void *record)
{
    struct page *p = arg;
    const struct job_spec_row *spec = record;
    size_t low = 0, high = p->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (entry_id(&p->entries[middle]) > spec->id)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < p->count && entry_id(&p->entries[low]) == spec->id)
        job_rows_keep_spec(&p->entries[low].rows, table, spec);
    return 0;
}

/* Names and specs of open jobs, where the reader may see them: as a range when most of it is
 * wanted, else one by one. */
static int read_cold(struct call *c, struct store_reader *r, struct page *p, struct err *e)
{
    const struct store_ops *ops = engine_store(c->api->engine);
    int64_t most = 0, least = 0, wanted = 0;
    for (size_t i = 0; i < p->count; i++) {
        const struct job *j = p->entries[i].open;
        if (!j || caller_sight(&c->caller, j->principal, j->submitter) != SIGHT_ALL)
            continue;
        most = most ? most : j->id;
        least = j->id;
        wanted++;
    }
    struct store_query range = {
        .id = QUERY_JOBS, .from = least, .upto = most, .limit = STORE_LIMIT};
    if (wanted > 1 && most - least < 4 * wanted && ops->read(r, &range, on_cold, p, e) < 0)
        return -1;
    for (size_t i = 0; i < p->count; i++) {
        struct entry *en = &p->entries[i];
        const struct job *j = en->open;
        if (j && !en->rows.has_spec &&
            caller_sight(&c->caller, j->principal, j->submitter) == SIGHT_ALL &&
            job_rows_read_spec(ops, r, j->id, &en->rows, e) < 0)
            return -1;
    }
    return 0;
}

static void write_page(struct call *c, const struct fleet_view *v, const struct page *p)
{
    struct job_writer w = {.api = c->api, .caller = &c->caller, .view = v, .now_ms = c->now_ms};
    struct json_out o = call_out(c);
    jo_object(&o, NULL);
    jo_list(&o, "items");
    for (size_t i = 0; i < p->count; i++) {
        const struct entry *en = &p->entries[i];
        const struct job_rows *rows = &en->rows;
        struct job_facts f;
        if (en->open) {
            job_facts_of_open(v, en->open, &f);
            f.position = fleet_position(v, en->open);
            f.name = rows->spec.name;
            f.spec = rows->spec.spec;
        } else {
            job_facts_of_ended(&rows->history, rows->has_spec ? &rows->spec : NULL, &f);
        }
        jo_object(&o, NULL);
        job_write(&w, &o, &f);
        jo_end(&o);
    }
    jo_end(&o);
    call_write_cursor(&o, p->next);
    jo_end(&o);
    job_writer_done(&w);
}

/*
 * The snapshot comes first, so a job that ends in between is in both and taken once. One that is
 * retried in between is in neither and missing from this page; the list's tag changes with it, so
 * who polls has it with the next look.
 */
int read_jobs(struct call *c, struct store_reader *r, struct err *e)
{
    struct engine *g = c->api->engine;
    const struct engine_view *v = engine_view_get(g);
    struct job_filter filter;
    struct page page = {0};
    int rc = read_filter(c, &v->fleet, &filter, e);
    if (rc == 0) {
        struct open_walk open = {.call = c, .view = &v->fleet, .filter = &filter};
        struct past_walk past = {
            .call = c, .reader = r, .filter = &filter, .before = c->cursor, .page = c->limit + 1};
        open_begin(&open, c->cursor);
        rc = merge(&open, &past, (size_t)c->limit, &page, e);
        past_forget(&past);
        free(past.rows);
    }
    if (rc == 0)
        rc = read_cold(c, r, &page, e);
    if (rc == 0)
        write_page(c, &v->fleet, &page);
    for (size_t i = 0; i < page.count; i++)
        job_rows_done(&page.entries[i].rows);
    free(page.entries);
    engine_view_release(g, v);
    return rc;
}
