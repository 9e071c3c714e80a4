#include "core/fleet/where.h"
#include "operator/internal.h"
#include "test.h"

static json_t *job_of(const struct wish_kind *kind, const struct reconciler_config *c,
                      const char *spec_text)
{
    json_t *job = NULL;
    auto_json json_t *spec = NULL;
    CHECK_OK(json_parse(spec_text, strlen(spec_text), &spec, &test_err));
    CHECK_OK(kind->to_job(c, "one", spec, &job, &test_err));
    return job;
}

#define CHECK_JSON(value, expected)                                                                \
    do {                                                                                           \
        auto_json json_t *expected_ = NULL;                                                        \
        CHECK_OK(json_parse(expected, strlen(expected), &expected_, &test_err));                   \
        auto_free char *is_ = json_write(value);                                                   \
        ck_assert_msg(json_equal(value, expected_), "is %s", is_);                                 \
    } while (0)

TEST("a TrainingJob's fields are those of a job, spelled as Kubernetes does")
{
    auto_json json_t *job =
        job_of(&training_jobs, NULL,
               "{\"gpus\":2,\"gpuMemory\":\"8GiB\",\"timeLimit\":\"2h\",\"workDir\":\"/w\","
               "\"env\":{\"keepMe\":\"asIs\"},\"nodeSelector\":{\"aB\":\"cD\"},"
               "\"mounts\":[{\"name\":\"data\",\"readOnly\":true}],"
               "\"template\":{\"name\":\"t\",\"clusterScope\":true,\"parameters\":{"
               "\"learningRate\":\"1\"}}}");

    CHECK_JSON(job, "{\"gpus\":2,\"gpu_memory\":\"8GiB\",\"time_limit\":\"2h\",\"work_dir\":\"/w\","
                    "\"env\":{\"keepMe\":\"asIs\"},\"node_selector\":{\"aB\":\"cD\"},"
                    "\"mounts\":[{\"name\":\"data\",\"read_only\":true}],"
                    "\"template\":{\"name\":\"t\",\"cluster_scope\":true,\"parameters\":{"
                    "\"learningRate\":\"1\"}},\"name\":\"one\"}");
}

TEST("an allocation is a job that holds one GPU with memory as it is sold, of a model it prefers")
{
    const struct reconciler_config c = {.hold_image = "agent:1"};
    auto_json json_t *job = job_of(
        &gpu_allocations, &c,
        "{\"workloadType\":\"training\",\"requiredMemoryGb\":24,\"preferredModel\":\"RTX 4090\"}");

    CHECK_JSON(job, "{\"gpus\":1,\"memory\":64,\"retries\":100,\"name\":\"allocation one\","
                    "\"command\":[\"reeve-agent\",\"--hold\"],\"image\":\"agent:1\","
                    "\"gpu_memory\":22889,\"labels\":{\"workload-type\":\"training\"},"
                    "\"node_selector\":{\"reeve.gpu/prefers-model\":\"rtx4090\"}}");
}

TEST("an allocation without any image to hold it by says so")
{
    const struct reconciler_config c = {0};
    auto_json json_t *job = NULL, *spec = json_object();

    CHECK_FAILS(gpu_allocations.to_job(&c, "one", spec, &job, &test_err), ERR_INVALID,
                "--kube-hold-image");
}

TEST("names of models are alike by their letters and digits")
{
    char word[FLEET_NAME];

    CHECK(model_word(word, sizeof word, "RTX4090"));
    CHECK(model_is_like("NVIDIA GeForce RTX 4090", word));
    CHECK(!model_is_like("NVIDIA L4", word));
    CHECK(!model_word(word, sizeof word, " -/ "));
}

/* ---- status ---- */

static struct status_facts facts(const struct wish_kind *kind, const struct job_look *look,
                                 const json_t *before, int64_t now_ms)
{
    static const struct verdict none;
    return (struct status_facts){.kind = kind,
                                 .before = before,
                                 .generation = 3,
                                 .now_ms = now_ms,
                                 .site = "s1",
                                 .user = "alice",
                                 .look = look,
                                 .verdict = &none};
}

static const json_t *condition(const json_t *status, const char *type)
{
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(status, "conditions"), i, item)
    {
        if (strcmp(json_string_value(json_object_get(item, "type")), type) == 0)
            return item;
    }
    return NULL;
}

static const char *text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

