/*
 * The list of jobs, newest first: open ones from the snapshot and ended ones from the store, merged
 * by their numbers. Both are walked until the page is full or enough was looked at: a filter that
 * matches little gives short pages, each of them soon.
 */
#include "api/door.h"
#include "api/handlers.h"
#include "api/job_filter.h"
#include "api/job_json.h"
#include "base/mem.h"

/* What one page may look at, at most; a few ten milliseconds each. */
enum {
    OPEN_LOOKS = 100000,  /* rows in memory */
    RECORD_LOOKS = 10000, /* of these, whose records must be read to tell */
    PAST_LOOKS = 10000,
    CHUNK = 1000,
};

/* Jobs that pass, in falling order of their numbers. */
struct source {
    struct job_entry *entries;
    size_t count, at, room;
    bool done;   /* nothing comes behind the entries */
    int64_t cut; /* DONE: the number down to which it has looked; 0: to the end */
};

struct listing {
    struct call *call;
    struct store_reader *reader;
    const struct fleet_view *view;
    struct job_filter filter;
    struct job_fields fields;
    bool with_spec; /* records are read with it */
    int64_t chunk;  /* how many to look for at once: more than a page, where few will pass */

    struct source open, past;
    struct tree_walk walk;
    bool more; /* open ones, at WALK */
    int64_t open_looks, record_looks, past_looks;
    int64_t before; /* of the past: where the next question begins */
};

static struct job_entry *source_add(struct source *s)
{
    if (s->count == s->room) {
        s->room = s->room ? 2 * s->room : 64;
        s->entries = mem_resize_array(s->entries, s->room);
    }
    s->entries[s->count] = (struct job_entry){0};
    return &s->entries[s->count++];
}

static void source_empty(struct source *s)
{
    for (size_t i = 0; i < s->count; i++)
        job_rows_done(&s->entries[i].rows);
    s->count = s->at = 0;
}

/* ---- open ones ---- */

static struct job_outline open_outline(const struct listing *l, const struct job *j)
{
    return (struct job_outline){j->id, j->principal, j->submitter, fleet_team(l->view, j),
                                j->state};
}

/* The shortest of the trees that have them all, by falling number. */
static void open_begin(struct listing *l, int64_t before)
{
    const struct fleet_view *v = l->view;
    const struct job_filter *f = &l->filter;
    uint64_t last = before ? (uint64_t)before - 1 : UINT64_MAX;
    bool by_owner = f->principal && f->states & 1U << JOB_QUEUED;
    const struct tree *tree = by_owner                       ? &v->by_owner
                              : f->states & 1U << JOB_QUEUED ? &v->by_id
                                                             : &v->running;
    struct tree_key upto = {by_owner ? (uint64_t)f->principal : 0, last};
    l->more = !f->none && f->states & JOBS_OPEN && tree_last(&l->walk, tree, &v->tree_nodes, upto);
    if (l->more && l->walk.key.a != upto.a)
        l->more = false;
}

/* Judges those of the chunk that nobody could yet, by their records, and drops who does not pass.
 */
static int open_judge(struct listing *l, struct job_entry **unsure, size_t count, struct err *e)
{
    struct source *s = &l->open;
    size_t kept = 0;
    if (!count)
        return 0;
    if (job_entries_read(engine_store(l->call->api->engine), l->reader, unsure, count, l->with_spec,
                         e) < 0)
        return -1;
    for (size_t i = 0; i < s->count; i++) {
        struct job_entry *en = &s->entries[i];
        struct job_outline outline = open_outline(l, en->open);
        if (job_filter_passes(&l->filter, &outline, en->rows.has_spec ? &en->rows.spec : NULL) ==
            FILTER_YES)
            s->entries[kept++] = *en;
        else
            job_rows_done(&en->rows);
    }
    s->count = kept;
    return 0;
}

