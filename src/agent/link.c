#include "agent/link.h"

#include "agent/after.h"
#include "agent/aside.h"
#include "agent/command.h"
#include "agent/report_out.h"
#include "agent/sampler.h"
#include "agent/telemetry.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/failpoint.h"
#include "base/file.h"
#include "base/json_out.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/addr.h"
#include "net/backoff.h"

#include <string.h>

#define SILENCE_MS     25000
#define HELLO_WAIT_MS  8000 /* for the first word from the GPUs: longer than a hung call lasts */
#define FIRST_WAIT_MS  200
#define MOST_WAIT_MS   10000
#define DENIED_WAIT_MS 60000
#define SPREAD_MS      10000 /* after a stream that was up */
#define NEAR_SPREAD_MS 100   /* the same where the control plane is on this machine */

enum state { OFF, WAITING, ENROLLING, CONNECTING, WELCOMED, LINKED };

struct link {
    struct agent *agent;
    char *base;        /* "http://127.0.0.1:8081" */
    char *unix_socket; /* NULL: none */
    bool is_near;
    enum state state;
    struct after *retry;
    unsigned failures, denials;
    char *used_token;         /* the one that was refused or is used up */
    enum err_code complained; /* so that the same trouble is logged once */

    struct http_client_call *enrolment, *stream;
    struct text line;
    bool is_cut; /* a line made no sense of the whole stream: wrong epoch */

    struct report_out out;
    struct after *hello_late;
};

static void connect_later(struct link *l, bool was_up);
static void open_stream(void *arg);

const char *link_state_word(const struct link *l)
{
    static const char *const words[] = {"off",        "waiting",    "enrolling",
                                        "connecting", "connecting", "up"};
    return words[l->state];
}

bool link_is_up(const struct link *l)
{
    return l->state == LINKED;
}

/* ---- calls ---- */

struct http_client_call *link_send(struct link *l, const struct link_call *call,
                                   void (*on_done)(void *arg, const struct http_reply *reply),
                                   void *arg)
{
    struct http_header headers[8] = {{0}};
    size_t n = 0;
    const char *token = call->token ? call->token : l->agent->data.key;
    auto_free char *bearer = mem_printf("Bearer %s", token ? token : "");
    auto_free char *url = mem_printf("%s%s", l->base, call->path);
    headers[n++] = (struct http_header){"Authorization", bearer};
    if (call->type)
        headers[n++] = (struct http_header){"Content-Type", call->type};
    for (const struct http_header *h = call->more_headers; h && h->name && n < 7; h++)
        headers[n++] = *h;

    const struct http_call http = {.method = call->method,
                                   .url = url,
                                   .headers = headers,
                                   .body = call->body,
                                   .len = call->len,
                                   .unix_socket = l->unix_socket,
                                   .ca_file = l->agent->options.tls_ca,
                                   .timeout_ms = call->timeout_ms,
                                   .silence_ms = call->silence_ms,
                                   .max_body = 1 << 20,
                                   .on_data = call->on_data};
    return http_client_send(l->agent->client, &http, on_done, arg);
}

/* Says once what is wrong, and again when it is something else. */
static void complain(struct link *l, const char *message, const struct err *e)
{
    if (l->complained == e->code)
        return;
    l->complained = e->code;
    log_warn(message, F_TEXT("server", l->agent->options.server), F_ERR(e));
}

/* ---- enrolment ---- */

/* The token file's last word. */
static char *read_token(struct link *l, struct err *e)
{
    const char *path = l->agent->options.token_file;
    auto_free char *text = NULL;
    size_t len;
    if (!path) {
        err_set(e, ERR_UNAUTHENTICATED,
                "this node has no key yet and no --token-file to get one with");
        return NULL;
    }
    if (file_read(path, 65536, &text, &len, e) < 0) {
        err_wrap(e, "could not read the one-time token");
        return NULL;
    }
    while (len && strchr(" \t\r\n", text[len - 1]))
        text[--len] = '\0';
    const char *word = text + len;
    while (word > text && !strchr(" \t\r\n", word[-1]))
        word--;
    if (!*word) {
        err_set(e, ERR_INVALID, "file '%s' holds no token", path);
        return NULL;
    }
    return mem_strdup(word);
}

