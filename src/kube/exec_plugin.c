#include "kube/exec_plugin.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "kube/timestamp.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>

enum { MOST_OUT = 1024 * 1024, MOST_SAID = 300 };
#define LATE_OUTPUT_MS 1000 /* what it started may hold its pipe open */

extern char **environ;

/* ---- what it says ---- */

static void forget(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

void kube_exec_answer_done(struct kube_exec_answer *a)
{
    forget(a->token);
    forget(a->cert);
    forget(a->key);
    *a = (struct kube_exec_answer){0};
}

static char *text_of(const json_t *status, const char *key)
{
    const char *s = json_string_value(json_object_get(status, key));
    return s && *s ? mem_strdup(s) : NULL;
}

int kube_exec_answer_parse(const char *json, size_t len, const char *api_version,
                           struct kube_exec_answer *ret, struct err *e)
{
    auto_json json_t *tree = NULL;
    if (json_parse(json, len, &tree, NULL) < 0)
        return err_set(e, ERR_UNAUTHENTICATED, "it printed no JSON");
    const char *kind = json_string_value(json_object_get(tree, "kind"));
    const char *version = json_string_value(json_object_get(tree, "apiVersion"));
    const json_t *status = json_object_get(tree, "status");
    if (!kind || strcmp(kind, "ExecCredential") != 0 || !json_is_object(status))
        return err_set(e, ERR_UNAUTHENTICATED, "it printed no ExecCredential with a status");
    if (!version || strcmp(version, api_version) != 0)
        return err_set(e, ERR_UNAUTHENTICATED, "it speaks another apiVersion than '%.100s'",
                       api_version);
    struct kube_exec_answer a = {.token = text_of(status, "token"),
                                 .cert = text_of(status, "clientCertificateData"),
                                 .key = text_of(status, "clientKeyData")};
    const char *expires = json_string_value(json_object_get(status, "expirationTimestamp"));
    const char *why = NULL;
    if (!a.token && !a.cert)
        why = "it gave neither a token nor a certificate";
    else if (!a.cert != !a.key)
        why = "it gave a certificate or a key, not both";
    else if (expires && !kube_time(expires, strlen(expires), &a.expires_ms))
        why = "its expirationTimestamp is no time";
    if (why) {
        kube_exec_answer_done(&a);
        return err_set(e, ERR_UNAUTHENTICATED, "%s", why);
    }
    *ret = a;
    return 0;
}

/* ---- running it ---- */

struct pipe_end {
    uv_pipe_t pipe;
    struct kube_exec_run *run;
    struct text text;
    size_t most;
    bool is_over, is_cut;
    char room[4096];
};

struct kube_exec_run {
    const struct kube_exec *exec;
    uv_process_t process;
    struct pipe_end out, said;
    uv_timer_t timer;
    bool runs, has_ended, timed_out;
    unsigned open_handles;
    int64_t status;
    int signal;
    struct err why;
    void (*on_done)(void *arg, struct kube_exec_answer *answer, const struct err *why);
    void *arg;
};

static void on_closed(uv_handle_t *handle)
{
    struct kube_exec_run *run = handle->data;
    if (--run->open_handles)
        return;
    if (run->out.text.data)
        explicit_bzero(run->out.text.data, run->out.text.room);
    explicit_bzero(run->out.room, sizeof run->out.room);
    text_done(&run->out.text);
    text_done(&run->said.text);
    free(run);
}

static void close_one(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, on_closed);
}

/* It has a session of its own, so all that it started can be named at once. */
static void end_all(struct kube_exec_run *run)
{
    if (run->runs && !(run->has_ended && run->out.is_over))
        kill(-run->process.pid, SIGKILL);
}

static void close_all(struct kube_exec_run *run)
{
    end_all(run);
    close_one((uv_handle_t *)&run->out.pipe);
    close_one((uv_handle_t *)&run->said.pipe);
    close_one((uv_handle_t *)&run->timer);
    /* The process's handle goes in on_process_exit(), which also reaps it. */
    if (!run->runs || run->has_ended)
        close_one((uv_handle_t *)&run->process);
}

/* The last thing it said to people, on one line. */
static void add_said(struct kube_exec_run *run, struct err *e)
{
    struct text *t = &run->said.text;
    while (t->len && (unsigned char)t->data[t->len - 1] <= ' ')
        t->data[--t->len] = '\0';
    for (char *p = t->data; p && *p; p++)
        if ((unsigned char)*p < ' ')
            *p = ' ';
    if (t->len && text_is_utf8(t->data, t->len)) {
        struct err first = *e;
        err_set(e, first.code, "%s: %s", first.text, text_get(t));
    }
}

static int judge(struct kube_exec_run *run, struct kube_exec_answer *ret, struct err *e)
{
    const char *command = run->exec->command;
    if (run->why.code) {
        *e = run->why;
        return -1;
    }
    if (run->out.is_cut)
        return err_set(e, ERR_TOO_LARGE, "the program '%.100s' printed more than %d bytes", command,
                       MOST_OUT);
    if (run->timed_out)
        err_set(e, ERR_TIMEOUT, "the program '%.100s' did not end in time", command);
    else if (run->signal)
        err_set(e, ERR_UNAUTHENTICATED, "the program '%.100s' was ended by signal %d", command,
                run->signal);
    else if (run->status)
        err_set(e, ERR_UNAUTHENTICATED, "the program '%.100s' ended with %lld", command,
                (long long)run->status);
    if (e->code) {
        add_said(run, e);
        return -1;
    }
    if (kube_exec_answer_parse(text_get(&run->out.text), run->out.text.len, run->exec->api_version,
                               ret, e) < 0)
        return err_wrap(e, "could not use what the program '%.100s' printed", command);
    return 0;
}

