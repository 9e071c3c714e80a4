#include "redis/scan.h"

#include "base/digest.h"
#include "base/mem.h"

#include <inttypes.h>

enum { ELEMENTS = 1000 /* of the list at a time: about 1 ms of Redis' own time */ };

struct scan {
    struct redis *redis;
    struct gather *gather;
    void (*on_done)(void *arg, struct scan_result *s);
    void *arg;
    bool running;
    struct scan_result result;
    size_t at;            /* in the list, from the right */
    size_t came;          /* elements of the piece just read */
    size_t stale;         /* of them: to be removed */
    struct text removing; /* arguments, each with a NUL behind it */
};

struct scan *scan_new(struct redis *r, struct gather *g,
                      void (*on_done)(void *arg, struct scan_result *s), void *arg)
{
    struct scan *s = mem_new(struct scan);
    s->redis = r;
    s->gather = g;
    s->on_done = on_done;
    s->arg = arg;
    return s;
}

static void clear(struct scan *s)
{
    lines_done(&s->result.list);
    lines_done(&s->result.hash);
    s->result = (struct scan_result){.is_sure = true};
    text_clear(&s->removing);
    s->at = s->came = s->stale = 0;
}

void scan_free(struct scan *s)
{
    if (!s)
        return;
    clear(s);
    text_done(&s->removing);
    free(s);
}

void scan_cancel(struct scan *s)
{
    s->running = false;
}

static bool useful(struct scan *s, const struct redis_reply *r)
{
    if (!r || !s->running || !redis_link_is_up(s->redis->link))
        return false;
    if (r->type != REDIS_ERROR)
        return true;
    redis_give_up(s->redis, "the mirror cannot be read", r);
    return false;
}

/* "job:hash" -> the line that it is; NULL: none that is wanted. */
static struct line *known(const struct scan *s, const char *token, bool waiting)
{
    const char *colon = strchr(token, ':');
    struct line *line = colon ? gather_find(s->gather, strtoll(token, NULL, 10), waiting) : NULL;
    return line && strcmp(line->hash, colon + 1) == 0 ? line : NULL;
}

static void add_argument(struct scan *s, const char *word)
{
    text_add_bytes(&s->removing, word, strlen(word) + 1);
}

/* ARGS[FIRST...] become what add_argument() gathered. Returns how many there are then. */
static size_t take_arguments(const struct scan *s, struct redis_arg *args, size_t first)
{
    const char *at = s->removing.data, *end = at + s->removing.len;
    for (; at < end; at += strlen(at) + 1)
        args[first++] = redis_arg(at);
    return first;
}

/* ---- the hash ---- */

static void done(struct scan *s)
{
    lines_sort(&s->result.hash);
    s->running = false;
    s->on_done(s->arg, &s->result);
    clear(s);
}

static void scan_hash(struct scan *s, const char *cursor);

static void on_fields_removed(void *arg, const struct redis_reply *r)
{
    (void)useful(arg, r);
}

static void remove_fields(struct scan *s)
{
    auto_free struct redis_arg *args = mem_new_array(struct redis_arg, s->stale + 2);
    args[0] = redis_arg("HDEL");
    args[1] = redis_arg(KEY_RUNNING);
    size_t count = take_arguments(s, args, 2);
    redis_link_send(s->redis->link, args, count, on_fields_removed, s);
    text_clear(&s->removing);
    s->stale = 0;
}

static void on_fields(void *arg, const struct redis_reply *r)
{
    struct scan *s = arg;
    if (!useful(s, r))
        return;
    s->result.hash_others += redis_int(r, 1);
    for (size_t i = 2; i < r->count; i++) {
        const char *token = redis_text(r, i);
        int64_t job = strtoll(token, NULL, 10);
        struct line *line = known(s, token, false);
        if (line) {
            lines_add(&s->result.hash, line);
        } else if (!gather_find(s->gather, job, false)) { /* else it is written over */
            char field[24];
            snprintf(field, sizeof field, "%.*s", (int)strcspn(token, ":"), token);
            add_argument(s, field);
            s->stale++;
        }
    }
    if (s->stale)
        remove_fields(s);
    const char *cursor = redis_text(r, 0);
    if (*cursor && strcmp(cursor, "0") != 0)
        scan_hash(s, cursor);
    else
        done(s);
}

static void scan_hash(struct scan *s, const char *cursor)
{
    struct redis_arg args[] = {redis_arg(KEY_RUNNING), redis_arg(cursor), redis_arg(LINE_MARK)};
    redis_link_run(s->redis->link, SCRIPT_HASH, args, 1, 3, on_fields, s);
}

/* ---- the list ---- */

static void scan_list(struct scan *s);

static void on_dropped(void *arg, const struct redis_reply *r)
{
    struct scan *s = arg;
    if (!useful(s, r))
        return;
    /* Fewer: somebody took or put elements at the right end between the two. */
    s->result.is_sure = s->result.is_sure && r->number == (int64_t)s->stale;
    s->at += s->came - (r->number < 0 || r->number > (int64_t)s->came ? 0 : (size_t)r->number);
    scan_list(s);
}

static void drop(struct scan *s)
{
    char tomb[64];
    auto_free struct redis_arg *args = mem_new_array(struct redis_arg, 2 * s->stale + 2);
    snprintf(tomb, sizeof tomb, LINE_MARK "%016" PRIx64 "\"}", random_u64());
    args[0] = redis_arg(KEY_QUEUE);
    args[1] = redis_arg(tomb);
    size_t count = take_arguments(s, args, 2);
    redis_link_run(s->redis->link, SCRIPT_DROP, args, 1, count, on_dropped, s);
    text_clear(&s->removing);
}

static void on_elements(void *arg, const struct redis_reply *r)
{
    struct scan *s = arg;
    if (!useful(s, r))
        return;
    s->came = r->count ? r->count - 1 : 0;
    s->stale = 0;
    for (size_t i = 1; i < r->count; i++) {
        const char *token = redis_text(r, i), *colon = strchr(token, ':');
        struct line *line = known(s, token, true);
        char place[24];
        if (!colon)
            continue;
        if (line) {
            lines_add(&s->result.list, line);
            continue;
        }
        snprintf(place, sizeof place, "%zu", s->at + i);
        add_argument(s, place);
        add_argument(s, colon + 1);
        s->stale++;
    }
    if (s->stale) {
        drop(s);
    } else if (s->came == ELEMENTS) {
        s->at += s->came;
        scan_list(s);
    } else {
        scan_hash(s, "0");
    }
}

static void scan_list(struct scan *s)
{
    char at[24], count[24];
    snprintf(at, sizeof at, "%zu", s->at);
    snprintf(count, sizeof count, "%d", ELEMENTS);
    struct redis_arg args[] = {redis_arg(KEY_QUEUE), redis_arg(at), redis_arg(count),
                               redis_arg(LINE_MARK)};
    redis_link_run(s->redis->link, SCRIPT_LIST, args, 1, 4, on_elements, s);
}

void scan_begin(struct scan *s)
{
    clear(s);
    s->running = true;
    scan_list(s);
}
