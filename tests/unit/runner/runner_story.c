/*
 * The Kubernetes runners, one call at a time, for tests/cluster and by hand: what they would send,
 * and how they judge what is there.
 *
 *     runner_story make RUNNER SETTINGS NODE GPUS SPEC [TIME_LIMIT_MS]
 *         the request that makes the attempt's object, as JSON {"method", "target", "body"}
 *     runner_story cancel|release RUNNER < OBJECT
 *         the request for an object as the server gives it
 *     runner_story judge RUNNER < LIST
 *         what became of the first object of a list by the pods behind it: state, outcome, exit
 *         code, progress, words
 */
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "runner/kube_runner.h"

#include <stdio.h>
#include <stdlib.h>

static int fail(const char *why)
{
    fprintf(stderr, "runner_story: %s\n", why);
    return 1;
}

static const char *method_name(enum http_method m)
{
    return m == HTTP_POST     ? "POST"
           : m == HTTP_PATCH  ? "PATCH"
           : m == HTTP_PUT    ? "PUT"
           : m == HTTP_DELETE ? "DELETE"
                              : "GET";
}

static int show_request(const struct runner_request *r)
{
    auto_text struct text t = {0};
    struct json_out o = {.text = &t};
    jo_object(&o, NULL);
    jo_text(&o, "method", method_name(r->method));
    jo_text(&o, "target", text_get(&r->target));
    jo_text(&o, "type", r->type ? r->type : "application/json");
    if (r->body.len)
        jo_raw(&o, "body", text_get(&r->body), r->body.len);
    jo_end(&o);
    puts(text_get(&t));
    return 0;
}

static int make(const struct kube_runner *runner, char **words, int count)
{
    struct kube_settings s;
    struct err e = {0};
    auto_request struct runner_request r = {0};
    char id[ATTEMPT_ID_SIZE], name[ATTEMPT_NAME_SIZE];
    kube_settings_init(&s);
    if (kube_settings_parse(&s, words[0], strlen(words[0]), &e) < 0)
        return fail(e.text);
    int64_t job = (int64_t)getpid();
    attempt_id(id, "story", job, 1);
    attempt_name(name, "story", job, 1);
    struct runner_attempt a = {.id = id,
                               .name = name,
                               .job = job,
                               .n = 1,
                               .user = "alice",
                               .memory_mib = 64,
                               .spec = words[3],
                               .time_limit_ms = count > 4 ? atoll(words[4]) : 0};
    struct kube_place p = {.runner = runner->name,
                           .site = "story",
                           .node = words[1],
                           .hostname = words[1],
                           .claims = {{"nvidia.com/gpu", atoll(words[2])}},
                           .claim_count = atoll(words[2]) ? 1 : 0,
                           .memory_is_default = true};
    s.memory_request_mib = 16;
    int rc = runner->make(&a, &p, &s, &r, &e) < 0 ? fail(e.text) : show_request(&r);
    kube_settings_done(&s);
    return rc;
}

/* What stands in for a record where there is none: the caller frees what it gets. */
static struct kube_head *read_record(const struct kube_kind *kind, const json_t *object)
{
    struct kube_build *b = kube_build_new();
    struct kube_head *head = NULL;
    auto_free char *json = json_write(object);
    if (kube_record_read(kind, b, json, strlen(json), &head, NULL) < 0)
        head = NULL;
    kube_build_free(b);
    return head;
}

static int judge(const struct kube_runner *runner, const json_t *list)
{
    static const char *const states[] = {"waiting", "running", "ended", "refused", "lost"};
    const json_t *items = json_object_get(list, "items");
    auto_free struct kube_head *object = read_record(runner->kind, json_array_get(items, 0));
    struct kube_pod *pods[64];
    const struct kube_pod *shown[64];
    size_t count = 0;
    struct runner_view v;
    if (!object)
        return fail("there is no object");
    for (size_t i = 1; i < json_array_size(items) && count < COUNT_OF(pods); i++) {
        pods[count] = (struct kube_pod *)read_record(&kube_pods, json_array_get(items, i));
        if (pods[count]) {
            shown[count] = pods[count];
            count++;
        }
    }
    runner->judge(object, shown, count, &v);
    for (size_t i = 0; i < count; i++)
        free(pods[i]);
    auto_text struct text t = {0};
    struct json_out o = {.text = &t};
    jo_object(&o, NULL);
    jo_text(&o, "state", states[v.state]);
    jo_text(&o, "outcome", v.state == RUNNER_ENDED ? outcome_name(v.outcome) : NULL);
    jo_int(&o, "exit_code", v.exit_code);
    jo_int(&o, "done", v.done);
    jo_int(&o, "total", v.total);
    jo_bool(&o, "started", v.started_ms > 0);
    jo_bool(&o, "hopeless", v.is_hopeless);
    jo_text(&o, "why", v.why);
    jo_end(&o);
    puts(text_get(&t));
    return 0;
}

static int about_input(const char *what, const struct kube_runner *runner)
{
    auto_text struct text in = {0};
    auto_json json_t *tree = NULL;
    struct err e = {0};
    char piece[4096];
    for (size_t n; (n = fread(piece, 1, sizeof piece, stdin)) > 0;)
        text_add_bytes(&in, piece, n);
    if (json_parse(text_get(&in), in.len, &tree, &e) < 0)
        return fail(e.text);
    if (strcmp(what, "judge") == 0)
        return judge(runner, tree);
    auto_request struct runner_request r = {0};
    auto_free struct kube_head *object = read_record(runner->kind, tree);
    if (!object)
        return fail("there is no object");
    if (strcmp(what, "cancel") == 0)
        kube_runner_cancel(runner, object, 2, &r);
    else
        kube_runner_release(runner, object, &r);
    return show_request(&r);
}

int main(int argc, char **argv)
{
    const struct kube_runner *runner = argc > 2 ? kube_runner_find(argv[2]) : NULL;
    if (!runner)
        return fail("which runner?");
    if (strcmp(argv[1], "make") == 0)
        return argc < 7 ? fail("make RUNNER SETTINGS NODE GPUS SPEC")
                        : make(runner, argv + 3, argc - 3);
    return about_input(argv[1], runner);
}
