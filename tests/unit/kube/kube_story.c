/*
 * The client against a real API server, step by step, each with what must be so behind it. For
 * tests/cluster, and by hand:
 *
 *     kube_story KUBECONFIG [PODS]      all steps, in a namespace of its own; ends with 1 when one
 * fails kube_story KUBECONFIG watch       tells what happens to pods until it is ended
 *
 * It wants no scheduler and no nodes: its pods name a node that is not there.
 */
#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "kube/event.h"
#include "kube/lease.h"
#include "kube/logs.h"
#include "kube/node.h"
#include "kube/object.h"
#include "kube/pod.h"
#include "kube/watch.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

static uv_loop_t loop;
static struct kube_client *client;
static char ns[64];
static int failed;

static void check(bool good, const char *what, const char *why)
{
    printf("%s %s%s%s\n", good ? "ok  " : "FAIL", what, good || !*why ? "" : ": ", good ? "" : why);
    fflush(stdout);
    failed += !good;
}

/* ---- waiting ---- */

static void on_late(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

/* Until *COUNT has reached MANY; false after a minute. */
static bool until(const int *count, int many)
{
    bool late = false;
    uv_timer_t timer;
    uv_timer_init(&loop, &timer);
    timer.data = &late;
    uv_timer_start(&timer, on_late, 60000, 0);
    while (*count < many && !late)
        uv_run(&loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&loop, UV_RUN_NOWAIT);
    return *count >= many;
}

struct said {
    int done;
    struct err err;
    struct kube_status status;
    int http_status;
    struct text body;
};

static struct said last;

static void note(void *arg, const struct kube_answer *a)
{
    struct said *s = arg;
    text_clear(&s->body);
    text_add_bytes(&s->body, a->body, a->len);
    s->err = a->err;
    s->status = a->status;
    s->http_status = a->http_status;
    s->done++;
}

/* Waits for the call; checks that it ended with CODE. */
static void expect(struct kube_call *call, enum err_code code, const char *what)
{
    (void)call;
    bool came = until(&last.done, 1);
    last.done = 0;
    check(came && last.err.code == code, what, last.err.code ? last.err.text : "it was done");
}

static void *answer_record(const struct kube_kind *kind)
{
    struct kube_head *head = NULL;
    struct err e = {0};
    if (kube_record_read(kind, kube_client_build(client), text_get(&last.body), last.body.len,
                         &head, &e) < 0)
        check(false, "the answer is an object", e.text);
    return head;
}

/* ---- watching ---- */

struct seen {
    int added, changed, gone, synced, troubles;
    bool tells;
};

static void on_changed(void *arg, const struct kube_head *before, const struct kube_head *now)
{
    struct seen *s = arg;
    *(before ? &s->changed : &s->added) += 1;
    if (s->tells)
        printf("%s %s/%s at %s\n", before ? "changed" : "added", now->ns, now->name, now->version);
}

static void on_gone(void *arg, const struct kube_head *gone)
{
    struct seen *s = arg;
    s->gone++;
    if (s->tells)
        printf("gone %s/%s at %s\n", gone->ns, gone->name, gone->version);
}

static void on_synced(void *arg)
{
    struct seen *s = arg;
    s->synced++;
    if (s->tells)
        printf("synced %d\n", s->synced);
}

static void on_trouble(void *arg, const struct err *why)
{
    struct seen *s = arg;
    s->troubles++;
    if (s->tells)
        printf("trouble %s\n", why->text);
}

static const struct kube_watch_ops ops = {on_changed, on_gone, on_synced, on_trouble};

/* ---- the steps ---- */

static char *write_pod(int number, const char *node)
{
    auto_free char *where = node ? mem_printf("\"nodeName\":\"%s\",", node) : mem_strdup("");
    return mem_printf(
        "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p%d\",\"labels\":{"
        "\"reeve.gpu/"
        "job\":\"%d\"}},\"spec\":{%s\"automountServiceAccountToken\":false,\"schedulerName\":"
        "\"nobody\",\"restartPolicy\":"
        "\"Never\",\"containers\":[{\"name\":\"main\",\"image\":\"localhost/none\",\"resources\":{"
        "\"limits\":{\"cpu\":\"500m\",\"memory\":\"16Gi\",\"nvidia.com/gpu\":1}}}]}}",
        number, number, where);
}

static void make_namespace(void)
{
    static const struct kube_kind namespaces = {
        .at = {"", "v1", "namespaces"}, .kind = "Namespace", .cluster_scoped = true};
    snprintf(ns, sizeof ns, "kube-story-%08x", (unsigned)random_u64());
    auto_free char *body = mem_printf(
        "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"%s\"}}", ns);
    expect(kube_create(client, &(struct kube_object){.kind = &namespaces}, body, strlen(body), note,
                       &last),
           ERR_NONE, "a namespace is made");
    /* Pods need it, and who makes it may be slower than we are, or not there. */
    static const struct kube_kind accounts = {.at = {"", "v1", "serviceaccounts"},
                                              .kind = "ServiceAccount"};
    static const char account[] = "{\"apiVersion\":\"v1\",\"kind\":\"ServiceAccount\","
                                  "\"metadata\":{\"name\":\"default\"}}";
    kube_create(client, &(struct kube_object){&accounts, ns, NULL, NULL}, account, strlen(account),
                note, &last);
    check(until(&last.done, 1), "and its service account", "not within a minute");
    last.done = 0;
}

static void on_made(void *arg, const struct kube_answer *a)
{
    *(int *)arg += 1;
    if (a->err.code)
        check(false, "a pod is made", a->err.text);
}

static void make_pods(int count, struct seen *seen)
{
    int done = 0;
    int64_t begin_ms = clock_mono_ms();
    for (int i = 0; i < count; i++) {
        auto_free char *pod = write_pod(i, "no-such-node");
        kube_create(client, &(struct kube_object){&kube_pods, ns, NULL, NULL}, pod, strlen(pod),
                    on_made, &done);
    }
    check(until(&done, count), "pods are made", "not all in a minute");
    int64_t made_ms = clock_mono_ms();
    check(until(&seen->added, count), "each is seen", "not all in a minute");
    printf("     %d pods: made in %lld ms, all seen %lld ms later\n", count,
           (long long)(made_ms - begin_ms), (long long)(clock_mono_ms() - made_ms));
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* How long until the watch has what a patch did, both on one connection where it is HTTP/2. */
static void time_changes(struct seen *seen)
{
    enum { TIMES = 21 };
    int64_t waits_us[TIMES];
    for (int i = 0; i < TIMES; i++) {
        struct kube_object pod = {&kube_pods, ns, "p1", NULL};
        auto_free char *body =
            mem_printf("{\"metadata\":{\"annotations\":{\"reeve.gpu/n\":\"%d\"}}}", i);
        int before = seen->changed;
        int64_t begin_us = clock_mono_us();
        kube_patch(client, &pod, body, strlen(body), note, &last);
        until(&seen->changed, before + 1);
        waits_us[i] = clock_mono_us() - begin_us;
        until(&last.done, 1);
        last.done = 0;
    }
    qsort(waits_us, TIMES, sizeof *waits_us, by_size);
    printf("     a change is seen in %lld us at the median, %lld us at most\n",
           (long long)waits_us[TIMES / 2], (long long)waits_us[TIMES - 1]);
}

static void change_a_pod(struct kube_watch *w, struct seen *seen)
{
    static const char status[] =
        "{\"status\":{\"phase\":\"Failed\",\"containerStatuses\":[{\"name\":\"main\",\"image\":"
        "\"x\",\"imageID\":\"x\",\"restartCount\":0,\"ready\":false,\"state\":{\"terminated\":{"
        "\"exitCode\":137,\"reason\":\"OOMKilled\",\"message\":\"a\\u0000b\"}}}]}}";
    struct kube_object p0 = {&kube_pods, ns, "p0", "status"};
    int before = seen->changed;
    expect(kube_patch(client, &p0, status, strlen(status), note, &last), ERR_NONE,
           "a pod's status is patched");
    until(&seen->changed, before + 1);
    const struct kube_pod *p = (const void *)kube_watch_find(w, ns, "p0");
    check(p && p->phase == KUBE_POD_FAILED && p->containers && p->containers->exit_code == 137 &&
              strcmp(p->containers->reason, "OOMKilled") == 0 && p->cpu_milli == 500 &&
              kube_pod_need(p, "nvidia.com/gpu") == 1,
          "and the watch has what it was set to", "it has something else");
}

static void apply(void)
{
    static const struct kube_kind maps = {.at = {"", "v1", "configmaps"}, .kind = "ConfigMap"};
    static const char *const bodies[] = {
        "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"m\"},\"data\":{"
        "\"a\":\"1\"}}",
        "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"m\"},\"data\":{"
        "\"a\":\"2\"}}"};
    struct kube_object m = {&maps, ns, "m", NULL};
    expect(kube_apply(client, &m, "one", false, bodies[0], strlen(bodies[0]), note, &last),
           ERR_NONE, "an object is applied that was not there");
    expect(kube_apply(client, &m, "two", false, bodies[1], strlen(bodies[1]), note, &last),
           ERR_CONFLICT, "a field of another manager is refused");
    check(strcmp(last.status.cause, "FieldManagerConflict") == 0, "with the cause",
          last.status.cause);
    expect(kube_apply(client, &m, "two", true, bodies[1], strlen(bodies[1]), note, &last), ERR_NONE,
           "and taken by force");
}

static void bind_and_delete(struct kube_watch *w, struct seen *seen)
{
    static const char node[] =
        "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"kube-story\"}}";
    struct kube_object which = {&kube_nodes, NULL, NULL, NULL}, pod = {&kube_pods, ns, NULL, NULL};
    auto_free char *body = write_pod(100000, NULL);
    auto_free struct kube_head *made = NULL;
    kube_create(client, &which, node, strlen(node), note, &last);
    until(&last.done, 1);
    last.done = 0;
    expect(kube_create(client, &pod, body, strlen(body), note, &last), ERR_NONE,
           "a pod is made that is on no node");
    made = answer_record(&kube_pods);
    if (!made)
        return;
    expect(kube_create(client, &pod, body, strlen(body), note, &last), ERR_CONFLICT,
           "it cannot be made twice");
    check(strcmp(last.status.reason, "AlreadyExists") == 0, "with the reason", last.status.reason);
    expect(kube_bind(client, ns, "p100000", "00000000-0000-0000-0000-000000000000", "kube-story",
                     note, &last),
           ERR_CONFLICT, "another pod of its name is not put on a node");
    expect(kube_bind(client, ns, "p100000", made->uid, "kube-story", note, &last), ERR_NONE,
           "it is put on a node");
    pod.name = "p100000";
    expect(kube_get(client, &pod, note, &last), ERR_NONE, "it is asked for");
    auto_free struct kube_pod *bound = answer_record(&kube_pods);
    check(bound && strcmp(bound->node, "kube-story") == 0, "and is there",
          bound ? bound->node : "");
    struct kube_delete how = {.uid = "00000000-0000-0000-0000-000000000000", .grace_seconds = 0};
    expect(kube_delete(client, &pod, &how, note, &last), ERR_CONFLICT,
           "another pod of its name is not removed");
    how.uid = made->uid;
    expect(kube_delete(client, &pod, &how, note, &last), ERR_NONE, "it is removed");
    check(until(&seen->gone, 1) && !kube_watch_find(w, ns, "p100000"), "which is seen",
          "it is not");
    expect(kube_get(client, &pod, note, &last), ERR_NOT_FOUND, "it is not there any more");
}

static void hold_lease(void)
{
    struct kube_lease_spec l = {.ns = ns,
                                .name = "l",
                                .holder = "a",
                                .seconds = 15,
                                .acquired_ms = clock_wall_ms(),
                                .renewed_ms = clock_wall_ms()};
    expect(kube_lease_get(client, ns, "l", note, &last), ERR_NOT_FOUND, "there is no lease");
    expect(kube_lease_put(client, &l, note, &last), ERR_NONE, "a lease is made");
    auto_free struct kube_lease *first = answer_record(&kube_leases);
    if (!first)
        return;
    l.version = first->head.version;
    l.holder = "b";
    expect(kube_lease_put(client, &l, note, &last), ERR_NONE, "it is replaced as it was read");
    auto_free struct kube_lease *second = answer_record(&kube_leases);
    check(second && strcmp(second->holder, "b") == 0 &&
              strcmp(second->raw_spec, first->raw_spec) != 0,
          "and differs", "it does not");
    expect(kube_lease_put(client, &l, note, &last), ERR_CONFLICT, "but not twice");
}

static void send_event(void)
{
    struct kube_event ev = {.ns = ns,
                            .api_version = "v1",
                            .kind = "Pod",
                            .name = "p0",
                            .uid = "u",
                            .reason = "Told",
                            .action = "Tell",
                            .note = "a story",
                            .controller = "reeve.gpu/story",
                            .instance = "s",
                            .now_ms = clock_wall_ms()};
    kube_event_send(client, &ev, note, &last);
    expect(NULL, ERR_NONE, "an event about a pod is taken");
    ev.ns = NULL;
    ev.kind = "Node";
    ev.name = "kube-story";
    ev.is_warning = true;
    kube_event_send(client, &ev, note, &last);
    expect(NULL, ERR_NONE, "and one about a node");
}

struct counted {
    int done, count;
    struct err err;
};

static void on_record(void *arg, struct kube_head *record)
{
    ((struct counted *)arg)->count++;
    free(record);
}

static void on_listed(void *arg, const char *version, const struct kube_answer *a)
{
    struct counted *c = arg;
    c->done++;
    if (!version)
        c->err = a->err;
}

static const struct kube_list_ops list_ops = {.on_record = on_record, .on_done = on_listed};

static void list_pages(const struct kube_selection *s, int count)
{
    struct counted c = {0};
    kube_list_start(client, s, 7, &list_ops, &c);
    check(until(&c.done, 1) && c.count == count, "a list in pages of seven has all", c.err.text);
}

static void watch_custom(void)
{
    static const char crd[] =
        "{\"apiVersion\":\"apiextensions.k8s.io/v1\",\"kind\":\"CustomResourceDefinition\","
        "\"metadata\":{\"name\":\"stories.kube-story.example\"},\"spec\":{\"group\":"
        "\"kube-story.example\",\"scope\":\"Namespaced\",\"names\":{\"plural\":\"stories\","
        "\"kind\":\"Story\"},\"versions\":[{\"name\":\"v1\",\"served\":true,\"storage\":true,"
        "\"subresources\":{\"status\":{}},\"schema\":{\"openAPIV3Schema\":{\"type\":\"object\","
        "\"x-kubernetes-preserve-unknown-fields\":true}}}]}}";
    static const struct kube_kind crds = {
        .at = {"apiextensions.k8s.io", "v1", "customresourcedefinitions"},
        .kind = "CustomResourceDefinition",
        .cluster_scoped = true};
    static const char story[] = "{\"apiVersion\":\"kube-story.example/v1\",\"kind\":\"Story\","
                                "\"metadata\":{\"name\":\"s\"},\"spec\":{\"gpus\":3}}";
    static const char status[] = "{\"status\":{\"phase\":\"Told\"},\"spec\":{\"gpus\":9}}";
    struct kube_kind stories = kube_custom_kind("kube-story.example", "v1", "stories", "Story");
    struct kube_object o = {&stories, ns, NULL, NULL};
    struct seen seen = {0};
    kube_apply(client, &(struct kube_object){.kind = &crds, .name = "stories.kube-story.example"},
               "story", true, crd, strlen(crd), note, &last);
    expect(NULL, ERR_NONE, "a kind of its own is defined");
    /* Begun before it is served: it is tried until it is. */
    struct kube_watch *w =
        kube_watch_start(client, &(struct kube_selection){.kind = &stories, .ns = ns}, &ops, &seen);
    check(until(&seen.synced, 1), "and can be watched", "not within a minute");
    expect(kube_create(client, &o, story, strlen(story), note, &last), ERR_NONE, "one is made");
    o.name = "s";
    o.sub = "status";
    expect(kube_patch(client, &o, status, strlen(status), note, &last), ERR_NONE,
           "its status is patched");
    until(&seen.changed, 1);
    const struct kube_custom *c = (const void *)kube_watch_find(w, ns, "s");
    check(c && c->spec && strcmp(c->spec, "{\"gpus\":3}") == 0 && c->status &&
              strstr(c->status, "Told"),
          "and nothing else of it", c && c->spec ? c->spec : "");
    kube_watch_stop(w);
}

static void tell_story(int pods)
{
    struct seen seen = {0}, paged = {0};
    struct kube_watch_stats stats;
    kube_get_path(client, "/version", note, &last);
    expect(NULL, ERR_NONE, "the server says its version");
    make_namespace();
    struct kube_selection s = {.kind = &kube_pods, .ns = ns};
    struct kube_watch *w = kube_watch_start(client, &s, &ops, &seen);
    check(until(&seen.synced, 1), "a watch begins", "not within a minute");
    make_pods(pods, &seen);
    change_a_pod(w, &seen);
    time_changes(&seen);
    apply();
    bind_and_delete(w, &seen);
    hold_lease();
    send_event();
    list_pages(&s, pods);
    watch_custom();
    kube_client_no_streamed_lists(client);
    struct kube_watch *other = kube_watch_start(client, &s, &ops, &paged);
    check(until(&paged.synced, 1) && paged.added == pods, "a watch that begins with pages has all",
          "it has not");
    kube_watch_stats(w, &stats);
    printf("     %zu records, %zu bytes each on average\n", stats.count,
           stats.count ? stats.bytes / stats.count : 0);
    check(stats.count == (size_t)pods && stats.unread == 0 && stats.lists == 1,
          "one list was enough, and all was read", "it was not");
    kube_watch_stop(other);
    kube_watch_stop(w);
}

static void watch_for_ever(void)
{
    struct seen seen = {.tells = true};
    setvbuf(stdout, NULL, _IOLBF, 0);
    kube_watch_start(client, &(struct kube_selection){.kind = &kube_pods}, &ops, &seen);
    uv_run(&loop, UV_RUN_DEFAULT);
}

static bool on_log(void *arg, const char *bytes, size_t len, const struct kube_log_position *at)
{
    (void)arg;
    (void)at;
    return fwrite(bytes, 1, len, stdout) == len;
}

static void on_log_end(void *arg, const struct kube_log_position *at, const struct kube_answer *a)
{
    fprintf(stderr, "the log ended at %lld, line %llu\n", (long long)at->second,
            (unsigned long long)at->lines);
    check(!a->err.code, "a log was read", a->err.text);
    *(int *)arg += 1;
}

static void follow_log(const char *space, const char *pod)
{
    static const struct kube_log_ops log_ops = {on_log, on_log_end};
    int ended = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    kube_log_start(client, &(struct kube_log_request){.ns = space, .pod = pod, .follow = true},
                   &log_ops, &ended);
    while (!ended)
        uv_run(&loop, UV_RUN_ONCE);
}

int main(int argc, char **argv)
{
    struct kube_config *config = NULL;
    struct err e = {0};
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        fprintf(stderr, "usage: kube_story KUBECONFIG [PODS | watch | log NS POD]\n");
        return 2;
    }
    if (kube_config_read(&(struct kube_config_options){.path = argv[1]}, &config, &e) < 0) {
        fprintf(stderr, "kube_story: %s\n", e.text);
        return 1;
    }
    uv_loop_init(&loop);
    client = kube_client_new(&loop, config, NULL);
    if (argc > 2 && strcmp(argv[2], "watch") == 0)
        watch_for_ever();
    else if (argc > 4 && strcmp(argv[2], "log") == 0)
        follow_log(argv[3], argv[4]);
    else
        tell_story(argc > 2 ? atoi(argv[2]) : 50);
    kube_client_free(client);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    text_done(&last.body);
    printf("%d failed\n", failed);
    return failed ? 1 : 0;
}
