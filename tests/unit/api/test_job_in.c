#include "api/job_in.h"
#include "test.h"

static struct submission job;
static char user[FLEET_NAME];

static int read_text(const char *text)
{
    auto_json json_t *object = NULL;
    free(job.spec);
    job = (struct submission){0};
    if (json_parse(text, strlen(text), &object, &test_err) < 0)
        return -1;
    const char *found = NULL;
    int rc = job_in_read(object, &job, &found, &test_err);
    snprintf(user, sizeof user, "%s", rc == 0 && found ? found : "");
    return rc;
}

static void refused(const char *text, const char *field, const char *words)
{
    test_err = (struct err){0};
    ck_assert_msg(read_text(text) < 0, "taken: %s", text);
    ck_assert_msg(test_err.code == ERR_INVALID, "%s: %s", text, test_err.text);
    ck_assert_msg(strstr(test_err.text, words), "'%s' is not in: %s", words, test_err.text);
    CHECK_TEXT(test_err.field, field);
}

TEST("a command alone is a job with the defaults, named after what it runs")
{
    CHECK_OK(
        read_text("{\"command\": [\"/usr/bin/python3\", \"/data/train.py\", \"--lr\", \"1\"]}"));
    CHECK_TEXT(job.name, "train.py");
    CHECK_INT(job.gpus, 1);
    CHECK_INT(job.retries, 1);
    CHECK_INT(job.memory_mib, 16384);
    CHECK_INT(job.flags, JOB_MEMORY_DEFAULT);
    CHECK_TEXT(job.spec, "{\"command\":[\"/usr/bin/python3\",\"/data/train.py\",\"--lr\",\"1\"]}");
}

TEST("every field is taken over in its unit")
{
    CHECK_OK(
        read_text("{\"command\": [\"x\"], \"name\": \"n\", \"gpus\": 2, \"gpu_memory\": \"8GiB\","
                  "\"cpu\": \"500m\", \"memory\": 2048, \"time_limit\": \"1h30m\", \"retries\": 0,"
                  "\"exclusive\": true, \"team\": \"t\", \"user\": \"bob\", \"work_dir\": \"/w\","
                  "\"labels\": {\"a/b\": \"c\"}, \"env\": {\"K\": \"v\"}, \"progress\": \"{done} "
                  "of {total}\"}"));
    CHECK_INT(job.gpus, 2);
    CHECK_INT(job.gpu_memory_mib, 8192);
    CHECK_INT(job.cpu_milli, 500);
    CHECK_INT(job.memory_mib, 2048);
    CHECK_INT(job.time_limit_ms, 5400000);
    CHECK_INT(job.flags, JOB_EXCLUSIVE);
    CHECK_TEXT(job.team, "t");
    CHECK_TEXT(user, "bob");
    CHECK_TEXT(job.spec, "{\"command\":[\"x\"],\"env\":{\"K\":\"v\"},\"labels\":{\"a/b\":\"c\"},"
                         "\"work_dir\":\"/w\",\"progress\":\"{done} of {total}\"}");
}

TEST("what does not work yet is refused by name, what nobody knows as well")
{
    refused("{\"command\": [\"x\"], \"image\": \"y\"}", "image", "field 'image' does not work yet");
    refused("{\"command\": [\"x\"], \"priority\": 3}", "priority", "does not work yet");
    refused("{\"command\": [\"x\"], \"gpuz\": 3}", "gpuz", "not known here");
}

TEST("what makes no sense is refused with the name of the field")
{
    refused("{}", "command", "missing");
    refused("{\"command\": []}", "command", "empty");
    refused("{\"command\": \"x\"}", "command", "must be");
    refused("{\"command\": [\"x\", 1]}", "command[1]", "must be text");
    refused("{\"command\": [\"\"]}", "command[0]", "program");
    refused("{\"command\": [\"x\"], \"gpus\": 65}", "gpus", "between 0 and 64");
    refused("{\"command\": [\"x\"], \"gpus\": 1.5}", "gpus", "must be");
    refused("{\"command\": [\"x\"], \"gpu_memory\": \"1024\"}", "gpu_memory", "whole MiB");
    refused("{\"command\": [\"x\"], \"gpu_memory\": \"1KiB\"}", "gpu_memory", "whole MiB");
    refused("{\"command\": [\"x\"], \"gpus\": 0, \"gpu_memory\": 5}", "gpu_memory",
            "without a GPU");
    refused("{\"command\": [\"x\"], \"memory\": 0}", "memory", "between 1");
    refused("{\"command\": [\"x\"], \"memory\": 99999999999}", "memory", "between 1");
    refused("{\"command\": [\"x\"], \"cpu\": -1}", "cpu", "between");
    refused("{\"command\": [\"x\"], \"cpu\": 1e300}", "cpu", "between");
    refused("{\"command\": [\"x\"], \"cpu\": \"x\"}", "cpu", "cores");
    refused("{\"command\": [\"x\"], \"time_limit\": 0}", "time_limit", "between 1");
    refused("{\"command\": [\"x\"], \"time_limit\": 9223372036854775807}", "time_limit", "between");
    refused("{\"command\": [\"x\"], \"time_limit\": \"soon\"}", "time_limit", "duration");
    refused("{\"command\": [\"x\"], \"work_dir\": \"here\"}", "work_dir", "absolute");
    refused("{\"command\": [\"x\"], \"team\": \"a b\"}", "team", "letters");
    refused("{\"command\": [\"x\"], \"env\": {\"1A\": \"b\"}}", "env.1A", "not allowed");
    refused("{\"command\": [\"x\"], \"env\": {\"A\": 1}}", "env.A", "must be text");
    refused("{\"command\": [\"x\"], \"labels\": {\"a\": \"x\\u0007\"}}", "labels.a", "control");
    refused("{\"command\": [\"x\"], \"progress\": \"epoch\"}", "progress", "{done}");
    refused("{\"command\": [\"x\"], \"name\": \"a\\nb\"}", "name", "control");
    refused("[]", "", "object");
}

TEST("a name taken from the command is never cut inside a character")
{
    char text[700] = "{\"command\": [\"a";
    for (int i = 0; i < 80; i++)
        strcat(text, "한");
    strcat(text, "\"]}");
    CHECK_OK(read_text(text));
    CHECK_INT(strlen(job.name), 127);
    CHECK(text_is_utf8(job.name, strlen(job.name)));
}

TEST("variables that look like secrets are known by their names")
{
    CHECK(job_env_is_secret("AWS_SECRET_ACCESS_KEY"));
    CHECK(job_env_is_secret("db_password"));
    CHECK(job_env_is_secret("HF_TOKEN"));
    CHECK(!job_env_is_secret("OMP_NUM_THREADS"));
}
