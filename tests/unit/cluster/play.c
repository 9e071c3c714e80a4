#include "play.h"

#include "base/clock.h"
#include "base/mem.h"
#include "kube/timestamp.h"

/* ---- what is there ---- */

static char *key_of(const char *collection, const char *ns, const char *name)
{
    return mem_printf("%s/%s/%s", collection, ns ? ns : "", name);
}

static void tell(struct play *p, const char *collection, const char *type, const json_t *object)
{
    auto_free char *text = json_write(object);
    CHECK(p->event_count < PLAY_EVENTS_MOST);
    p->events[p->event_count++] = (struct play_event){
        mem_strdup(collection), mem_printf("{\"type\":\"%s\",\"object\":%s}\n", type, text)};
}

static json_t *meta_of(json_t *object)
{
    return json_object_get(object, "metadata");
}

static void stamp(struct play *p, json_t *object)
{
    char number[24];
    snprintf(number, sizeof number, "%lld", (long long)++p->version);
    json_object_set_new(meta_of(object), "resourceVersion", json_string(number));
}

/* With what a server adds. */
static void put_locked(struct play *p, const char *collection, const char *ns, json_t *object)
{
    char uid[32], time[KUBE_TIME_SIZE];
    json_t *meta = meta_of(object);
    auto_free char *key = key_of(collection, ns, json_string_value(json_object_get(meta, "name")));
    bool was = json_object_get(p->objects, key) != NULL;
    stamp(p, object);
    if (ns)
        json_object_set_new(meta, "namespace", json_string(ns));
    if (!json_object_get(meta, "uid")) {
        snprintf(uid, sizeof uid, "uid-%lld", (long long)p->version);
        json_object_set_new(meta, "uid", json_string(uid));
        json_object_set_new(meta, "creationTimestamp",
                            json_string(kube_time_format(clock_wall_ms(), time)));
        json_object_set_new(meta, "generation", json_integer(1));
    }
    json_object_set(p->objects, key, object);
    tell(p, collection, was ? "MODIFIED" : "ADDED", object);
}

static void drop_locked(struct play *p, const char *collection, const char *key)
{
    json_t *object = json_incref(json_object_get(p->objects, key));
    if (!object)
        return;
    stamp(p, object);
    tell(p, collection, "DELETED", object);
    json_object_del(p->objects, key);
    json_decref(object);
}

void play_put(struct play *p, const char *collection, const char *ns, const char *text)
{
    auto_json json_t *object = NULL;
    CHECK_OK(json_parse(text, strlen(text), &object, &test_err));
    pthread_mutex_lock(&p->lock);
    put_locked(p, collection, ns, object);
    json_decref(TAKE(object));
    pthread_mutex_unlock(&p->lock);
}

void play_node(struct play *p, const char *name, int gpus, const char *boot_id)
{
    auto_free char *text = mem_printf(
        "{\"metadata\":{\"name\":\"%s\",\"uid\":\"node-%s\",\"labels\":{\"kubernetes.io/hostname\":"
        "\"%s\"}},\"spec\":{},\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]"
        ","
        "\"capacity\":{\"cpu\":\"16\",\"memory\":\"64Gi\",\"nvidia.com/gpu\":\"%d\"},"
        "\"allocatable\":{\"cpu\":\"16\",\"memory\":\"64Gi\",\"nvidia.com/gpu\":\"%d\"},"
        "\"nodeInfo\":{\"bootID\":\"%s\",\"kubeletVersion\":\"v1.34.4\"}}}",
        name, name, name, gpus, gpus, boot_id);
    play_put(p, "nodes", NULL, text);
}

/* Deleted, and nothing holds it. */
static void collect_locked(struct play *p, const char *collection, const char *key)
{
    json_t *object = json_object_get(p->objects, key), *meta = meta_of(object);
    const char *phase =
        json_string_value(json_object_get(json_object_get(object, "status"), "phase"));
    bool over = strcmp(collection, "pods") != 0 || !phase || strcmp(phase, "Succeeded") == 0 ||
                strcmp(phase, "Failed") == 0;
    if (json_object_get(meta, "deletionTimestamp") && over &&
        json_array_size(json_object_get(meta, "finalizers")) == 0)
        drop_locked(p, collection, key);
}