static int open_refill(struct listing *l, struct err *e)
{
    struct source *s = &l->open;
    size_t unsure_count = 0, is_unsure[CHUNK];
    source_empty(s);
    while (l->more && !s->done && (int64_t)s->count < l->chunk) {
        const struct job *j = fleet_job_at(l->view, l->walk.value);
        struct job_outline outline = open_outline(l, j);
        enum filter_word word = job_filter_passes(&l->filter, &outline, NULL);
        if (word == FILTER_UNSURE)
            is_unsure[unsure_count++] = s->count;
        if (word != FILTER_NO)
            source_add(s)->open = j;
        uint64_t owner = l->walk.key.a;
        l->more = tree_previous(&l->walk) && l->walk.key.a == owner;
        l->open_looks++;
        s->done =
            l->open_looks == OPEN_LOOKS || l->record_looks + (int64_t)unsure_count == RECORD_LOOKS;
        if (s->done && l->more)
            s->cut = j->id;
    }
    s->done |= !l->more;
    l->record_looks += (int64_t)unsure_count;

    struct job_entry *unsure[CHUNK];
    for (size_t i = 0; i < unsure_count; i++)
        unsure[i] = &s->entries[is_unsure[i]];
    return open_judge(l, unsure, unsure_count, e);
}

/* ---- ended ones ---- */

static int on_past(void *arg, enum table_id table, const void *record)
{
    struct source *s = arg;
    if (table == TABLE_ID_JOB_HISTORY)
        job_rows_keep_history(&source_add(s)->rows, record);
    else if (s->count)
        job_rows_keep_spec(&s->entries[s->count - 1].rows, table, record);
    return 0;
}

static bool past_passes(const struct listing *l, const struct job_entry *en)
{
    static const struct job_spec_row unknown;
    const struct job_history_row *h = &en->rows.history;
    const struct job_spec_row *spec = en->rows.has_spec ? &en->rows.spec : &unknown;
    struct job_outline outline = {h->id, h->principal,
                                  en->rows.has_spec ? spec->submitter : h->principal, h->team,
                                  (unsigned)h->state};
    return job_filter_passes(&l->filter, &outline, spec) == FILTER_YES;
}

static int past_refill(struct listing *l, struct err *e)
{
    struct source *s = &l->past;
    const struct job_filter *f = &l->filter;
    unsigned ended = f->states & JOBS_ENDED;
    source_empty(s);
    if (f->none || !ended) {
        s->done = true;
        return 0;
    }
    int64_t left = PAST_LOOKS - l->past_looks, stopped = 0;
    struct store_query q = {.id = QUERY_HISTORY,
                            .principal = f->principal,
                            .before = l->before,
                            .state = ended & (ended - 1) ? -1 : __builtin_ctz(ended),
                            .team = f->team,
                            .limit = l->chunk,
                            .looks = left,
                            .ret_stopped = &stopped};
    if (engine_store(l->call->api->engine)->read(l->reader, &q, on_past, s, e) < 0)
        return -1;
    /* Of those that the store itself passed over we only know when it looked at all it might. */
    l->past_looks += (int64_t)s->count < l->chunk ? left : l->chunk;
    l->before = stopped;
    s->done = !stopped || l->past_looks >= PAST_LOOKS;
    s->cut = stopped;

    size_t kept = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (past_passes(l, &s->entries[i]))
            s->entries[kept++] = s->entries[i];
        else
            job_rows_done(&s->entries[i].rows);
    }
    s->count = kept;
    return 0;
}

/* ---- the page ---- */

struct page {
    struct job_entry *entries;
    size_t count;
    int64_t next; /* 0: it was the last one */
};

/* Moves on to an entry; another refill may hold none, though more come. */
static int settle(struct listing *l, struct source *s,
                  int (*refill)(struct listing *l, struct err *e), struct err *e)
{
    while (s->at == s->count && !s->done)
        if (refill(l, e) < 0)
            return -1;
    return 0;
}

static int64_t number_at(const struct source *s)
{
    return s->at < s->count ? job_entry_id(&s->entries[s->at]) : 0;
}

/* How far down this source is known now: entries of the other below it must wait. */
static int64_t known_to(const struct source *s)
{
    return s->at < s->count ? 0 : s->cut;
}

