#include "agent/job_spec.h"
#include "test.h"

/* A start command with this spec. */
static void a_start(struct command *c, const char *spec)
{
    auto_text struct text t = {0};
    text_addf(
        &t,
        "{\"type\":\"start\",\"epoch\":4,\"attempt\":\"0123456789abcdef0123456789abcdef\","
        "\"name\":\"reeve-s-7-1\",\"job_name\":\"sweep\",\"job\":7,\"n\":1,\"user\":\"alice\","
        "\"devices\":[\"GPU-1\","
        "\"GPU-2\"],\"memory_mib\":16384,\"cpu_milli\":1500,\"time_limit_ms\":60000,\"spec\":%s}",
        spec);
    CHECK_OK(command_parse(text_get(&t), t.len, c, &test_err));
}

TEST("a command becomes what the shim runs")
{
    auto_command struct command c = {0};
    auto_attempt_spec struct attempt_spec s = {0};
    a_start(&c, "{\"command\":[\"python3\",\"t.py\"],\"env\":{\"LR\":\"0.1\"},\"work_dir\":\"/w\","
                "\"config_file\":\"/w/c.yaml\",\"progress\":\"step {done}/{total}\"}");
    CHECK_OK(job_spec_make(&c, &(struct job_spec_place){.results = "/r", .grace_ms = 5000}, &s,
                           &test_err));
    CHECK_TEXT(s.command[1], "t.py");
    CHECK_TEXT(s.env[0], "LR=0.1");
    CHECK_TEXT(s.env[1], "REEVE_CONFIG_FILE=/w/c.yaml");
    CHECK_TEXT(s.work_dir, "/w");
    CHECK_TEXT(s.devices, "GPU-1,GPU-2");
    CHECK_TEXT(s.progress_pattern, "step {done}/{total}");
    CHECK(s.limits.memory_bytes == 16384LL << 20);
    CHECK_INT(s.limits.cpu_milli, 1500);
    CHECK(s.limits.pids > 0);
    CHECK_INT(s.time_limit_ms, 60000);
    CHECK_INT(s.grace_ms, 5000);
    CHECK(!s.has_account);
}

TEST("the parameters kept beside the results hide what looks secret")
{
    auto_command struct command c = {0};
    auto_attempt_spec struct attempt_spec s = {0};
    a_start(&c, "{\"command\":[\"true\"],\"env\":{\"WANDB_API_KEY\":\"s3cret\",\"LR\":\"0.1\"},"
                "\"labels\":{\"run\":\"a\"}}");
    CHECK_OK(job_spec_make(&c, &(struct job_spec_place){.results = "/r"}, &s, &test_err));
    CHECK(!strstr(s.params, "s3cret"));
    CHECK(strstr(s.params, "\"LR\":\"0.1\"") && strstr(s.params, "\"labels\":{\"run\":\"a\"}"));
    CHECK(strstr(s.params, "\"name\":\"sweep\""));
    CHECK(strstr(s.params, "\"devices\":[\"GPU-1\",\"GPU-2\"]"));
    CHECK_TEXT(s.env[0], "WANDB_API_KEY=s3cret");
}

TEST("a job that can never run is refused with the reason")
{
    static const struct {
        const char *spec, *words;
    } cases[] = {
        {"{}", "no command"},
        {"{\"command\":[]}", "no command"},
        {"{\"command\":\"true\"}", "no command"},
        {"{\"command\":[1]}", "list of texts"},
        {"{\"command\":[\"true\"],\"env\":{\"A=B\":\"\"}}", "A=B"},
        {"{\"command\":[\"true\"],\"env\":{\"A\":1}}", "must be a text"},
        {"{\"command\":[\"true\"],\"work_dir\":\"here\"}", "absolute"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        auto_command struct command c = {0};
        auto_attempt_spec struct attempt_spec s = {0};
        a_start(&c, cases[i].spec);
        CHECK_FAILS(job_spec_make(&c, &(struct job_spec_place){0}, &s, &test_err), ERR_INVALID,
                    cases[i].words);
    }
}
