#include "cli/kube_side.h"

#include "base/mem.h"

#include <signal.h>
#include <string.h>

#define DEADLINE_MS 15000

struct kube_side {
    uv_loop_t loop;
    struct kube_client *client;
};

bool kube_side_in_pod(void)
{
    return getenv("KUBERNETES_SERVICE_HOST") && access(KUBE_POD_FOLDER "/token", F_OK) == 0;
}

int kube_side_open(const char *where, const char *context, struct kube_side **ret, struct err *e)
{
    bool is_auto = strcmp(where, "auto") == 0;
    const struct kube_config_options o = {.path = is_auto ? NULL : where, .context = context};
    auto_kube_config struct kube_config *config = NULL;
    if (strcmp(where, "in-cluster") == 0 || (is_auto && kube_side_in_pod())) {
        if (kube_config_read_pod(NULL, &config, e) < 0)
            return -1;
    } else if (kube_config_read(&o, &config, e) < 0) {
        return -1;
    }
    struct kube_side *s = mem_new(struct kube_side);
    signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&s->loop);
    s->client = kube_client_new(&s->loop, TAKE(config), NULL);
    *ret = s;
    return 0;
}

void kube_side_close(struct kube_side *s)
{
    if (!s)
        return;
    kube_client_free(s->client);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    uv_loop_close(&s->loop);
    free(s);
}

const char *kube_side_server(const struct kube_side *s)
{
    return kube_client_server(s->client);
}

const char *kube_side_namespace(const struct kube_side *s)
{
    return kube_client_namespace(s->client);
}

/* ---- one answer ---- */

struct waiting {
    bool is_done;
    json_t *tree; /* of the answer; NULL: it is no JSON */
    struct err err;
};

static void on_answer(void *arg, const struct kube_answer *a)
{
    struct waiting *w = arg;
    w->is_done = true;
    w->err = a->err;
    if (a->err.code == ERR_NONE)
        json_parse(a->body, a->len, &w->tree, NULL);
}

static int ask(struct kube_side *s, const struct kube_request *r, json_t **ret, struct err *e)
{
    struct waiting w = {0};
    kube_send(s->client, r, on_answer, &w);
    while (!w.is_done)
        uv_run(&s->loop, UV_RUN_ONCE);
    if (w.err.code != ERR_NONE) {
        *e = w.err;
        return -1;
    }
    if (ret)
        *ret = w.tree;
    else
        json_decref(w.tree);
    return 0;
}

int kube_side_get(struct kube_side *s, const char *target, json_t **ret, struct err *e)
{
    return ask(s, &(struct kube_request){.target = target, .deadline_ms = DEADLINE_MS}, ret, e);
}

int kube_side_reach(struct kube_side *s, json_t **ret, struct err *e)
{
    const struct kube_request r = {
        .target = "/version", .only_once = true, .timeout_ms = DEADLINE_MS};
    return ask(s, &r, ret, e);
}

int kube_side_get_heads(struct kube_side *s, const char *target, json_t **ret, struct err *e)
{
    const struct kube_request r = {
        .target = target,
        .accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
        .deadline_ms = DEADLINE_MS};
    return ask(s, &r, ret, e);
}

int kube_side_send(struct kube_side *s, enum http_method method, const char *target,
                   const char *type, const char *body, json_t **ret, struct err *e)
{
    const struct kube_request r = {.method = method,
                                   .target = target,
                                   .type = type,
                                   .body = body,
                                   .len = strlen(body),
                                   .repeatable = true,
                                   .deadline_ms = DEADLINE_MS};
    return ask(s, &r, ret, e);
}

/* ---- lists ---- */

struct listing {
    void (*on_record)(void *arg, struct kube_head *record);
    void *arg;
    bool is_done;
    struct err err;
};

static void on_record(void *arg, struct kube_head *record)
{
    struct listing *l = arg;
    l->on_record(l->arg, record);
}

static void on_listed(void *arg, const char *version, const struct kube_answer *a)
{
    struct listing *l = arg;
    l->is_done = true;
    if (!version)
        l->err = a->err;
}

int kube_side_list(struct kube_side *s, const struct kube_selection *what,
                   void (*on_one)(void *arg, struct kube_head *record), void *arg, struct err *e)
{
    static const struct kube_list_ops ops = {.on_record = on_record, .on_done = on_listed};
    struct listing l = {.on_record = on_one, .arg = arg};
    kube_list_start(s->client, what, 0, &ops, &l);
    while (!l.is_done)
        uv_run(&s->loop, UV_RUN_ONCE);
    if (l.err.code == ERR_NONE)
        return 0;
    *e = l.err;
    return -1;
}
