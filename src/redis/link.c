#include "redis/link.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/mem.h"
#include "net/backoff.h"
#include "net/byte_stream.h"

enum {
    CONNECT_MS = 5000,
    ANSWER_MS = 10000, /* without a byte, though something was asked */
    PAUSE_LEAST_MS = 200,
    PAUSE_MOST_MS = 10000,
    PASSWORD_MOST = 4096,
};

struct pending {
    struct pending *next;
    redis_on_reply on_reply;
    void *arg;
    int64_t sent_ms;
    char *again; /* the script with its text, for a Redis that does not know it */
    size_t again_len;
};

enum link_state { RESTING, CONNECTING, GREETING, UP };

struct redis_link {
    uv_loop_t *loop;
    const struct redis_link_config *config;
    struct redis_link_events events;
    enum link_state state;
    struct byte_stream *stream; /* NULL while RESTING */
    struct redis_reader *reader;
    struct pending *first, **last;
    uv_timer_t tick;  /* looks for what takes too long */
    uv_timer_t pause; /* until the next try; and what is told after a failure */
    bool fallen;      /* failed, nobody was told yet */
    struct err why;
    unsigned failures;
    int64_t since_ms, heard_ms;
    struct text out;
    struct redis_link_counts counts;
    unsigned handles;
};

static void connect_now(struct redis_link *l);

/* ---- failing ---- */

static void free_pending(struct pending *p)
{
    free(p->again);
    free(p);
}

static void on_pause(uv_timer_t *timer)
{
    struct redis_link *l = timer->data;
    if (!l->fallen) {
        connect_now(l);
        return;
    }
    l->fallen = false;
    redis_reader_free(l->reader);
    l->reader = NULL;
    struct pending *p = l->first;
    l->first = NULL;
    l->last = &l->first;
    for (struct pending *next; p; p = next) {
        next = p->next;
        if (p->on_reply)
            p->on_reply(p->arg, NULL);
        free_pending(p);
    }
    l->failures++;
    uv_timer_start(timer, on_pause,
                   (uint64_t)backoff_ms(l->failures, PAUSE_LEAST_MS, PAUSE_MOST_MS, random_u64()),
                   0);
    l->events.on_down(l->events.arg, &l->why);
}

void redis_link_give_up(struct redis_link *l, const struct err *why)
{
    if (l->state == RESTING)
        return;
    if (why != &l->why)
        l->why = *why;
    l->state = RESTING;
    byte_stream_close(l->stream);
    l->stream = NULL;
    l->fallen = true;
    uv_timer_start(&l->pause, on_pause, 0, 0);
}

void redis_link_is_well(struct redis_link *l)
{
    l->failures = 0;
}

static void on_end(void *arg, const struct err *why)
{
    struct redis_link *l = arg;
    l->why = *why;
    redis_link_give_up(l, &l->why);
}

static void on_tick(uv_timer_t *timer)
{
    struct redis_link *l = timer->data;
    int64_t now = clock_mono_ms();
    if ((l->state == CONNECTING || l->state == GREETING) && now - l->since_ms > CONNECT_MS) {
        err_set(&l->why, ERR_TIMEOUT, "no connection within %d s", CONNECT_MS / 1000);
        redis_link_give_up(l, &l->why);
    } else if (l->state == UP && l->first) {
        int64_t from = l->first->sent_ms > l->heard_ms ? l->first->sent_ms : l->heard_ms;
        if (now - from <= ANSWER_MS)
            return;
        err_set(&l->why, ERR_TIMEOUT, "no answer within %d s", ANSWER_MS / 1000);
        redis_link_give_up(l, &l->why);
    }
}

/* ---- commands ---- */

static struct pending *add_pending(struct redis_link *l, redis_on_reply on_reply, void *arg)
{
    struct pending *p = mem_new(struct pending);
    p->on_reply = on_reply;
    p->arg = arg;
    p->sent_ms = clock_mono_ms();
    *l->last = p;
    l->last = &p->next;
    return p;
}

static void write_bytes(struct redis_link *l, const void *p, size_t len)
{
    if (!l->stream)
        return;
    l->counts.commands++;
    l->counts.sent_bytes += (int64_t)len;
    byte_stream_write(l->stream, p, len);
}