/* What a pod shows of its service account is good until it is replaced in its file; a token of ours
 * is good once. */
static bool is_reusable(const char *token)
{
    return strchr(token, '.') != NULL;
}

static void denied(struct link *l, const char *message, const struct err *e)
{
    complain(l, message, e);
    l->denials++;
    l->state = WAITING;
    int64_t ms = backoff_ms(l->denials, 1000, DENIED_WAIT_MS, random_u64());
    l->retry = after_start(l->agent->loop, ms, open_stream, l);
}

static int take_key(struct link *l, const struct http_reply *reply, struct err *e)
{
    auto_json json_t *tree = NULL;
    if (http_reply_check(reply, e) < 0 || json_parse(reply->body, reply->len, &tree, e) < 0)
        return -1;
    const char *key = json_string_value(json_object_get(tree, "key"));
    if (!key || !key[0] || strlen(key) > 256 || strpbrk(key, " \t\r\n"))
        return err_set(e, ERR_INVALID, "the answer holds no key");
    return data_folder_set_key(&l->agent->data, key, e);
}

static void on_enrolled(void *arg, const struct http_reply *reply)
{
    struct link *l = arg;
    struct err e = {0};
    l->enrolment = NULL;
    if (take_key(l, reply, &e) == 0) {
        log_info("enrolled", F_TEXT("node", l->agent->options.node));
        l->failures = l->denials = 0;
        l->complained = ERR_NONE;
        open_stream(l);
        return;
    }
    if (reply->status >= 400 && reply->status < 500)
        denied(l, "could not enrol, trying again", &e);
    else {
        complain(l, "could not enrol, trying again", &e);
        connect_later(l, false);
    }
}

static void enrol(struct link *l)
{
    struct err e = {0};
    auto_free char *token = read_token(l, &e);
    if (!token) {
        denied(l, "could not enrol, trying again", &e);
        return;
    }
    auto_text struct text body = {0};
    struct json_out o = {.text = &body};
    jo_object(&o, NULL);
    jo_text(&o, "node", l->agent->options.node);
    jo_text(&o, "version", REEVE_VERSION);
    jo_end(&o);

    l->state = ENROLLING;
    const struct link_call call = {.method = HTTP_POST,
                                   .path = "/agent/v1/enrol",
                                   .type = "application/json",
                                   .body = body.data,
                                   .len = body.len,
                                   .timeout_ms = 15000,
                                   .token = token};
    l->enrolment = link_send(l, &call, on_enrolled, l);
}

/* ---- hello and reports ---- */

static bool hello_is_ready(const struct link *l)
{
    if (l->hello_late && !l->agent->devices.is_known)
        return false;
    for (const struct attempt *a = l->agent->attempts; a; a = a->next)
        if (a->phase == PHASE_STARTING && a->shim.pid > 0)
            return false; /* what becomes of it is known in a moment */
    return true;
}

void link_hello_may_go(struct link *l)
{
    if (l->state == WELCOMED && l->out.is_hello_due)
        link_wake(l);
}

static void on_hello_late(void *arg)
{
    struct link *l = arg;
    l->hello_late = NULL;
    link_wake(l);
}

void link_wake(struct link *l)
{
    if (l->state >= WELCOMED)
        report_out_wake(&l->out);
}

static bool may_report(void *arg)
{
    struct link *l = arg;
    if (l->agent->devices.is_new_set && l->state == LINKED)
        l->out.is_hello_due = true; /* a hello names all devices, so it also brings a new one */
    return l->state == LINKED || (l->state == WELCOMED && hello_is_ready(l));
}

