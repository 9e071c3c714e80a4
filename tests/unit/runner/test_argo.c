#include "kube/job.h"
#include "kube_words.h"

static struct kube_settings some_settings(const char *more)
{
    auto_free char *yaml = mem_printf("namespace: jobs\n"
                                      "pull_secrets: [registry]\n"
                                      "template: proto-gcn\n"
                                      "templates: [other, {name: shared, cluster_scope: true}]\n"
                                      "%s",
                                      more);
    struct kube_settings s;
    kube_settings_init(&s);
    CHECK_OK(kube_settings_parse(&s, yaml, strlen(yaml), &test_err));
    return s;
}

/* The Workflow of a spec; the caller owns it. */
static json_t *workflow_of(const struct kube_runner *runner, const char *spec, const char *more)
{
    struct kube_settings s = some_settings(more);
    struct runner_attempt a = an_attempt(spec);
    struct kube_place p = a_place();
    auto_request struct runner_request r = {0};
    a.time_limit_ms = 60000;
    json_t *tree = made_by(runner, &a, &p, &s, &r);
    kube_settings_done(&s);
    return tree;
}

static void refused(const char *spec, const char *words)
{
    struct kube_settings s = some_settings("");
    struct runner_attempt a = an_attempt(spec);
    struct kube_place p = a_place();
    auto_request struct runner_request r = {0};
    CHECK_FAILS(kube_runner_argo.make(&a, &p, &s, &r, &test_err), ERR_INVALID, words);
    kube_settings_done(&s);
}

static json_t *patch_of(const json_t *workflow)
{
    const char *text = text_at(workflow, "spec/podSpecPatch");
    json_t *patch = NULL;
    CHECK(!strstr(text, "{{"));
    CHECK_OK(json_parse(text, strlen(text), &patch, &test_err));
    return patch;
}

/* A parameter's value; "(none)" when it is not given. */
static const char *parameter(const json_t *workflow, const char *name)
{
    const char *found = "(none)";
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)json_at(workflow, "spec/arguments/parameters"), i, item)
    {
        if (strcmp(text_at(item, "name"), name) == 0) {
            CHECK_TEXT(found, "(none)"); /* Argo takes none twice */
            found = text_at(item, "value");
        }
    }
    return found;
}

TEST("a job of the source's kind runs the template with its user, config file and work dir")
{
    auto_json json_t *w =
        workflow_of(&kube_runner_argo, "{\"config_file\":\"a.yaml\",\"work_dir\":\"/w\"}", "");
    CHECK_TEXT(text_at(w, "metadata/name"), "reeve-abcdefgh-7-2");
    CHECK_TEXT(text_at(w, "metadata/finalizers/0"), KUBE_FINALIZER);
    CHECK_TEXT(text_at(w, "spec/workflowTemplateRef/name"), "proto-gcn");
    CHECK(!json_at(w, "spec/workflowTemplateRef/clusterScope"));
    CHECK_TEXT(parameter(w, "user"), "alice");
    CHECK_TEXT(parameter(w, "config-file"), "a.yaml");
    CHECK_TEXT(parameter(w, "work-dir"), "/w");
    CHECK_TEXT(parameter(w, "job-id"), "7");
    CHECK_TEXT(parameter(w, "attempt"), "2");
    CHECK_TEXT(parameter(w, "gpus"), "1");
    CHECK_TEXT(parameter(w, "image"), "(none)");
    CHECK_INT(json_integer_value(json_at(w, "spec/activeDeadlineSeconds")), 720);
    CHECK(json_equal(json_at(w, "spec/podMetadata/labels"), json_at(w, "metadata/labels")));
    CHECK(
        json_equal(json_at(w, "spec/podMetadata/annotations"), json_at(w, "metadata/annotations")));
    CHECK_TEXT(text_at(w, "spec/imagePullSecrets/0/name"), "registry");
    CHECK(!json_at(w, "spec/ttlStrategy"));
}

TEST("every step of a template goes to the node that was chosen, with the devices that were")
{
    auto_json json_t *w = workflow_of(&kube_runner_argo, "{}", "");
    auto_json json_t *patch = patch_of(w);
    const json_t *terms = json_at(
        patch,
        "affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms");
    CHECK_TEXT(text_at(terms, "0/matchFields/0/key"), "metadata.name");
    CHECK_TEXT(text_at(terms, "0/matchFields/0/values/0"), "gpu-a");
    CHECK(!json_at(patch, "nodeName"));
    CHECK_TEXT(text_at(patch, "tolerations/0/key"), "nvidia.com/gpu");
    CHECK_TEXT(text_at(patch, "containers/0/name"), "main");
    const json_t *limits = json_at(patch, "containers/0/resources/limits");
    CHECK_TEXT(json_string_value(json_object_get(limits, "nvidia.com/gpu")), "1");
    CHECK(json_is_null(json_object_get(limits, "amd.com/gpu")));
    CHECK(!json_object_get(limits, "memory"));
    CHECK(!json_object_get(limits, "cpu"));
    /* What nobody asked for is for steps that name no limit themselves. */
    CHECK_TEXT(text_at(w, "spec/templateDefaults/container/resources/limits/memory"), "16384Mi");
    CHECK_TEXT(text_at(w, "spec/templateDefaults/script/resources/limits/memory"), "16384Mi");
}