static void finish(struct kube_exec_run *run)
{
    struct kube_exec_answer answer = {0};
    struct err why = {0};
    void (*on_done)(void *, struct kube_exec_answer *, const struct err *) = run->on_done;
    run->on_done = NULL;
    if (on_done) {
        int rc = judge(run, &answer, &why);
        on_done(run->arg, rc == 0 ? &answer : NULL, rc == 0 ? NULL : &why);
        kube_exec_answer_done(&answer);
    }
    close_all(run);
}

static void on_late(uv_timer_t *timer)
{
    finish(timer->data);
}

static void maybe_finish(struct kube_exec_run *run)
{
    if (!run->on_done || !run->has_ended)
        return;
    if (run->out.is_over)
        finish(run);
    else
        uv_timer_start(&run->timer, on_late, LATE_OUTPUT_MS, 0);
}

static void on_process_exit(uv_process_t *process, int64_t status, int signal)
{
    struct kube_exec_run *run = process->data;
    run->has_ended = true;
    run->status = status;
    run->signal = signal;
    if (run->on_done)
        maybe_finish(run);
    else
        close_one((uv_handle_t *)process);
}

static void on_limit(uv_timer_t *timer)
{
    struct kube_exec_run *run = timer->data;
    run->timed_out = true;
    end_all(run);
    finish(run);
}

/* Why it was not begun. */
static void on_not_begun(uv_timer_t *timer)
{
    finish(timer->data);
}

static void give_room(uv_handle_t *handle, size_t size, uv_buf_t *ret)
{
    struct pipe_end *end = (struct pipe_end *)handle;
    (void)size;
    *ret = uv_buf_init(end->room, sizeof end->room);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
    struct pipe_end *end = (struct pipe_end *)stream;
    if (len > 0) {
        size_t room = end->most - end->text.len, more = (size_t)len;
        end->is_cut = end->is_cut || more > room;
        text_add_bytes(&end->text, buf->base, more < room ? more : room);
        if (end->is_cut && end == &end->run->out)
            finish(end->run);
    }
    if (len < 0) {
        uv_read_stop(stream);
        end->is_over = true;
        maybe_finish(end->run);
    }
}

/* Ours first, as the first of two entries of one name counts. */
static char **full_environment(const struct kube_exec *x)
{
    size_t ours = 0, theirs = 0, count = 0;
    while (x->env[ours])
        ours++;
    while (environ[theirs])
        theirs++;
    char **list = mem_new_array(char *, ours + theirs + 2);
    list[count++] = mem_printf("KUBERNETES_EXEC_INFO=%s", x->info);
    for (size_t i = 0; i < ours; i++)
        list[count++] = x->env[i];
    for (size_t i = 0; i < theirs; i++) {
        bool is_ours = text_starts_with(environ[i], "KUBERNETES_EXEC_INFO=");
        for (size_t k = 0; k < ours && !is_ours; k++)
            is_ours = strncmp(environ[i], x->env[k], strcspn(x->env[k], "=") + 1) == 0;
        if (!is_ours)
            list[count++] = environ[i];
    }
    return list;
}

static void open_end(struct kube_exec_run *run, uv_loop_t *loop, struct pipe_end *end, size_t most)
{
    end->run = run;
    end->most = most;
    uv_pipe_init(loop, &end->pipe, 0);
    end->pipe.data = run;
    run->open_handles++;
}

static void spawn(struct kube_exec_run *run, uv_loop_t *loop)
{
    const struct kube_exec *x = run->exec;
    char **env = full_environment(x);
    uv_stdio_container_t stdio[3] = {
        {.flags = UV_IGNORE},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&run->out.pipe},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&run->said.pipe},
    };
    uv_process_options_t options = {.exit_cb = on_process_exit,
                                    .file = x->command,
                                    .args = x->args,
                                    .env = env,
                                    .flags = UV_PROCESS_DETACHED,
                                    .stdio_count = 3,
                                    .stdio = stdio};
    run->open_handles++;
    run->process.data = run;
    int rc = uv_spawn(loop, &run->process, &options);
    free(env[0]);
    free(env);
    if (rc < 0) {
        err_sys(&run->why, -rc, "could not run the program '%.100s'", x->command);
        run->why.code = ERR_UNAUTHENTICATED;
        if (x->install_hint) {
            struct err first = run->why;
            err_set(&run->why, first.code, "%s; its kubeconfig says: %.300s", first.text,
                    x->install_hint);
        }
        uv_timer_start(&run->timer, on_not_begun, 0, 0);
        return;
    }
    run->runs = true;
    uv_read_start((uv_stream_t *)&run->out.pipe, give_room, on_read);
    uv_read_start((uv_stream_t *)&run->said.pipe, give_room, on_read);
}

struct kube_exec_run *kube_exec_start(uv_loop_t *loop, const struct kube_exec *x, int64_t limit_ms,
                                      void (*on_done)(void *arg, struct kube_exec_answer *answer,
                                                      const struct err *why),
                                      void *arg)
{
    struct kube_exec_run *run = mem_new(struct kube_exec_run);
    run->exec = x;
    run->on_done = on_done;
    run->arg = arg;
    open_end(run, loop, &run->out, MOST_OUT);
    open_end(run, loop, &run->said, MOST_SAID);
    uv_timer_init(loop, &run->timer);
    run->timer.data = run;
    run->open_handles++;
    uv_timer_start(&run->timer, on_limit, (uint64_t)limit_ms, 0);
    spawn(run, loop);
    return run;
}

void kube_exec_cancel(struct kube_exec_run *run)
{
    run->on_done = NULL;
    close_all(run);
}