static void on_reported(void *arg, const struct http_reply *reply, bool was_hello)
{
    struct link *l = arg;
    struct err e = {0};
    if (http_reply_check(reply, &e) == 0) {
        l->complained = ERR_NONE;
        if (was_hello && l->state == WELCOMED) {
            l->state = LINKED;
            l->failures = l->denials = 0;
            after_cancel(TAKE(l->hello_late));
            log_info("linked", F_TEXT("server", l->agent->options.server));
            telemetry_rewind(l->agent->telemetry);
            telemetry_send(l->agent->telemetry);
            log_push_kick_all(l->agent);
        }
        return;
    }
    complain(l, "a report did not arrive, trying again", &e);
    if (reply->status == 409) {
        l->out.is_hello_due = true;
    } else if (reply->status == 401 && l->stream) {
        /* The stream will hear the same and knows what to do. */
        http_call_cancel(TAKE(l->stream));
        connect_later(l, false);
    }
}

/* ---- commands ---- */

static int obey_welcome(struct link *l, const struct command *c, struct err *e)
{
    struct agent *agent = l->agent;
    if (c->epoch < agent->data.epoch)
        return err_set(e, ERR_CONFLICT,
                       "its epoch %lld is over: %lld has been seen here, so it is not the leader",
                       (long long)c->epoch, (long long)agent->data.epoch);
    if (data_folder_set_epoch(&agent->data, c->epoch, e) < 0)
        return -1;
    agent->gate = c->gate;
    snprintf(agent->site, sizeof agent->site, "%s", c->site);
    sampler_judge(agent->sampler); /* pods are known to be ours by its name */
    if (c->sample_ms && !agent->options.sample_ms)
        sampler_set_interval(agent->sampler, c->sample_ms);
    if (c->server_time_ms)
        agent->clock_skew_ms = clock_wall_ms() - c->server_time_ms;

    l->state = WELCOMED;
    l->out.is_hello_due = true;
    if (!agent->devices.is_known && !l->hello_late)
        l->hello_late = after_start(agent->loop, HELLO_WAIT_MS, on_hello_late, l);
    link_wake(l);
    return 0;
}

/* -1: the stream is not to be listened to any more. */
static int obey(struct link *l, struct command *c, struct err *e)
{
    struct agent *agent = l->agent;
    struct attempt *a;
    if (l->state == CONNECTING && c->type != COMMAND_WELCOME)
        return err_set(e, ERR_INVALID, "it did not begin with a welcome");
    switch (c->type) {
    case COMMAND_WELCOME:
        return obey_welcome(l, c, e);
    case COMMAND_GATE: /* the next look at devices and host judges by it */
        agent->gate = c->gate;
        break;
    case COMMAND_START:
        start_attempt(agent, c);
        break;
    case COMMAND_CANCEL:
    case COMMAND_END:
        cancel_attempt(agent, c);
        break;
    case COMMAND_FORGET:
        a = attempt_find(agent, c->attempt);
        if (a && attempt_is_over(a))
            forget_attempt(a);
        aside_forget(agent->aside, c->attempt);
        break;
    case COMMAND_CHECK:
        aside_check(agent->aside, c);
        break;
    case COMMAND_METER:
        aside_meter(agent->aside, c);
        break;
    case COMMAND_OTHER:
        break;
    }
    return 0;
}

static bool take_line(struct link *l, const char *line, size_t len)
{
    auto_command struct command c = {0};
    struct err e = {0};
    if (!len)
        return true; /* it lives */
    if (command_parse(line, len, &c, &e) < 0) {
        log_error("a command makes no sense, passing over it", F_ERR(&e));
        return true;
    }
    if (FAILPOINT("agent.command"))
        return false;
    if (obey(l, &c, &e) == 0)
        return true;
    err_wrap(&e, "the control plane is not obeyed");
    complain(l, "leaving the command stream", &e);
    l->is_cut = true;
    return false;
}

static bool on_stream_data(void *arg, const char *bytes, size_t len)
{
    struct link *l = arg;
    while (len) {
        const char *end = memchr(bytes, '\n', len);
        size_t part = end ? (size_t)(end - bytes) : len;
        if (l->line.len + part > COMMAND_LINE_MOST) {
            log_error("a command is too long, leaving the command stream");
            return false;
        }
        /* Whole lines need no copy. */
        const char *line = bytes;
        size_t line_len = part;
        if (l->line.len || !end) {
            text_add_bytes(&l->line, bytes, part);
            line = text_get(&l->line);
            line_len = l->line.len;
        }
        bytes += part + (end != NULL);
        len -= part + (end != NULL);
        if (!end)
            return true;
        bool go_on = take_line(l, line, line_len);
        if (l->line.room > 65536)
            text_done(&l->line);
        else
            text_clear(&l->line);
        if (!go_on)
            return false;
    }
    return true;
}