void redis_link_send(struct redis_link *l, const struct redis_arg *args, size_t count,
                     redis_on_reply on_reply, void *arg)
{
    text_clear(&l->out);
    redis_command_write(&l->out, args, count);
    add_pending(l, on_reply, arg);
    write_bytes(l, l->out.data, l->out.len);
    if (l->state == RESTING && !l->fallen) { /* nothing else would answer it */
        l->fallen = true;
        uv_timer_start(&l->pause, on_pause, 0, 0);
    }
}

void redis_link_run(struct redis_link *l, enum redis_script script, const struct redis_arg *args,
                    size_t keys, size_t count, redis_on_reply on_reply, void *arg)
{
    char number[24];
    auto_text struct text whole = {0};
    auto_free struct redis_arg *all = mem_new_array(struct redis_arg, count + 3);
    snprintf(number, sizeof number, "%zu", keys);
    all[0] = redis_arg("EVAL");
    all[1] = redis_arg(redis_script_text(script));
    all[2] = redis_arg(number);
    memcpy(all + 3, args, count * sizeof *args);
    redis_command_write(&whole, all, count + 3);

    all[0] = redis_arg("EVALSHA");
    all[1] = redis_arg(redis_script_sha(script));
    struct pending **at = l->last;
    redis_link_send(l, all, count + 3, on_reply, arg);
    (*at)->again_len = whole.len;
    (*at)->again = text_take(&whole);
}

static void answered(struct redis_link *l, const struct redis_reply *r)
{
    struct pending *p = l->first;
    l->first = p->next;
    if (!l->first)
        l->last = &l->first;
    if (p->again && redis_is_error(r, "NOSCRIPT")) {
        add_pending(l, p->on_reply, p->arg);
        write_bytes(l, p->again, p->again_len);
    } else if (p->on_reply) {
        p->on_reply(p->arg, r);
    }
    free_pending(p);
}

static void on_bytes(void *arg, const char *bytes, size_t len)
{
    struct redis_link *l = arg;
    struct byte_stream *stream = l->stream;
    l->heard_ms = clock_mono_ms();
    l->counts.received_bytes += (int64_t)len;
    if (redis_reader_feed(l->reader, bytes, len, &l->why) < 0) {
        redis_link_give_up(l, &l->why);
        return;
    }
    while (l->stream == stream) {
        auto_redis_reply struct redis_reply *r = NULL;
        int rc = redis_reader_next(l->reader, &r, &l->why);
        if (rc == 0 && !r)
            return;
        if (rc == 0 && !l->first)
            rc = err_set(&l->why, ERR_INVALID, "an answer that nobody asked for");
        if (rc < 0)
            redis_link_give_up(l, &l->why);
        else
            answered(l, r);
    }
}

/* ---- greeting ---- */

static void refuse(struct redis_link *l, const char *what, const struct redis_reply *r)
{
    err_set(&l->why, ERR_UNAVAILABLE, "%s: %.200s", what, r->text ? r->text : "another answer");
    redis_link_give_up(l, &l->why);
}

static void on_auth(void *arg, const struct redis_reply *r)
{
    if (r && r->type != REDIS_STATUS)
        refuse(arg, "Redis does not accept user and password", r);
}

static void on_select(void *arg, const struct redis_reply *r)
{
    if (r && r->type != REDIS_STATUS)
        refuse(arg, "Redis does not give us its database", r);
}

static void on_pong(void *arg, const struct redis_reply *r)
{
    struct redis_link *l = arg;
    if (!r)
        return;
    if (r->type != REDIS_STATUS || strcmp(r->text, "PONG") != 0) {
        refuse(l, "Redis is not ready for us", r);
        return;
    }
    l->state = UP;
    l->counts.connects++;
    l->events.on_up(l->events.arg);
}

