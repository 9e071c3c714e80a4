#include "api/logs.h"

#include "api/auth.h"
#include "api/door.h"
#include "api/handlers.h"
#include "api/job_rows.h"
#include "api/job_show.h"
#include "base/mem.h"

enum {
    FIRST_BYTES = 128 * 1024, /* an answer that fits needs no stream */
    PIECE_BYTES = 64 * 1024,
    GRACE_TICKS = 4, /* for the last output of an attempt that is over */
};

/* Which bytes, and how far we are. Shared by the first look and by who follows. */
struct log_place {
    struct log_ref ref;
    bool fixed; /* the attempt was named: no other one is shown */
    bool follow;
    int64_t next;     /* offset to read from */
    int64_t stop;     /* not FOLLOW: ends here */
    struct text text; /* read and not yet handed on */
    bool ended;       /* nothing follows NEXT in this attempt */
};

struct follower {
    struct api *api;
    struct follower *next, **link;
    struct http_stream *stream; /* NULL: gone */
    struct log_place place;
    struct log_watch *watch;
    struct log_ref watched;
    bool reading;       /* a worker has PLACE and WATCH */
    bool blocked;       /* PLACE.text waits for the reader */
    bool again;         /* something changed while a worker read */
    bool notified;      /* atomic: a message of on_change() is on its way */
    bool closing;       /* that message may free it */
    bool ending;        /* its end is on its way to the reader */
    int64_t over_ticks; /* since the attempt is over */
    struct caller caller;
    struct err err;
};

struct log_followers {
    struct api *api;
    struct follower *first;
};

struct log_followers *logs_new(struct api *a)
{
    struct log_followers *l = mem_new(struct log_followers);
    l->api = a;
    return l;
}

void logs_free(struct log_followers *l)
{
    free(l);
}

/* ---- reading, on a worker ---- */

/* The next piece behind what is there already; a line of ours stands for bytes that are missing. */
static int read_piece(const struct api *a, struct log_place *p, int64_t room, bool say_gap,
                      struct err *e)
{
    const struct api_config *config = &a->config;
    struct log_piece piece = {0};
    if (!p->follow && p->stop - p->next < room)
        room = p->stop - p->next;
    if (room <= 0) {
        p->ended = true;
        return 0;
    }
    auto_free char *bytes = mem_alloc(1, (size_t)room);
    if (config->log_ops->read(config->logs, p->ref, p->next, bytes, room, &piece, e) < 0)
        return -1;
    if (piece.len && piece.offset > p->next && say_gap)
        text_addf(&p->text, "[reeve: %lld bytes are missing here]\n",
                  (long long)(piece.offset - p->next));
    text_add_bytes(&p->text, bytes, (size_t)piece.len);
    if (piece.len)
        p->next = piece.offset + piece.len;
    p->ended = piece.ended || (!p->follow && (!piece.len || p->next >= p->stop));
    return 0;
}

static void follow_on_worker(void *state, void *arg);
static void on_followed(void *arg);

/* ---- following ---- */

static void on_change_message(void *arg);

/* Any thread, with the store's lock held. */
static void on_change(void *arg)
{
    struct follower *f = arg;
    if (!__atomic_exchange_n(&f->notified, true, __ATOMIC_ACQ_REL))
        mailbox_post_answer(f->api->box, on_change_message, f);
}

static void look(struct follower *f)
{
    if (f->ending)
        return;
    if (f->reading || f->blocked || !f->stream) {
        f->again = true;
        return;
    }
    f->again = false;
    f->reading = true;
    if (!api_work(f->api, follow_on_worker, on_followed, f)) {
        f->reading = false;
        f->again = true; /* the next tick tries again */
    }
}

static void free_follower(struct follower *f)
{
    text_done(&f->place.text);
    free(f);
}

static void on_change_message(void *arg)
{
    struct follower *f = arg;
    __atomic_store_n(&f->notified, false, __ATOMIC_RELEASE);
    if (f->closing)
        free_follower(f);
    else
        look(f);
}

static void unwatch(void *state, void *arg)
{
    struct follower *f = arg;
    (void)state;
    if (f->watch)
        f->api->config.log_ops->unwatch(f->watch);
    f->watch = NULL;
}

static void finish_close(struct follower *f)
{
    f->closing = true;
    if (!__atomic_load_n(&f->notified, __ATOMIC_ACQUIRE))
        free_follower(f);
}

static void on_unwatched(void *arg)
{
    struct follower *f = arg;
    struct api *a = f->api;
    finish_close(f);
    api_work_done(a);
}