static void on_stream_done(void *arg, const struct http_reply *reply)
{
    struct link *l = arg;
    struct agent *agent = l->agent;
    struct err e = {0};
    bool was_up = l->state == LINKED;
    l->stream = NULL;
    text_done(&l->line);
    after_cancel(TAKE(l->hello_late));

    if (reply->status == 401) {
        auto_free char *token = read_token(l, NULL);
        http_reply_check(reply, &e);
        if (token && is_reusable(token)) {
            data_folder_set_key(&agent->data, NULL, NULL);
            denied(l, "the node's key is refused, enrolling anew", &e);
        } else if (token && (!l->used_token || strcmp(token, l->used_token) != 0)) {
            /* The key is void, and there is a token that was not tried since. */
            free(l->used_token);
            l->used_token = TAKE(token);
            enrol(l);
        } else {
            denied(l, "the node's key is refused, trying again", &e);
        }
        return;
    }
    if (http_reply_check(reply, &e) < 0)
        complain(l,
                 was_up ? "the command stream is cut, connecting again"
                        : "the control plane cannot be reached, trying again",
                 &e);
    else if (was_up)
        log_info("the command stream has ended, connecting again",
                 F_TEXT("server", agent->options.server));
    connect_later(l, was_up);
}

/* ---- coming and going ---- */

static void open_stream(void *arg)
{
    struct link *l = arg;
    l->retry = NULL;
    if (!l->agent->data.key) {
        enrol(l);
        return;
    }
    l->state = CONNECTING;
    l->is_cut = false;
    const struct link_call call = {
        .path = "/agent/v1/stream", .silence_ms = SILENCE_MS, .on_data = on_stream_data};
    l->stream = link_send(l, &call, on_stream_done, l);
}

static void connect_later(struct link *l, bool was_up)
{
    int64_t ms;
    l->state = WAITING;
    if (was_up && !l->is_cut)
        ms = backoff_spread_ms(l->is_near ? NEAR_SPREAD_MS : SPREAD_MS, random_u64());
    else
        ms = backoff_ms(++l->failures, FIRST_WAIT_MS, l->is_near ? 1000 : MOST_WAIT_MS,
                        random_u64());
    l->retry = after_start(l->agent->loop, ms, open_stream, l);
}

static void set_address(struct link *l, const char *server)
{
    if (text_starts_with(server, "unix:")) {
        l->base = mem_strdup("http://localhost");
        l->unix_socket = mem_strdup(server + 5);
        l->is_near = true;
        return;
    }
    l->base = mem_strdup(server);
    for (size_t len = strlen(l->base); len && l->base[len - 1] == '/';)
        l->base[--len] = '\0';
    const char *host = strstr(l->base, "://") + 3;
    struct net_addr addr;
    if (net_addr_parse(host, &addr, NULL) == 0)
        l->is_near = net_host_is_loopback(addr.host);
}

struct link *link_start(struct agent *agent)
{
    struct link *l = mem_new(struct link);
    l->agent = agent;
    report_out_init(&l->out, agent, may_report, on_reported, l);
    if (!agent->options.server)
        return l;
    set_address(l, agent->options.server);
    l->state = WAITING;
    l->retry = after_start(agent->loop, 0, open_stream, l);
    return l;
}

void link_stop(struct link *l)
{
    if (!l)
        return;
    report_out_done(&l->out);
    after_cancel(l->retry);
    after_cancel(l->hello_late);
    if (l->enrolment)
        http_call_cancel(l->enrolment);
    if (l->stream)
        http_call_cancel(l->stream);
    text_done(&l->line);
    free(l->used_token);
    free(l->base);
    free(l->unix_socket);
    free(l);
}