void play_status(struct play *p, const char *pod, const char *text)
{
    json_t *status = NULL;
    auto_free char *key = key_of("pods", "jobs", pod);
    CHECK_OK(json_parse(text, strlen(text), &status, &test_err));
    pthread_mutex_lock(&p->lock);
    json_t *object = json_object_get(p->objects, key);
    CHECK(object != NULL);
    json_object_set_new(object, "status", status);
    put_locked(p, "pods", "jobs", json_incref(object));
    json_decref(object);
    collect_locked(p, "pods", key);
    pthread_mutex_unlock(&p->lock);
}

void play_running(struct play *p, const char *pod)
{
    char now[KUBE_TIME_SIZE];
    auto_free char *text = mem_printf(
        "{\"phase\":\"Running\",\"containerStatuses\":[{\"name\":\"main\",\"state\":{\"running\":{"
        "\"startedAt\":\"%s\"}}}]}",
        kube_time_format(clock_wall_ms(), now));
    play_status(p, pod, text);
}

void play_ended(struct play *p, const char *pod, int exit_code)
{
    char from[KUBE_TIME_SIZE], to[KUBE_TIME_SIZE];
    auto_free char *text = mem_printf(
        "{\"phase\":\"%s\",\"containerStatuses\":[{\"name\":\"main\",\"state\":{\"terminated\":{"
        "\"exitCode\":%d,\"reason\":\"%s\",\"startedAt\":\"%s\",\"finishedAt\":\"%s\"}}}]}",
        exit_code ? "Failed" : "Succeeded", exit_code, exit_code ? "Error" : "Completed",
        kube_time_format(clock_wall_ms() - 3000, from), kube_time_format(clock_wall_ms(), to));
    play_status(p, pod, text);
}

void play_drop(struct play *p, const char *collection, const char *ns, const char *name)
{
    auto_free char *key = key_of(collection, ns, name);
    pthread_mutex_lock(&p->lock);
    drop_locked(p, collection, key);
    pthread_mutex_unlock(&p->lock);
}

json_t *play_get(struct play *p, const char *collection, const char *ns, const char *name)
{
    auto_free char *key = key_of(collection, ns, name);
    pthread_mutex_lock(&p->lock);
    json_t *copy = json_deep_copy(json_object_get(p->objects, key));
    pthread_mutex_unlock(&p->lock);
    return copy;
}

bool play_has(struct play *p, const char *pod)
{
    auto_json json_t *object = play_get(p, "pods", "jobs", pod);
    return object != NULL;
}

int play_count(struct play *p, const char *collection)
{
    int count = 0;
    const char *key;
    json_t *object;
    pthread_mutex_lock(&p->lock);
    json_object_foreach(p->objects, key, object) count +=
        strncmp(key, collection, strlen(collection)) == 0 && key[strlen(collection)] == '/';
    pthread_mutex_unlock(&p->lock);
    return count;
}

/* ---- addresses ---- */

struct address {
    char ns[64], collection[32], name[128], sub[32];
    bool has_ns;
    bool by_argo_server, is_stream; /* as Argo Server has them */
};

static bool read_address(const char *target, struct address *a)
{
    static const char *const roots[] = {"/api/v1/",
                                        "/apis/batch/v1/",
                                        "/apis/argoproj.io/v1alpha1/",
                                        "/apis/events.k8s.io/v1/",
                                        "/apis/reeve.gpu/v1alpha1/",
                                        "/apis/gpu.k8s.io/v1/"};
    auto_free char *copy = mem_strndup(target, strcspn(target, "?"));
    *a = (struct address){0};
    for (size_t i = 0; i < COUNT_OF(roots); i++) {
        if (!text_starts_with(copy, roots[i]))
            continue;
        char *rest = copy + strlen(roots[i]), *step = strsep(&rest, "/");
        if (i == 0 && text_starts_with(step, "workflow") && rest) {
            a->by_argo_server = a->has_ns = true;
            a->is_stream = strcmp(step, "workflow-events") == 0;
            step = (char *)"workflows";
            snprintf(a->ns, sizeof a->ns, "%s", strsep(&rest, "/"));
        }
        if (strcmp(step, "namespaces") == 0 && rest && strchr(rest, '/')) {
            snprintf(a->ns, sizeof a->ns, "%s", strsep(&rest, "/"));
            a->has_ns = true;
            step = strsep(&rest, "/");
        }
        snprintf(a->collection, sizeof a->collection, "%s", step);
        if (rest)
            snprintf(a->name, sizeof a->name, "%s", strsep(&rest, "/"));
        if (rest)
            snprintf(a->sub, sizeof a->sub, "%s", rest);
        return true;
    }
    return false;
}