TEST("memory and CPU that were asked for count for every step")
{
    struct kube_settings s = some_settings("");
    struct runner_attempt a = an_attempt("{\"template\":{\"name\":\"other\"}}");
    struct kube_place p = a_place();
    auto_request struct runner_request r = {0};
    a.cpu_milli = 2500;
    a.memory_mib = 100;
    p.memory_is_default = false;
    p.claim_count = 0;
    auto_json json_t *w = made_by(&kube_runner_argo, &a, &p, &s, &r);
    auto_json json_t *patch = patch_of(w);
    const json_t *limits = json_at(patch, "containers/0/resources/limits");
    CHECK_TEXT(text_at(limits, "memory"), "100Mi");
    CHECK_TEXT(text_at(limits, "cpu"), "2500m");
    CHECK(json_is_null(json_object_get(limits, "nvidia.com/gpu")));
    CHECK(!json_at(patch, "tolerations"));
    CHECK_TEXT(parameter(w, "gpus"), "0");
    kube_settings_done(&s);
}

TEST("a template is one that an administrator allows")
{
    auto_json json_t *w =
        workflow_of(&kube_runner_argo, "{\"template\":{\"name\":\"shared\"}}", "");
    CHECK_TEXT(text_at(w, "spec/workflowTemplateRef/name"), "shared");
    CHECK(json_is_true(json_at(w, "spec/workflowTemplateRef/clusterScope")));
    refused("{\"template\":{\"name\":\"mine\"}}", "there is no template 'mine'");
    refused("{\"template\":{\"name\":\"other\",\"cluster_scope\":true}}", "of its namespace");
    refused("{\"template\":{\"name\":\"other\"},\"command\":[\"sh\"]}", "no command");
    refused("{\"template\":{\"name\":\"other\"},\"env\":{\"LD_PRELOAD\":\"x\"}}", "environment");
    refused("{\"template\":{\"name\":\"other\"},\"mounts\":[\"data\"]}", "mounts");
}

TEST("parameters are data")
{
    auto_json json_t *w = workflow_of(&kube_runner_argo,
                                      "{\"config_file\":\"a\",\"template\":{\"name\":\"other\","
                                      "\"parameters\":{\"lr\":0.5,\"epochs\":3,"
                                      "\"quick\":true,\"config-file\":\"b\",\"note\":\"\\\"}\\n- "
                                      "name: user\\n  value: root # {%\"}}}",
                                      "image: localhost/train:3\n");
    CHECK_TEXT(parameter(w, "lr"), "0.5");
    CHECK_TEXT(parameter(w, "epochs"), "3");
    CHECK_TEXT(parameter(w, "quick"), "true");
    CHECK_TEXT(parameter(w, "config-file"), "b");
    CHECK_TEXT(parameter(w, "image"), "localhost/train:3");
    CHECK_TEXT(parameter(w, "user"), "alice");
    CHECK_TEXT(parameter(w, "note"), "\"}\n- name: user\n  value: root # {%");
    refused("{\"template\":{\"name\":\"other\",\"parameters\":{\"user\":\"root\"}}}",
            "given by Reeve");
    refused("{\"template\":{\"name\":\"other\",\"parameters\":{\"a b\":\"\"}}}",
            "name of a parameter");
    refused("{\"template\":{\"name\":\"other\",\"parameters\":{\"a\":[]}}}", "a text or a number");
    refused("{\"template\":{\"name\":\"other\",\"parameters\":{\"a\":\"{{workflow.name}}\"}}}",
            "parameter 'a' has '{{' in it");
    refused("{\"template\":{\"name\":\"other\",\"parameters\":{\"a\":\"{{=1+1\"}}}", "'{{'");
    refused("{\"template\":{\"name\":\"other\",\"parameters\":{\"a\":\"\\u0007\"}}}",
            "control characters");
    refused("{\"config_file\":\"{{x}}\"}", "parameter 'config-file'");
    refused("{\"work_dir\":\"/{{x}}\"}", "parameter 'work-dir'");
    refused("{\"progress\":\"{{x}}\"}", "progress");
}

