#include "cluster/token_review.h"

#include "base/json.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "kube/object.h"
#include "kube/pod.h"

#include <string.h>

#define DEADLINE_MS   8000 /* agents wait for 15 s */
#define TRY_MS        4000
#define PATH          "/apis/authentication.k8s.io/v1/tokenreviews"
#define EXTRA(name)   "authentication.kubernetes.io/" name
#define ACCOUNT_WORDS "system:serviceaccount:"

enum { UNDER_WAY_MOST = 64 };

struct review {
    struct token_reviewer *reviewer;
    struct review *next;
    struct kube_call *call;
    char *pod_uid; /* while the pod is asked for */
    void (*on_done)(void *arg, const char *node, const struct err *why);
    void *arg;
};

struct token_reviewer {
    struct kube_client *client;
    char *audience, *user, *ns;
    struct review *first;
    size_t count;
};

struct token_reviewer *token_reviewer_new(struct kube_client *client, const char *audience,
                                          const char *account)
{
    struct token_reviewer *r = mem_new(struct token_reviewer);
    size_t ns = strcspn(account, "/");
    r->client = client;
    r->audience = mem_strdup(audience);
    r->ns = mem_strndup(account, ns);
    r->user = mem_printf(ACCOUNT_WORDS "%s:%s", r->ns, account[ns] ? account + ns + 1 : "");
    return r;
}

/* Exactly one of NODE and WHY. */
static void end(struct review *v, const char *node, const struct err *why)
{
    struct token_reviewer *r = v->reviewer;
    struct review **link = &r->first;
    while (*link != v)
        link = &(*link)->next;
    *link = v->next;
    r->count--;
    v->on_done(v->arg, node, why);
    free(v->pod_uid);
    free(v);
}

void token_reviewer_free(struct token_reviewer *r)
{
    struct err why = {0};
    if (!r)
        return;
    err_set(&why, ERR_UNAVAILABLE, "the control plane is ending");
    while (r->first) {
        if (r->first->call)
            kube_cancel(r->first->call);
        end(r->first, NULL, &why);
    }
    free(r->audience);
    free(r->user);
    free(r->ns);
    free(r);
}

/* ---- what the API server says ---- */

static bool has_word(const json_t *list, const char *word)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        const char *text = json_string_value(item);
        if (text && strcmp(text, word) == 0)
            return true;
    }
    return false;
}

/* The values of "extra" are lists. NULL: not there. */
static const char *extra(const json_t *user, const char *key)
{
    return json_string_value(
        json_array_get(json_object_get(json_object_get(user, "extra"), key), 0));
}

static int check_user(const struct token_reviewer *r, const json_t *status, struct err *e)
{
    const char *error = json_string_value(json_object_get(status, "error"));
    const char *name =
        json_string_value(json_object_get(json_object_get(status, "user"), "username"));
    if (!json_is_true(json_object_get(status, "authenticated")))
        return err_set(e, ERR_UNAUTHENTICATED, "the API server does not know this token: %.200s",
                       error && *error ? error : "it gives no reason");
    /* A server that knows no audiences says nothing of them: then it is good for that server, and
     * whoever saw it there could show it here. */
    if (!has_word(json_object_get(status, "audiences"), r->audience))
        return err_set(e, ERR_DENIED, "this token is not made for the audience '%s'", r->audience);
    if (!name || strcmp(name, r->user) != 0)
        return err_set(e, ERR_DENIED, "this token is of user '%.200s', not of '%s'",
                       name ? name : "", r->user);
    return 0;
}

/* ---- older servers name the pod, but not its node ---- */

static int read_pod(const struct review *v, const struct kube_answer *a, struct kube_pod **ret,
                    struct err *e)
{
    struct kube_head *head;
    if (a->err.code == ERR_NOT_FOUND)
        return err_set(e, ERR_UNAUTHENTICATED, "the pod of this token is gone");
    if (a->err.code != ERR_NONE)
        return err_set(e, ERR_UNAVAILABLE, "could not ask for the pod of this token: %.300s",
                       a->err.text);
    if (kube_record_read(&kube_pods, kube_client_build(v->reviewer->client), a->body, a->len, &head,
                         e) < 0)
        return -1;
    *ret = (struct kube_pod *)head;
    return 0;
}