static void greet(struct redis_link *l, const char *password)
{
    const struct redis_url *u = &l->config->url;
    struct redis_arg args[3] = {redis_arg("AUTH")};
    char db[24];
    if (password) {
        size_t n = 1;
        if (u->user)
            args[n++] = redis_arg(u->user);
        args[n++] = redis_arg(password);
        redis_link_send(l, args, n, on_auth, l);
    }
    if (u->db) {
        snprintf(db, sizeof db, "%lld", (long long)u->db);
        redis_link_send(l, (struct redis_arg[]){redis_arg("SELECT"), redis_arg(db)}, 2, on_select,
                        l);
    }
    /* Who may not do this can still use us: scripts come with their text then. */
    for (enum redis_script s = 0; s < SCRIPTS; s++) {
        struct redis_arg load[] = {redis_arg("SCRIPT"), redis_arg("LOAD"),
                                   redis_arg(redis_script_text(s))};
        redis_link_send(l, load, 3, NULL, NULL);
    }
    struct redis_arg name[] = {redis_arg("CLIENT"), redis_arg("SETNAME"), redis_arg("reeve")};
    redis_link_send(l, name, 3, NULL, NULL);
    redis_link_send(l, (struct redis_arg[]){redis_arg("PING")}, 1, on_pong, l);
}

/* From its file, without the newline; else from the URL; NULL: none. The caller wipes and frees. */
static int read_password(const struct redis_link *l, char **ret, struct err *e)
{
    size_t len;
    const char *in_url = l->config->url.password;
    *ret = NULL;
    if (!l->config->password_file) {
        *ret = in_url ? mem_strdup(in_url) : NULL;
        return 0;
    }
    if (file_read(l->config->password_file, PASSWORD_MOST, ret, &len, e) < 0)
        return err_wrap(e, "could not read the password of Redis");
    (*ret)[strcspn(*ret, "\r\n")] = '\0';
    return 0;
}

static void on_open(void *arg)
{
    struct redis_link *l = arg;
    char *password = NULL;
    l->state = GREETING;
    l->heard_ms = clock_mono_ms();
    if (read_password(l, &password, &l->why) < 0) {
        redis_link_give_up(l, &l->why);
        return;
    }
    greet(l, password);
    text_clear(&l->out);
    if (password)
        explicit_bzero(password, strlen(password));
    free(password);
}

static void connect_now(struct redis_link *l)
{
    const struct redis_link_config *c = l->config;
    struct byte_stream_target target = {.host = c->url.host,
                                        .port = c->url.port,
                                        .unix_path = c->url.unix_path,
                                        .tls = c->url.tls,
                                        .ca = c->ca,
                                        .certificate = c->certificate,
                                        .key = c->key};
    struct byte_stream_events events = {on_open, on_bytes, on_end, l};
    l->state = CONNECTING;
    l->since_ms = clock_mono_ms();
    l->reader = redis_reader_new();
    if (byte_stream_open(l->loop, &target, &events, &l->stream, &l->why) < 0)
        redis_link_give_up(l, &l->why);
}

/* ---- making and freeing ---- */

struct redis_link *redis_link_new(uv_loop_t *loop, const struct redis_link_config *config,
                                  const struct redis_link_events *events)
{
    struct redis_link *l = mem_new(struct redis_link);
    l->loop = loop;
    l->config = config;
    l->events = *events;
    l->last = &l->first;
    uv_timer_init(loop, &l->tick);
    uv_timer_init(loop, &l->pause);
    l->tick.data = l->pause.data = l;
    l->handles = 2;
    uv_timer_start(&l->tick, on_tick, 500, 500);
    connect_now(l);
    return l;
}

static void on_closed(uv_handle_t *handle)
{
    struct redis_link *l = handle->data;
    if (--l->handles)
        return;
    for (struct pending *p = l->first, *next; p; p = next) {
        next = p->next;
        free_pending(p);
    }
    redis_reader_free(l->reader);
    text_done(&l->out);
    free(l);
}

void redis_link_free(struct redis_link *l)
{
    if (!l)
        return;
    byte_stream_close(l->stream);
    l->stream = NULL;
    l->state = RESTING;
    uv_close((uv_handle_t *)&l->tick, on_closed);
    uv_close((uv_handle_t *)&l->pause, on_closed);
}

bool redis_link_is_up(const struct redis_link *l)
{
    return l && l->state == UP;
}

struct redis_link_counts redis_link_counts(const struct redis_link *l)
{
    return l->counts;
}