TEST("a condition keeps the time since when it is so")
{
    auto_job_look struct job_look *look = job_look_new();
    look->id = 7;
    look->state = JOB_QUEUED;
    struct status_facts f = facts(&training_jobs, look, NULL, 1000000);
    auto_json json_t *queued = status_make(&f);
    look->state = JOB_RUNNING;
    look->started_ms = 2000000;
    f = facts(&training_jobs, look, queued, 2000000);
    auto_json json_t *running = status_make(&f);

    CHECK_TEXT(text(queued, "phase"), "Queued");
    CHECK_TEXT(text(condition(queued, "Running"), "status"), "False");
    CHECK_TEXT(text(running, "phase"), "Running");
    CHECK_TEXT(text(running, "startTime"), "1970-01-01T00:33:20Z");
    CHECK_TEXT(text(condition(running, "Running"), "status"), "True");
    CHECK_TEXT(text(condition(running, "Running"), "lastTransitionTime"), "1970-01-01T00:33:20Z");
    CHECK_TEXT(text(condition(running, "Accepted"), "lastTransitionTime"), "1970-01-01T00:16:40Z");
    CHECK_TEXT(text(condition(running, "Complete"), "status"), "False");
}

TEST("how a job ended stands in its conditions, with the reason as a word")
{
    auto_job_look struct job_look *look = job_look_new();
    look->id = 7;
    look->state = JOB_FAILED;
    look->has_ended = true;
    snprintf(look->reason, sizeof look->reason, "out-of-memory");
    text_add(&look->message, "it used more memory than its limit");
    struct status_facts f = facts(&training_jobs, look, NULL, 1000000);
    auto_json json_t *status = status_make(&f);

    CHECK_TEXT(text(status, "phase"), "Failed");
    CHECK_TEXT(text(status, "reason"), "OutOfMemory");
    CHECK_TEXT(text(condition(status, "Failed"), "status"), "True");
    CHECK_TEXT(text(condition(status, "Failed"), "reason"), "OutOfMemory");
    CHECK_TEXT(text(condition(status, "Failed"), "message"), "it used more memory than its limit");
}

TEST("an object that became no job is not accepted, for a reason in words")
{
    struct verdict why = {0};
    verdict_set(&why, "Invalid", "field '%s' is missing", "command");
    struct status_facts f = facts(&training_jobs, NULL, NULL, 1000000);
    f.verdict = &why;
    auto_json json_t *status = status_make(&f);
    auto_free char *patch = status_patch(&training_jobs, status);

    CHECK_TEXT(text(status, "phase"), "Invalid");
    CHECK_TEXT(text(condition(status, "Accepted"), "status"), "False");
    CHECK_TEXT(text(condition(status, "Accepted"), "message"), "field 'command' is missing");
    CHECK(!condition(status, "Complete"));
    CHECK(strstr(patch, "\"jobId\":null"));
    CHECK(strstr(patch, "\"devices\":null"));
}

TEST("an allocation says its device, and that it is of another model than was preferred")
{
    auto_job_look struct job_look *look = job_look_new();
    auto_json json_t *spec = json_pack("{s:s}", "preferredModel", "A100");
    look->id = 7;
    look->state = JOB_RUNNING;
    look->started_ms = 2000000;
    look->device_count = 1;
    strcpy(look->devices[0].uuid, "GPU-1");
    strcpy(look->devices[0].model, "NVIDIA L4");
    strcpy(look->devices[0].node, "n1");
    struct status_facts f = facts(&gpu_allocations, look, NULL, 2000000);
    f.spec = spec;
    auto_json json_t *named = status_make(&f);
    look->devices[0].is_counted = true;
    strcpy(look->devices[0].model, "NVIDIA A100-SXM4-40GB");
    auto_json json_t *counted = status_make(&f);

    CHECK_TEXT(text(named, "phase"), "Allocated");
    CHECK_TEXT(text(named, "allocatedDevice"), "GPU-1");
    CHECK_TEXT(text(named, "allocationTime"), "1970-01-01T00:33:20Z");
    CHECK_TEXT(text(named, "message"),
               "no GPU like 'A100' was free that fits; this one is a NVIDIA L4");
    CHECK_TEXT(text(counted, "allocatedDevice"), "n1/0");
    CHECK(!text(counted, "message"));
}

TEST("a place in the queue is a small change, a phase is not")
{
    auto_json json_t *a = json_pack("{s:s,s:i}", "phase", "Queued", "position", 3);
    auto_json json_t *b = json_pack("{s:s,s:i}", "phase", "Queued", "position", 2);
    auto_json json_t *c = json_pack("{s:s}", "phase", "Running");

    CHECK(status_is_small_change(a, b));
    CHECK(!status_is_small_change(a, c));
}