/* ---- lists and watches ---- */

static bool away(struct play *p)
{
    return PLAY_GET(p, is_away);
}

/* All there is of it, then what changes. */
static void serve_watch(struct play *p, struct fake_conn *c, const struct address *a, bool initial)
{
    const char *key;
    json_t *object;
    size_t at, len = strlen(a->collection);
    struct text t = {0};
    pthread_mutex_lock(&p->lock);
    at = p->event_count;
    if (initial) {
        json_object_foreach(p->objects, key, object)
        {
            if (strncmp(key, a->collection, len) != 0 || key[len] != '/')
                continue;
            auto_free char *one = json_write(object);
            text_addf(&t, "{\"type\":\"ADDED\",\"object\":%s}\n", one);
        }
        text_addf(&t,
                  "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"%lld\","
                  "\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}\n",
                  (long long)p->version);
    } else { /* gone on after a cut: all that happened once more, which is no harm */
        at = 0;
    }
    pthread_mutex_unlock(&p->lock);
    fake_begin(c);
    if (t.len)
        fake_chunk_bytes(c, text_get(&t), t.len);
    text_done(&t);
    for (;;) {
        pthread_mutex_lock(&p->lock);
        for (; at < p->event_count; at++)
            if (strcmp(p->events[at].collection, a->collection) == 0)
                text_addf(&t, "%s%s%s", a->by_argo_server ? "{\"result\":" : "", p->events[at].line,
                          a->by_argo_server ? "}" : "");
        pthread_mutex_unlock(&p->lock);
        if (away(p))
            fake_cut(c);
        if (!fake_is_open(c))
            break;
        if (t.len)
            fake_chunk_bytes(c, text_get(&t), t.len);
        text_clear(&t);
        usleep(2000);
    }
    text_done(&t);
}

static void serve_list(struct play *p, struct fake_conn *c, const struct address *a)
{
    const char *key;
    json_t *object;
    size_t len = strlen(a->collection);
    auto_text struct text t = {0};
    bool first = true;
    pthread_mutex_lock(&p->lock);
    text_addf(&t, "{\"metadata\":{\"resourceVersion\":\"%lld\"},\"items\":[",
              (long long)p->version);
    json_object_foreach(p->objects, key, object)
    {
        if (strncmp(key, a->collection, len) != 0 || key[len] != '/')
            continue;
        auto_free char *one = json_write(object);
        text_addf(&t, "%s%s", first ? "" : ",", one);
        first = false;
    }
    pthread_mutex_unlock(&p->lock);
    text_add(&t, "]}");
    fake_reply(c, 200, NULL, text_get(&t));
}

/* ---- changes ---- */

static void reply_object(struct fake_conn *c, int status, const json_t *object)
{
    auto_free char *text = json_write(object);
    fake_reply(c, status, NULL, text);
}

