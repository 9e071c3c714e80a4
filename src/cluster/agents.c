#include "cluster/agents.h"

#include "base/json_out.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/token_review.h"
#include "kube/object.h"

#include <string.h>

#define AUDIENCE      "reeve"
#define AGAIN_MS      600000
#define AFTER_FAILURE 5000

struct cluster_agents {
    struct kube_client *client;
    struct mailbox *box;
    struct token_reviewer *reviewer; /* NULL: nobody's token is taken, or it has been stopped */

    struct kube_kind config_maps;
    char *ns, *name, *body; /* of the ConfigMap; NULL: there is none */
    struct kube_call *call;
    uv_timer_t timer;
    int64_t again_ms;
    bool complained, stopped;
};

/* ---- the certificate ---- */

static void give(uv_timer_t *timer);

static void give_later(struct cluster_agents *a, int64_t ms)
{
    uv_timer_start(&a->timer, give, (uint64_t)ms, 0);
}

static void on_given(void *arg, const struct kube_answer *answer)
{
    struct cluster_agents *a = arg;
    a->call = NULL;
    if (answer->err.code == ERR_NONE) {
        a->complained = false;
        give_later(a, a->again_ms);
        return;
    }
    if (!a->complained)
        log_warn("agents cannot be told whom to trust, trying again", F_TEXT("namespace", a->ns),
                 F_TEXT("configmap", a->name), F_ERR(&answer->err));
    a->complained = true;
    give_later(a, AFTER_FAILURE < a->again_ms ? AFTER_FAILURE : a->again_ms);
}

/* Again and again, since whoever installs us anew may empty it. */
static void give(uv_timer_t *timer)
{
    struct cluster_agents *a = timer->data;
    const struct kube_object object = {&a->config_maps, a->ns, a->name, NULL};
    a->call = kube_apply(a->client, &object, "reeve", true, a->body, strlen(a->body), on_given, a);
}

static char *write_config_map(const struct cluster_agents *a, const char *pem)
{
    struct text t = {0};
    struct json_out o = {.text = &t};
    jo_object(&o, NULL);
    jo_text(&o, "apiVersion", "v1");
    jo_text(&o, "kind", "ConfigMap");
    jo_object(&o, "metadata");
    jo_text(&o, "name", a->name);
    jo_text(&o, "namespace", a->ns);
    jo_end(&o);
    jo_object(&o, "data");
    jo_text(&o, "ca.crt", pem);
    jo_end(&o);
    jo_end(&o);
    return text_take(&t);
}

/* ---- start and end ---- */

static int check_pair(const char *value, const char *what, struct err *e)
{
    const char *slash = strchr(value, '/');
    auto_free char *ns = mem_strndup(value, strcspn(value, "/"));
    if (!slash || !kube_name_is_valid(ns) || !kube_name_is_valid(slash + 1))
        return err_set(e, ERR_INVALID, "%s '%.120s' is not NAMESPACE/NAME", what, value);
    return 0;
}

int cluster_agents_start(struct kube_client *client, struct mailbox *box,
                         const struct cluster_agents_config *config, struct cluster_agents **ret,
                         struct err *e)
{
    if ((config->account && check_pair(config->account, "service account", e) < 0) ||
        (config->ca && check_pair(config->ca, "ConfigMap", e) < 0))
        return -1;
    struct cluster_agents *a = mem_new(struct cluster_agents);
    *a = (struct cluster_agents){.client = client,
                                 .box = box,
                                 .config_maps =
                                     kube_custom_kind("", "v1", "configmaps", "ConfigMap"),
                                 .again_ms = config->again_ms ? config->again_ms : AGAIN_MS};
    uv_timer_init(kube_client_loop(client), &a->timer);
    a->timer.data = a;
    if (config->account)
        a->reviewer = token_reviewer_new(client, AUDIENCE, config->account);
    if (config->ca) {
        a->ns = mem_strndup(config->ca, strcspn(config->ca, "/"));
        a->name = mem_strdup(strchr(config->ca, '/') + 1);
        a->body = write_config_map(a, config->ca_pem);
        give_later(a, 0);
    }
    *ret = a;
    return 0;
}

void cluster_agents_stop(struct cluster_agents *a)
{
    if (!a || a->stopped)
        return;
    a->stopped = true;
    if (a->call)
        kube_cancel(a->call);
    token_reviewer_free(a->reviewer);
    a->reviewer = NULL;
    uv_close((uv_handle_t *)&a->timer, NULL);
}

void cluster_agents_free(struct cluster_agents *a)
{
    if (!a)
        return;
    free(a->ns);
    free(a->name);
    free(a->body);
    free(a);
}

/* ---- questions of other threads ---- */

struct question {
    struct cluster_agents *agents;
    char *token;
    void (*on_done)(void *own, const char *node, const struct err *why);
    void *own;
};

static void on_question(void *message)
{
    struct question *q = message;
    struct err why = {0};
    if (q->agents->reviewer) {
        token_review(q->agents->reviewer, q->token, q->on_done, q->own);
    } else {
        if (q->agents->stopped)
            err_set(&why, ERR_UNAVAILABLE, "the control plane is ending");
        else
            err_set(&why, ERR_UNAUTHENTICATED, "tokens of service accounts are not taken here");
        q->on_done(q->own, NULL, &why);
    }
    free(q->token);
    free(q);
}

bool cluster_agents_vouch(struct cluster_agents *a, const char *token,
                          void (*on_done)(void *own, const char *node, const struct err *why),
                          void *own)
{
    struct question *q = mem_new(struct question);
    *q = (struct question){a, mem_strdup(token), on_done, own};
    if (mailbox_post(a->box, on_question, q))
        return true;
    free(q->token);
    free(q);
    return false;
}