TEST("a job with a command of its own is a workflow of one step, whose pod is that of kube-pod")
{
    auto_json json_t *w = workflow_of(
        &kube_runner_argo,
        "{\"image\":\"i\",\"command\":[\"sh\",\"-c\",\"echo {{workflow.name}} {{{ $(x) $$\"],"
        "\"env\":{\"A\":\"{{=1}}\"},\"mounts\":[\"data\"]}",
        "mounts:\n- {name: data, claim: c}\nargo_service_account: runs-workflows\n"
        "argo_instance: blue\n");
    auto_json json_t *patch = patch_of(w);
    CHECK_TEXT(text_at(w, "spec/entrypoint"), "main");
    CHECK_TEXT(text_at(w, "spec/serviceAccountName"), "runs-workflows");
    CHECK_TEXT(json_string_value(json_object_get(json_at(w, "metadata/labels"),
                                                 "workflows.argoproj.io/controller-instanceid")),
               "blue");
    CHECK_TEXT(text_at(w, "spec/templates/0/container/image"), "i");
    CHECK_TEXT(text_at(w, "spec/templates/0/container/command/2"),
               "echo {$(REEVE_BRACE)workflow.name}} {$(REEVE_BRACE)$(REEVE_BRACE) $$(x) $$$");
    CHECK_TEXT(text_at(patch, "nodeName"), "gpu-a");
    CHECK_TEXT(text_at(patch, "containers/0/env/0/name"), "REEVE_BRACE");
    CHECK_TEXT(text_at(patch, "containers/0/env/0/value"), "{");
    CHECK_TEXT(text_at(patch, "volumes/0/persistentVolumeClaim/claimName"), "c");
    const json_t *limits = json_at(patch, "containers/0/resources/limits");
    CHECK_TEXT(json_string_value(json_object_get(limits, "nvidia.com/gpu")), "1");
    CHECK_TEXT(text_at(limits, "memory"), "16384Mi");
    CHECK(!json_at(patch, "restartPolicy"));
    CHECK(!json_at(patch, "automountServiceAccountToken")); /* Argo's own container needs it */
    CHECK(!json_at(patch, "activeDeadlineSeconds"));
    refused("{\"image\":\"{{x}}\"}", "the image has '{{'");
    refused("{\"image\":\"i\",\"work_dir\":\"{{x}}\"}", "the work dir has '{{'");
}

TEST("a workflow is cancelled by its controller, which keeps what came of it")
{
    auto_request struct runner_request r = {0};
    struct kube_workflow *w = a_record(
        &kube_workflows, "{\"metadata\":{\"name\":\"w\",\"namespace\":\"n\",\"uid\":\"u\"}}");
    kube_runner_cancel(&kube_runner_argo, &w->head, 30, &r);
    CHECK_INT(r.method, HTTP_PATCH);
    CHECK_TEXT(text_get(&r.target), "/apis/argoproj.io/v1alpha1/namespaces/n/workflows/w");
    CHECK_TEXT(r.type, "application/merge-patch+json");
    CHECK_TEXT(text_get(&r.body),
               "{\"metadata\":{\"uid\":\"u\"},\"spec\":{\"shutdown\":\"Terminate\"}}");
    free(w);
}

TEST("Argo Server is told the same in its own words, and holds no finalizers of ours")
{
    struct kube_settings s = some_settings("");
    struct runner_attempt a = an_attempt("{}");
    struct kube_place p = a_place();
    auto_request struct runner_request made = {0}, cancel = {0}, get = {0}, gone = {0}, list = {0};
    auto_json json_t *body = made_by(&kube_runner_argo_server, &a, &p, &s, &made);
    struct kube_workflow *w = a_record(
        &kube_workflows, "{\"metadata\":{\"name\":\"w\",\"namespace\":\"n\",\"uid\":\"u\"}}");
    CHECK_INT(made.method, HTTP_POST);
    CHECK_TEXT(text_get(&made.target), "/api/v1/workflows/jobs");
    CHECK_TEXT(text_at(body, "namespace"), "jobs");
    CHECK_TEXT(text_at(body, "workflow/metadata/name"), "reeve-abcdefgh-7-2");
    CHECK(!json_at(body, "workflow/metadata/finalizers"));
    CHECK_INT(json_integer_value(json_at(body, "workflow/spec/ttlStrategy/secondsAfterSuccess")),
              86400);
    kube_runner_cancel(&kube_runner_argo_server, &w->head, 30, &cancel);
    CHECK_INT(cancel.method, HTTP_PUT);
    CHECK_TEXT(text_get(&cancel.target), "/api/v1/workflows/n/w/terminate");
    kube_runner_get(&kube_runner_argo_server, "n", "../x", &get);
    CHECK_TEXT(text_get(&get.target), "/api/v1/workflows/n/..%2Fx");
    kube_runner_remove(&kube_runner_argo_server, &w->head, &gone);
    CHECK_INT(gone.method, HTTP_DELETE);
    CHECK_TEXT(text_get(&gone.target), "/api/v1/workflows/n/w");
    kube_runner_argo_server.list("n", "reeve.gpu/site=a", &list);
    CHECK_TEXT(text_get(&list.target),
               "/api/v1/workflows/n?listOptions.labelSelector=reeve.gpu%2Fsite%3Da");
    free(w);
    kube_settings_done(&s);
}

TEST("templates in the settings are names, once each")
{
    static const char *const wrong[] = {"templates: [a, a]", "templates: ['']",
                                        "templates: [{}]",   "templates: [{name: a, b: c}]",
                                        "template: 'a b'",   "templates: [3]"};
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        struct kube_settings s;
        kube_settings_init(&s);
        CHECK_FAILS(kube_settings_parse(&s, wrong[i], strlen(wrong[i]), &test_err), ERR_INVALID,
                    "");
        kube_settings_done(&s);
    }
}