static int merge(struct listing *l, size_t most, struct page *ret, struct err *e)
{
    ret->entries = mem_new_array(struct job_entry, most);
    for (;;) {
        if (settle(l, &l->open, open_refill, e) < 0 || settle(l, &l->past, past_refill, e) < 0)
            return -1;
        int64_t open_id = number_at(&l->open), past_id = number_at(&l->past);
        int64_t id = open_id > past_id ? open_id : past_id;
        int64_t known = known_to(&l->open), past_known = known_to(&l->past);
        if (past_known > known)
            known = past_known;
        if (id <= known) {
            ret->next = known; /* also 0, when both are at their end */
            return 0;
        }
        if (ret->count == most) {
            ret->next = job_entry_id(&ret->entries[most - 1]);
            return 0;
        }
        struct source *from = open_id >= past_id ? &l->open : &l->past;
        ret->entries[ret->count++] = from->entries[from->at];
        from->entries[from->at++] = (struct job_entry){0};
        if (open_id == past_id) /* it ended between our two looks */
            l->past.at++;
    }
}

/* Names and specs of open jobs, where the reader may see them. */
static int read_records(struct listing *l, struct page *p, struct err *e)
{
    size_t count = 0;
    if (!l->with_spec && !job_fields_need_name(l->fields))
        return 0;
    auto_free struct job_entry **wanted = mem_new_array(struct job_entry *, p->count + 1);
    for (size_t i = 0; i < p->count; i++) {
        struct job_entry *en = &p->entries[i];
        if (en->open && !en->rows.has_spec &&
            caller_sight(&l->call->caller, en->open->principal, en->open->submitter) == SIGHT_ALL)
            wanted[count++] = en;
    }
    return job_entries_read(engine_store(l->call->api->engine), l->reader, wanted, count,
                            l->with_spec, e);
}

static void write_page(struct listing *l, const struct page *p)
{
    struct call *c = l->call;
    struct job_writer w = {.api = c->api,
                           .caller = &c->caller,
                           .view = l->view,
                           .now_ms = c->now_ms,
                           .fields = l->fields};
    struct json_out o = call_out(c);
    jo_object(&o, NULL);
    jo_list(&o, "items");
    for (size_t i = 0; i < p->count; i++) {
        const struct job_entry *en = &p->entries[i];
        const struct job_rows *rows = &en->rows;
        struct job_facts f;
        if (en->open) {
            job_facts_of_open(l->view, en->open, &f);
            f.name = rows->spec.name;
            f.spec = rows->spec.spec;
        } else {
            job_facts_of_ended(&rows->history, rows->has_spec ? &rows->spec : NULL, &f);
        }
        job_write(&w, &o, &f);
    }
    jo_end(&o);
    call_write_cursor(&o, p->next);
    jo_end(&o);
    job_writer_done(&w);
}

static int list_jobs(struct listing *l, struct err *e)
{
    struct page page = {0};
    struct call *c = l->call;
    if (job_filter_read(c, l->view, &l->filter, e) < 0 ||
        job_fields_read(c, true, &l->fields, e) < 0)
        return -1;
    if (job_fields_need_expected(l->fields))
        expected_refresh(c->api, l->reader);
    l->with_spec = job_fields_need_spec(l->fields) || l->filter.label_count;
    l->chunk = l->filter.text || l->filter.label_count ? CHUNK : c->limit;
    l->before = c->cursor;
    open_begin(l, c->cursor);
    int rc = merge(l, (size_t)c->limit, &page, e);
    if (rc == 0)
        rc = read_records(l, &page, e);
    if (rc == 0)
        write_page(l, &page);
    for (size_t i = 0; i < page.count; i++)
        job_rows_done(&page.entries[i].rows);
    free(page.entries);
    return rc;
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
    struct listing l = {.call = c, .reader = r, .view = &v->fleet};
    int rc = list_jobs(&l, e);
    struct source *sources[] = {&l.open, &l.past};
    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        source_empty(sources[i]);
        free(sources[i]->entries);
    }
    engine_view_release(g, v);
    return rc;
}