static void on_pod(void *arg, const struct kube_answer *a)
{
    struct review *v = arg;
    struct err e = {0};
    auto_free struct kube_pod *pod = NULL;
    const char *node = NULL;
    v->call = NULL;
    if (read_pod(v, a, &pod, &e) == 0) {
        if (strcmp(pod->head.uid, v->pod_uid) == 0 && *pod->node)
            node = pod->node;
        else
            err_set(&e, ERR_UNAUTHENTICATED, "the pod of this token is gone");
    }
    end(v, node, node ? NULL : &e);
}

static int ask_for_pod(struct review *v, const json_t *user, struct err *e)
{
    struct token_reviewer *r = v->reviewer;
    const char *name = extra(user, EXTRA("pod-name")), *uid = extra(user, EXTRA("pod-uid"));
    if (!name || !uid || !kube_name_is_valid(name))
        return err_set(e, ERR_DENIED,
                       "this token is of no pod: an agent's must be projected into its pod");
    v->pod_uid = mem_strdup(uid);
    v->call = kube_get(r->client, &(struct kube_object){&kube_pods, r->ns, name, NULL}, on_pod, v);
    return 0;
}

/* ---- the review ---- */

/* 0: RET is the node, or NULL when its pod has to be asked for. */
static int read_review(const struct token_reviewer *r, const struct kube_answer *a, json_t **tree,
                       const char **ret, struct err *e)
{
    if (a->err.code != ERR_NONE)
        return err_set(e, ERR_UNAVAILABLE, "could not have the token checked: %.300s", a->err.text);
    if (json_parse(a->body, a->len, tree, e) < 0) {
        e->code = ERR_UNAVAILABLE;
        return err_wrap(e, "the API server's answer");
    }
    const json_t *status = json_object_get(*tree, "status");
    if (check_user(r, status, e) < 0)
        return -1;
    *ret = extra(json_object_get(status, "user"), EXTRA("node-name"));
    return 0;
}

static void on_review(void *arg, const struct kube_answer *a)
{
    struct review *v = arg;
    struct err e = {0};
    auto_json json_t *tree = NULL;
    const char *node = NULL;
    v->call = NULL;
    if (read_review(v->reviewer, a, &tree, &node, &e) < 0)
        end(v, NULL, &e);
    else if (node)
        end(v, node, NULL);
    else if (ask_for_pod(v, json_object_get(json_object_get(tree, "status"), "user"), &e) < 0)
        end(v, NULL, &e);
}

void token_review(struct token_reviewer *r, const char *token,
                  void (*on_done)(void *arg, const char *node, const struct err *why), void *arg)
{
    struct err e = {0};
    if (r->count >= UNDER_WAY_MOST) {
        err_set(&e, ERR_EXHAUSTED, "too many agents enrol at once");
        on_done(arg, NULL, &e);
        return;
    }
    auto_text struct text body = {0};
    struct json_out o = {.text = &body};
    jo_object(&o, NULL);
    jo_text(&o, "apiVersion", "authentication.k8s.io/v1");
    jo_text(&o, "kind", "TokenReview");
    jo_object(&o, "spec");
    jo_text(&o, "token", token);
    jo_list(&o, "audiences");
    jo_text(&o, NULL, r->audience);
    jo_end(&o);
    jo_end(&o);
    jo_end(&o);

    struct review *v = mem_new(struct review);
    *v = (struct review){.reviewer = r, .next = r->first, .on_done = on_done, .arg = arg};
    r->first = v;
    r->count++;
    const struct kube_request request = {.method = HTTP_POST,
                                         .target = PATH,
                                         .body = body.data,
                                         .len = body.len,
                                         .repeatable = true, /* it changes nothing */
                                         .timeout_ms = TRY_MS,
                                         .deadline_ms = DEADLINE_MS,
                                         .max_body = 65536};
    v->call = kube_send(r->client, &request, on_review, v);
}