static void close_follower(struct follower *f)
{
    if (f->watch && api_work(f->api, unwatch, on_unwatched, f))
        return;
    unwatch(NULL, f); /* all workers are busy: rather wait for a lock than leave it */
    finish_close(f);
}

static void on_close(void *arg, struct http_stream *s)
{
    struct follower *f = arg;
    (void)s;
    f->stream = NULL;
    *f->link = f->next;
    if (f->next)
        f->next->link = f->link;
    if (!f->reading)
        close_follower(f);
}

static void follow_on_worker(void *state, void *arg)
{
    struct follower *f = arg;
    const struct api_config *config = &f->api->config;
    struct log_place *p = &f->place;
    if (p->follow && (!f->watch || f->watched.n != p->ref.n)) {
        unwatch(state, f);
        f->watched = p->ref;
        f->watch = config->log_ops->watch(config->logs, p->ref, on_change, f);
    }
    read_piece(f->api, p, PIECE_BYTES, true, &f->err);
}

/* What the snapshot says of the job. */
static bool job_is_open(struct api *a, int64_t job, int64_t *ret_attempts, bool *ret_runs)
{
    const struct engine_view *v = engine_view_get(a->engine);
    const struct job *j = fleet_job(&v->fleet, job);
    *ret_attempts = j ? j->attempts : 0;
    *ret_runs = j && j->attempt != NO_ROW;
    engine_view_release(a->engine, v);
    return j != NULL;
}

static void end_stream(struct follower *f)
{
    f->ending = true;
    http_stream_end(f->stream);
}

/* Everything there is was handed on: is that all, does another attempt follow, or do we wait? */
static void at_end(struct follower *f)
{
    struct log_place *p = &f->place;
    int64_t attempts;
    bool runs, open = job_is_open(f->api, p->ref.job, &attempts, &runs);
    if (!p->follow) {
        end_stream(f);
        return;
    }
    bool over = !open || attempts > p->ref.n || (attempts == p->ref.n && !runs);
    if (over && !p->ended) {
        /* Its last lines may still be on their way. */
        if (f->over_ticks < GRACE_TICKS)
            return;
    } else if (!p->ended) {
        f->over_ticks = 0;
        return;
    }
    if (p->fixed || !open) {
        end_stream(f);
    } else if (attempts > p->ref.n) {
        text_addf(&p->text, "[reeve: attempt %lld]\n", (long long)attempts);
        p->ref.n = attempts;
        p->next = 0;
        p->ended = false;
        f->over_ticks = 0;
        look(f);
    }
}

static void hand_on(struct follower *f)
{
    struct log_place *p = &f->place;
    size_t len = p->text.len;
    if (len && !http_stream_write(f->stream, text_get(&p->text), len)) {
        f->blocked = true;
        return;
    }
    f->blocked = false;
    text_clear(&p->text);
    if (len && !p->ended)
        look(f);
    else if (f->again && !p->ended)
        look(f);
    else
        at_end(f);
}

static void on_followed(void *arg)
{
    struct follower *f = arg;
    struct api *a = f->api;
    f->reading = false;
    if (!f->stream)
        close_follower(f);
    else if (f->err.code != ERR_NONE)
        http_stream_cut(f->stream);
    else
        hand_on(f);
    api_work_done(a);
}

static void on_drained(void *arg, struct http_stream *s)
{
    struct follower *f = arg;
    (void)s;
    if (f->blocked)
        hand_on(f);
}

void logs_tick(struct log_followers *l)
{
    for (struct follower *f = l->first, *next; f; f = next) {
        next = f->next;
        if (f->reading || f->blocked || f->ending)
            continue;
        if (!auth_still_holds(l->api, &f->caller)) {
            end_stream(f);
            continue;
        }
        f->over_ticks++;
        if (f->again)
            look(f);
        else
            at_end(f);
    }
}

void logs_on_events(struct log_followers *l, const struct event_run *r)
{
    for (struct follower *f = l->first; f; f = f->next)
        for (size_t i = 0; i < r->count; i++)
            if (event_subject(r->events[i].kind) == SUBJECT_JOB &&
                r->events[i].subject == f->place.ref.job) {
                look(f);
                break;
            }
}

/* ---- the first look ---- */

struct log_request {
    struct log_place place;
    int64_t tail;    /* -1: not given */
    int64_t offset;  /* of the first byte shown */
    int64_t attempt; /* 0: the newest */
};

static void free_request(void *p)
{
    struct log_request *q = p;
    text_done(&q->place.text);
    free(q);
}

