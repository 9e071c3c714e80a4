/* What the tests of Kubernetes runners share: an attempt, a place, settings, and records by their
 * JSON. */
#ifndef UNIT_RUNNER_KUBE_WORDS_H
#define UNIT_RUNNER_KUBE_WORDS_H

#include "base/json.h"
#include "base/mem.h"
#include "runner/kube_runner.h"
#include "test.h"

#define THE_ID "00112233445566778899aabbccddeeff"

static inline struct runner_attempt an_attempt(const char *spec)
{
    return (struct runner_attempt){.epoch = 3,
                                   .job = 7,
                                   .n = 2,
                                   .id = THE_ID,
                                   .name = "reeve-abcdefgh-7-2",
                                   .user = "alice",
                                   .memory_mib = 16384,
                                   .job_name = "sweep",
                                   .spec = spec};
}

static inline struct kube_place a_place(void)
{
    return (struct kube_place){.runner = "kube-pod",
                               .site = "abcdefgh",
                               .node = "gpu-a",
                               .hostname = "gpu-a",
                               .claims = {{"nvidia.com/gpu", 1}},
                               .claim_count = 1,
                               .memory_is_default = true,
                               .start_limit_ms = 600000};
}

/* The object that RUNNER makes; the caller owns it. */
static inline json_t *made_by(const struct kube_runner *runner, const struct runner_attempt *a,
                              const struct kube_place *p, const struct kube_settings *s,
                              struct runner_request *r)
{
    json_t *tree = NULL;
    CHECK_OK(runner->make(a, p, s, r, &test_err));
    CHECK_OK(json_parse(text_get(&r->body), r->body.len, &tree, &test_err));
    return tree;
}

/* Says where: "spec.containers.0.image". */
static inline const json_t *json_at(const json_t *tree, const char *path)
{
    auto_free char *copy = mem_strdup(path);
    char *rest = copy, *step;
    while (tree && (step = strsep(&rest, "/")))
        tree = json_is_array(tree) ? json_array_get(tree, (size_t)atoi(step))
                                   : json_object_get(tree, step);
    return tree;
}

static inline const char *text_at(const json_t *tree, const char *path)
{
    const char *s = json_string_value(json_at(tree, path));
    return s ? s : "(none)";
}

/* A record of KIND; the caller frees it. */
static inline void *a_record(const struct kube_kind *kind, const char *json)
{
    struct kube_build *b = kube_build_new();
    struct kube_head *head = NULL;
    CHECK_OK(kube_record_read(kind, b, json, strlen(json), &head, &test_err));
    kube_build_free(b);
    return head;
}

#endif
