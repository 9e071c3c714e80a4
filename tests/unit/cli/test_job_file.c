#include "base/mem.h"
#include "cli/job_file.h"
#include "test.h"

static json_t *jobs_of(const char *text)
{
    json_t *jobs = NULL;
    CHECK_OK(job_file_parse(text, strlen(text), "/home/a/jobs", "/home/a", &jobs, &test_err));
    return jobs;
}

static const char *text_at(const json_t *job, const char *key)
{
    return json_string_value(json_object_get(job, key));
}

TEST("a job file is one job, a list, or jobs: with a list")
{
    auto_json json_t *one = jobs_of("command: [./train]\ngpus: 2\n");
    auto_json json_t *list = jobs_of("- command: [a]\n- command: [b]\n");
    auto_json json_t *jobs = jobs_of("jobs:\n- command: [a]\n- command: [b]\n- command: [c]\n");
    auto_json json_t *json = jobs_of(" {\"command\": [\"a\"]}");
    CHECK_INT(json_array_size(one), 1);
    CHECK_INT(json_array_size(list), 2);
    CHECK_INT(json_array_size(jobs), 3);
    CHECK_INT(json_array_size(json), 1);
}

TEST("a work dir counts from the file's folder, and is the caller's where the file names none")
{
    auto_json json_t *jobs = jobs_of(
        "- command: [a]\n- command: [a]\n  work_dir: run1\n- command: [a]\n  work_dir: /x\n");
    CHECK_TEXT(text_at(json_array_get(jobs, 0), "work_dir"), "/home/a");
    CHECK_TEXT(text_at(json_array_get(jobs, 1), "work_dir"), "/home/a/jobs/run1");
    CHECK_TEXT(text_at(json_array_get(jobs, 2), "work_dir"), "/x");
}

TEST("a command that is one text is run by sh")
{
    auto_json json_t *jobs = jobs_of("command: python3 train.py > out.txt\n");
    const json_t *command = json_object_get(json_array_get(jobs, 0), "command");
    CHECK_INT(json_array_size(command), 3);
    CHECK_TEXT(json_string_value(json_array_get(command, 2)), "python3 train.py > out.txt");
}

TEST("a file without a job, or with something else in the list, is refused")
{
    json_t *jobs = NULL;
    CHECK_FAILS(job_file_parse("", 0, "/", "/", &jobs, &test_err), ERR_INVALID, "no job");
    CHECK_FAILS(job_file_parse("[]", 2, "/", "/", &jobs, &test_err), ERR_INVALID, "no job");
    CHECK_FAILS(job_file_parse("- 7\n", 4, "/", "/", &jobs, &test_err), ERR_INVALID, "job 1");
    CHECK_FAILS(job_file_parse("{\"a\":1,\"a\":2}", 13, "/", "/", &jobs, &test_err), ERR_INVALID,
                "");
}

TEST("options go over what the file says, and numbers go as numbers")
{
    auto_json json_t *jobs = jobs_of("command: [a]\ngpus: 1\nlabels: {x: '1'}\n");
    json_t *job = json_array_get(jobs, 0);
    char label[] = "y=2=3";
    char *labels[] = {label};
    struct job_options o = {.gpus = (char *)"0",
                            .memory = (char *)"8GiB",
                            .gpu_memory = (char *)"2048",
                            .cpu = (char *)"0.5",
                            .labels = {labels, 1}};
    CHECK_OK(job_options_apply(&o, job, &test_err));
    CHECK_INT(json_integer_value(json_object_get(job, "gpus")), 0);
    CHECK_INT(json_integer_value(json_object_get(job, "gpu_memory")), 2048);
    CHECK_TEXT(text_at(job, "memory"), "8GiB");
    CHECK(json_real_value(json_object_get(job, "cpu")) == 0.5);
    CHECK_TEXT(text_at(json_object_get(job, "labels"), "x"), "1");
    CHECK_TEXT(text_at(json_object_get(job, "labels"), "y"), "2=3");
}

TEST("a variable without a value is the one set here, and must be set")
{
    auto_json json_t *job = json_object();
    char *env[] = {(char *)"TEST_CLI_HERE", (char *)"EMPTY="};
    struct job_options o = {.env = {env, 2}};
    unsetenv("TEST_CLI_HERE");
    CHECK_FAILS(job_options_apply(&o, job, &test_err), ERR_INVALID,
                "'TEST_CLI_HERE' is not set here");
    setenv("TEST_CLI_HERE", "v", 1);
    CHECK_OK(job_options_apply(&o, job, &test_err));
    CHECK_TEXT(text_at(json_object_get(job, "env"), "TEST_CLI_HERE"), "v");
    CHECK_TEXT(text_at(json_object_get(job, "env"), "EMPTY"), "");
}

TEST("what is no pair and no number is refused with its option")
{
    auto_json json_t *job = json_object();
    char *pairs[] = {(char *)"novalue"};
    struct job_options a = {.labels = {pairs, 1}}, b = {.gpus = (char *)"two"};
    CHECK_FAILS(job_options_apply(&a, job, &test_err), ERR_INVALID, "'label': 'novalue'");
    CHECK_FAILS(job_options_apply(&b, job, &test_err), ERR_INVALID, "'gpus'");
}