static void serve_create(struct play *p, struct fake_conn *c, const struct address *a,
                         const struct fake_request *r)
{
    auto_json json_t *object = NULL, *reply = NULL;
    if (strcmp(a->collection, "events") == 0) {
        fake_reply(c, 201, NULL, "{}");
        return;
    }
    CHECK_OK(json_parse(r->body.data, r->body.len, &object, &test_err));
    if (a->by_argo_server) {
        json_t *inner = json_incref(json_object_get(object, "workflow"));
        json_decref(object);
        object = inner;
    }
    const char *name = json_string_value(json_object_get(meta_of(object), "name"));
    auto_free char *key = key_of(a->collection, a->ns, name);
    pthread_mutex_lock(&p->lock);
    bool there = json_object_get(p->objects, key), loses = p->loses_answers;
    bool ignores = p->ignores_creates;
    int refuse = p->refuse;
    if (!there && !refuse && !ignores) {
        if (strcmp(a->collection, "pods") == 0)
            json_object_set_new(object, "status", json_pack("{s:s}", "phase", "Pending"));
        put_locked(p, a->collection, a->ns, object);
        p->created++;
        reply = json_deep_copy(object);
    }
    json_decref(TAKE(object)); /* counted, and not by a lock of its own */
    pthread_mutex_unlock(&p->lock);
    if (ignores || (loses && !there))
        fake_cut(c);
    else if (refuse)
        fake_status(c, refuse, p->refuse_reason, p->refuse_message);
    else if (there)
        fake_status(c, 409, "AlreadyExists", "it is there");
    else
        reply_object(c, 201, reply);
}

static void merge(json_t *into, json_t *patch)
{
    const char *key;
    json_t *value;
    json_object_foreach(patch, key, value)
    {
        if (json_is_object(value) && json_is_object(json_object_get(into, key)))
            merge(json_object_get(into, key), value);
        else if (json_is_null(value))
            json_object_del(into, key);
        else
            json_object_set_new(into, key, json_deep_copy(value));
    }
}

/* Status has an address of its own where that is asked for. */
static void merge_object(json_t *object, json_t *patch, const char *sub)
{
    json_t *meta = meta_of(object), *spec = json_object_get(object, "spec");
    auto_json json_t *before = json_deep_copy(spec);
    if (strcmp(sub, "status") == 0) {
        auto_json json_t *status = json_pack("{s:O}", "status", json_object_get(patch, "status"));
        if (!json_object_get(object, "status"))
            json_object_set_new(object, "status", json_object());
        merge(object, status);
        return;
    }
    merge(object, patch);
    if (before && !json_equal(before, json_object_get(object, "spec")))
        json_object_set_new(
            meta, "generation",
            json_integer(json_integer_value(json_object_get(meta, "generation")) + 1));
}

static void serve_patch(struct play *p, struct fake_conn *c, const struct address *a,
                        const struct fake_request *r)
{
    auto_json json_t *patch = NULL, *answer = NULL;
    auto_free char *key = key_of(a->collection, a->has_ns ? a->ns : NULL, a->name);
    static const char terminate[] = "{\"spec\":{\"shutdown\":\"Terminate\"}}";
    if (a->by_argo_server)
        CHECK_OK(json_parse(terminate, strlen(terminate), &patch, &test_err));
    else
        CHECK_OK(json_parse(r->body.data, r->body.len, &patch, &test_err));
    const char *version = json_string_value(json_object_get(meta_of(patch), "resourceVersion"));
    pthread_mutex_lock(&p->lock);
    json_t *object = json_object_get(p->objects, key);
    const char *is = json_string_value(json_object_get(meta_of(object), "resourceVersion"));
    bool conflict = object && version && strcmp(version, is) != 0;
    bool refuses = p->refuse_patches;
    if (refuses) {
        object = NULL;
        conflict = false;
    }
    if (object && !conflict) {
        merge_object(object, patch, a->sub);
        put_locked(p, a->collection, a->has_ns ? a->ns : NULL, json_incref(object));
        answer = json_deep_copy(object);
        json_decref(object);
        collect_locked(p, a->collection, key);
    }
    pthread_mutex_unlock(&p->lock);
    if (refuses)
        fake_status(c, 503, "ServiceUnavailable", "it is not to be changed now");
    else if (conflict)
        fake_status(c, 409, "Conflict", "it has changed");
    else if (answer)
        reply_object(c, 200, answer);
    else
        fake_status(c, 404, "NotFound", "it is not there");
}

