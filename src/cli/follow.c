#include "cli/follow.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "cli/json_view.h"
#include "net/backoff.h"

#include <inttypes.h>
#include <time.h>

bool job_has_ended(const json_t *job)
{
    const char *state = view_text(job, "state");
    return strcmp(state, "Completed") == 0 || strcmp(state, "Failed") == 0 ||
           strcmp(state, "Cancelled") == 0;
}

static void wait_ms(int64_t ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

/* While the server is away: about two minutes in all, then it is an error. */
static bool may_try_again(const struct err *e, unsigned *failures)
{
    if (!err_is_temporary(e->code) || ++*failures > 60)
        return false;
    wait_ms(backoff_ms(*failures, 100, 2000, random_u64()));
    return true;
}

/* The job when it has changed; asks more seldom the longer nothing happens. A question that is
 * answered by "not modified" costs the server a fifth of a millisecond at most. */
static int next_change(struct client *c, int64_t id, struct client_etag *etag, json_t **ret,
                       struct err *e)
{
    char path[64];
    unsigned failures = 0;
    int64_t pause_ms = 50, begin_ms = clock_mono_ms();
    snprintf(path, sizeof path, "/api/v1/jobs/%" PRId64, id);
    for (;;) {
        struct err trouble = {0};
        if (client_get_changed(c, path, etag, ret, &trouble) == 0) {
            failures = 0;
            if (*ret)
                return 0;
        } else if (!may_try_again(&trouble, &failures)) {
            *e = trouble;
            return -1;
        }
        wait_ms(pause_ms);
        int64_t most_ms = clock_mono_ms() - begin_ms < 60000 ? 200 : 1000;
        pause_ms = pause_ms * 3 / 2 < most_ms ? pause_ms * 3 / 2 : most_ms;
    }
}

int follow_job(struct client *c, int64_t id, void (*on_change)(void *arg, const json_t *job),
               void *arg, json_t **ret, struct err *e)
{
    struct client_etag etag = {0};
    auto_free char *last = mem_strdup("");
    for (;;) {
        auto_json json_t *job = NULL;
        if (next_change(c, id, &etag, &job, e) < 0)
            return -1;
        auto_free char *now = mem_printf("%s %" PRId64 " %" PRId64, view_text(job, "state"),
                                         view_int(job, "position", 0), view_int(job, "attempt", 0));
        if (strcmp(now, last) != 0 && on_change)
            on_change(arg, job);
        free(last);
        last = TAKE(now);
        if (job_has_ended(job)) {
            *ret = TAKE(job);
            return 0;
        }
        if (!*etag.text)
            wait_ms(200); /* a server without ETags would be asked without a pause */
    }
}

/* ---- output ---- */

struct output {
    int64_t offset; /* of the next byte to ask for */
    bool closed;    /* nobody reads what we write */
};

static bool write_out(void *arg, const char *bytes, size_t len)
{
    struct output *o = arg;
    o->offset += (int64_t)len;
    if (fwrite(bytes, 1, len, stdout) != len || fflush(stdout) != 0)
        o->closed = true;
    return !o->closed;
}

static void logs_path(struct text *path, int64_t id, int64_t attempt)
{
    text_clear(path);
    text_addf(path, "/api/v1/jobs/%" PRId64 "/logs?", id);
    if (attempt)
        text_addf(path, "attempt=%" PRId64 "&", attempt);
}

/* What is there by now. The server says where to go on, which knows of what it left out. */
static int print_present(struct client *c, int64_t id, int64_t attempt, int64_t tail,
                         struct output *o, struct err *e)
{
    auto_text struct text path = {0};
    for (size_t len = 1; len && !o->closed; tail = -1) {
        auto_free char *bytes = NULL;
        logs_path(&path, id, attempt);
        if (tail >= 0)
            text_addf(&path, "tail=%" PRId64, tail);
        else
            text_addf(&path, "offset=%" PRId64, o->offset);
        if (client_get_text(c, path.data, &bytes, &len, e) < 0)
            return -1;
        int64_t before = o->offset, next;
        write_out(o, bytes, len);
        if (text_to_int(client_header(c, "Reeve-Log-Next"), 0, INT64_MAX, "offset", &next, NULL) ==
            0)
            o->offset = next;
        else if (tail >= 0)
            len = 0; /* where we are in it is not known, so there is no going on */
        if (o->offset <= before)
            len = 0;
    }
    return 0;
}

/* The output of one attempt until it ends, across broken connections. */
static int print_coming(struct client *c, int64_t id, int64_t attempt, struct output *o,
                        struct err *e)
{
    auto_text struct text path = {0};
    unsigned failures = 0;
    for (;;) {
        struct err trouble = {0};
        int64_t before = o->offset;
        logs_path(&path, id, attempt);
        text_addf(&path, "follow=true&offset=%" PRId64, o->offset);
        if (client_stream(c, path.data, 0, write_out, o, &trouble) == 0 || o->closed)
            return 0;
        if (o->offset > before)
            failures = 0;
        if (!may_try_again(&trouble, &failures)) {
            *e = trouble;
            return -1;
        }
    }
}

int follow_logs(struct client *c, int64_t id, const struct follow_logs *how, struct err *e)
{
    struct output o = {0};
    struct client_etag etag = {0};
    int64_t tail = how->tail, shown = 0;
    if (!how->follow)
        return print_present(c, id, how->attempt, tail, &o, e);

    while (!o.closed) {
        auto_json json_t *job = NULL;
        if (next_change(c, id, &etag, &job, e) < 0)
            return -1;
        bool ended = job_has_ended(job);
        int64_t n = how->attempt ? how->attempt : view_int(job, "attempt", 0);
        if (!ended && strcmp(view_text(job, "state"), "Running") != 0) {
            wait_ms(*etag.text ? 0 : 200);
            continue;
        }
        if (!n)
            return 0; /* it ended before it was ever tried */
        if (shown && n != shown)
            fprintf(stderr, "reeve: attempt %" PRId64 "\n", n);
        if (n != shown)
            o.offset = 0;
        if ((n != shown || ended) && print_present(c, id, n, n != shown ? tail : -1, &o, e) < 0)
            return -1;
        if (ended)
            return 0;
        if (print_coming(c, id, n, &o, e) < 0)
            return -1;
        /* The stream ended: the job did, or the server. Look again, whatever we knew. */
        shown = n;
        tail = -1;
        etag = (struct client_etag){0};
        wait_ms(50);
    }
    return 0;
}