static int find_attempt(struct call *c, struct store_reader *r, struct log_request *q,
                        struct err *e)
{
    int64_t attempts, principal, submitter;
    bool runs;
    if (job_find_owner(c, r, c->subject, &principal, &submitter, NULL, e) < 0)
        return -1;
    if (caller_sight(&c->caller, principal, submitter) != SIGHT_ALL)
        return err_set(e, ERR_DENIED, "the output of job %lld belongs to somebody else",
                       (long long)c->subject);
    if (!job_is_open(c->api, c->subject, &attempts, &runs)) {
        struct job_rows rows = {0};
        int rc = job_rows_read_history(engine_store(c->api->engine), r, c->subject, &rows, e);
        attempts = rows.history.attempts;
        job_rows_done(&rows);
        if (rc < 0)
            return -1;
    }
    if (q->attempt > attempts) {
        err_set(e, ERR_NOT_FOUND, "job %lld has no attempt %lld", (long long)c->subject,
                (long long)q->attempt);
        return err_blame(e, "attempt");
    }
    q->place.fixed = q->attempt != 0;
    q->place.ref.job = c->subject;
    q->place.ref.n = q->attempt ? q->attempt : attempts ? attempts : 1;
    return 0;
}

static int open_log(struct call *c, struct store_reader *r, struct err *e)
{
    struct log_request *q = c->own;
    struct log_place *p = &q->place;
    struct log_info info;
    if (find_attempt(c, r, q, e) < 0 ||
        c->api->config.log_ops->info(c->api->config.logs, p->ref, &info, e) < 0)
        return -1;
    p->stop = info.end;
    if (q->tail >= 0)
        p->next = info.end > q->tail ? info.end - q->tail : 0;
    int64_t asked = p->next;
    if (read_piece(c->api, p, FIRST_BYTES, false, e) < 0)
        return -1;
    /* What is no longer kept was passed over. */
    q->offset = p->text.len ? p->next - (int64_t)p->text.len : asked;
    return 0;
}

static void add_follower(struct api *a, struct call *c)
{
    struct log_request *q = c->own;
    struct log_followers *l = a->followers;
    struct follower *f = mem_new(struct follower);
    struct http_stream_events on = {.on_close = on_close, .on_drained = on_drained, .arg = f};
    f->api = a;
    f->caller = c->caller;
    f->place = q->place;
    q->place.text = (struct text){0};
    f->stream = http_stream_begin(c->request, 200, c->answer.type, c->answer.headers, &on);
    if (!f->stream) { /* the reader has gone, or no descriptor is left, and that was answered */
        close_follower(f);
        return;
    }
    f->next = l->first;
    f->link = &l->first;
    if (f->next)
        f->next->link = &f->next;
    l->first = f;
    /* Between our first look and the watch something may have come. */
    f->again = true;
    f->place.ended = false;
    hand_on(f);
}

static void answer_log(struct call *c)
{
    struct log_request *q = c->own;
    struct log_place *p = &q->place;
    char number[24];
    bool is_head = http_request_method(c->request) == HTTP_HEAD;
    c->answer.type = "text/plain; charset=utf-8";
    snprintf(number, sizeof number, "%lld", (long long)q->offset);
    call_header(c, "Reeve-Log-Offset", number);
    call_header(c, "X-Content-Type-Options", "nosniff");
    if (p->follow) {
        call_header(c, "Cache-Control", "no-store");
    } else {
        snprintf(number, sizeof number, "%lld", (long long)(p->next > p->stop ? p->next : p->stop));
        call_header(c, "Reeve-Log-Next", number);
    }
    if (is_head || (!p->follow && p->ended)) {
        c->answer.body = p->text;
        p->text = (struct text){0};
        call_answer(c);
        return;
    }
    add_follower(c->api, c);
}

void serve_job_logs(struct call *c)
{
    struct log_request *q = mem_new(struct log_request);
    struct err e = {0};
    c->own = q;
    c->own_free = free_request;
    if (call_param_id(c, 0, "job", &c->subject, &e) < 0 ||
        call_query_bool(c, "follow", &q->place.follow, &e) < 0 ||
        call_query_int(c, "offset", 0, (INT64_C(1) << 53) - 1, 0, &q->place.next, &e) < 0 ||
        call_query_int(c, "tail", 0, 1 << 30, -1, &q->tail, &e) < 0 ||
        call_query_int(c, "attempt", 1, 1000000, 0, &q->attempt, &e) < 0) {
        call_fail(c, &e);
        return;
    }
    if (q->tail >= 0 && http_query_get(c->request, "offset")) {
        err_set(&e, ERR_INVALID, "parameters offset and tail exclude each other");
        err_blame(&e, "tail");
        call_fail(c, &e);
        return;
    }
    call_read(c, open_log, answer_log);
}