bool play_delete(struct play *p, const char *collection, const char *ns, const char *name)
{
    char now[KUBE_TIME_SIZE];
    auto_free char *key = key_of(collection, ns, name);
    pthread_mutex_lock(&p->lock);
    json_t *object = json_object_get(p->objects, key);
    bool there = object != NULL;
    if (object) {
        json_object_set_new(meta_of(object), "deletionTimestamp",
                            json_string(kube_time_format(clock_wall_ms(), now)));
        put_locked(p, collection, ns, json_incref(object));
        json_decref(object);
        collect_locked(p, collection, key);
    }
    pthread_mutex_unlock(&p->lock);
    return there;
}

void play_edit(struct play *p, const char *collection, const char *ns, const char *name,
               const char *text)
{
    auto_json json_t *patch = NULL;
    auto_free char *key = key_of(collection, ns, name);
    CHECK_OK(json_parse(text, strlen(text), &patch, &test_err));
    pthread_mutex_lock(&p->lock);
    json_t *object = json_object_get(p->objects, key);
    CHECK(object != NULL);
    merge_object(object, patch, "");
    put_locked(p, collection, ns, json_incref(object));
    json_decref(object);
    collect_locked(p, collection, key);
    pthread_mutex_unlock(&p->lock);
}

static void serve_delete(struct play *p, struct fake_conn *c, const struct address *a)
{
    if (play_delete(p, a->collection, a->has_ns ? a->ns : NULL, a->name))
        fake_reply(c, 200, NULL, "{}");
    else
        fake_status(c, 404, "NotFound", "it is not there");
}

/* ---- the whole ---- */

static void serve_log(struct play *p, struct fake_conn *c)
{
    const char *log = PLAY_GET(p, log);
    if (log)
        fake_reply(c, 200, NULL, log);
    else
        fake_status(c, 404, "NotFound", "there is no log");
}

static bool is_absent(struct play *p, const struct address *a)
{
    pthread_mutex_lock(&p->lock);
    bool absent = p->absent && strcmp(p->absent, a->collection) == 0;
    pthread_mutex_unlock(&p->lock);
    return absent;
}

static void serve_get(struct play *p, struct fake_conn *c, const struct address *a,
                      const struct fake_request *r)
{
    auto_json json_t *object = play_get(p, a->collection, a->has_ns ? a->ns : NULL, a->name);
    if (strcmp(a->name, "kube-system") == 0)
        fake_reply(c, 200, NULL,
                   "{\"metadata\":{\"name\":\"kube-system\",\"uid\":\"the-cluster\"}}");
    else if (strcmp(a->sub, "log") == 0)
        serve_log(p, c);
    else if (a->name[0] && object)
        reply_object(c, 200, object);
    else if (a->name[0])
        fake_status(c, 404, "NotFound", "it is not there");
    else if ((strcmp(a->collection, "workflows") == 0 && !PLAY_GET(p, has_workflows)) ||
             is_absent(p, a))
        fake_status(c, 404, "NotFound", "the server could not find the requested resource");
    else if (strstr(r->target, "watch=") || a->is_stream)
        serve_watch(p, c, a, strstr(r->target, "sendInitialEvents") != NULL);
    else
        serve_list(p, c, a);
}

static void answer(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    struct play *p = arg;
    struct address a;
    if (away(p))
        fake_cut(c);
    else if (!read_address(r->target, &a))
        fake_reply(c, 200, NULL, "{}");
    else if (strcmp(r->method, "POST") == 0)
        serve_create(p, c, &a, r);
    else if (strcmp(r->method, "PATCH") == 0 || strcmp(r->method, "PUT") == 0)
        serve_patch(p, c, &a, r);
    else if (strcmp(r->method, "DELETE") == 0)
        serve_delete(p, c, &a);
    else
        serve_get(p, c, &a, r);
}

void play_open(struct play *p)
{
    *p = (struct play){.f = {.answer = answer, .arg = p}, .objects = json_object(), .version = 100};
    pthread_mutex_init(&p->lock, NULL);
    fake_open(&p->f);
}

void play_close(struct play *p)
{
    fake_close(&p->f);
    for (size_t i = 0; i < p->event_count; i++) {
        free(p->events[i].collection);
        free(p->events[i].line);
    }
    json_decref(p->objects);
    pthread_mutex_destroy(&p->lock);
}
