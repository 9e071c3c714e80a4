#include "api/job_cluster.h"
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

TEST("what is for clusters is taken over, in one order, and says so in the flags")
{
    CHECK_OK(read_text(
        "{\"image\": \"r.example/t/i:1\", \"runner\": \"kube-job\", \"mounts\": [{\"name\": "
        "\"data\", \"path\": \"/d\", \"read_only\": true}], \"node_selector\": {\"zone\": "
        "\"b\", \"gpu.x/model\": \"A100\"}, \"tolerations\": [\"b=1:NoSchedule\", \"a\", "
        "\"a\"]}"));
    CHECK_TEXT(job.selector, "gpu.x/model=A100,zone=b");
    CHECK_TEXT(job.tolerations, "a,b=1:NoSchedule");
    CHECK_INT(job.flags, JOB_MEMORY_DEFAULT | JOB_NEEDS_CLUSTER);
    CHECK_TEXT(job.name, "i:1");
    CHECK_TEXT(job.spec,
               "{\"command\":[],\"image\":\"r.example/t/i:1\",\"runner\":\"kube-job\",\"mounts\":[{"
               "\"name\":\"data\",\"path\":\"/d\",\"read_only\":true}]}");
    CHECK_OK(
        read_text("{\"template\": {\"name\": \"proto-gcn\", \"parameters\": {\"lr\": \"a\"}}}"));
    CHECK_TEXT(job.name, "proto-gcn");
    /* Labels of nodes can be asked for without an image. */
    CHECK_OK(read_text("{\"command\": [\"x\"], \"node_selector\": {\"a\": \"\"}}"));
    CHECK_INT(job.flags, JOB_MEMORY_DEFAULT);
}

TEST("what is for clusters and makes no sense is refused by name")
{
    refused("{\"command\": [\"x\"], \"image\": \"a b\"}", "image", "reference");
    refused("{\"command\": [\"x\"], \"runner\": \"ssh\"}", "runner", "kube-pod");
    refused("{\"runner\": \"kube-pod\"}", "command", "missing");
    refused("{\"template\": {}}", "template.name", "missing");
    refused("{\"template\": {\"name\": \"../x\"}}", "template.name", "template");
    refused("{\"template\": {\"name\": \"x\"}, \"command\": [\"y\"]}", "command", "no meaning");
    refused("{\"template\": {\"name\": \"x\"}, \"runner\": \"kube-pod\"}", "runner", "argo");
    refused("{\"template\": {\"name\": \"x\"}, \"image\": \"y\"}", "image", "no meaning");
    refused("{\"template\": {\"name\": \"x\", \"parameters\": {\"a\": 1}}}",
            "template.parameters.a", "text");
    refused("{\"template\": {\"name\": \"x\", \"parameters\": {\"a\": \"{{b}}\"}}}",
            "template.parameters.a", "variable");
    refused("{\"template\": {\"name\": \"x\", \"parameters\": {\"user\": \"root\"}}}",
            "template.parameters.user", "given by Reeve");
    refused("{\"template\": {\"name\": \"x\"}, \"config_file\": \"{{b}}\"}", "config_file",
            "variable");
    refused("{\"image\": \"x\", \"mounts\": [{\"name\": \"/etc\"}]}", "mounts[0]", "administrator");
    refused("{\"image\": \"x\", \"mounts\": [{\"name\": \"d\", \"path\": \"/a/../b\"}]}",
            "mounts[0]", "absolute");
    refused("{\"command\": [\"x\"], \"node_selector\": {\"a,b\": \"c\"}}", "node_selector.a,b",
            "label");
    refused("{\"command\": [\"x\"], \"node_selector\": {\"a\": \"b=c\"}}", "node_selector.a",
            "value");
    refused("{\"command\": [\"x\"], \"tolerations\": [\"a:Never\"]}", "tolerations[0]",
            "NoSchedule");
    refused(
        "{\"command\": [\"x\"], \"tolerations\": [\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\","
        "\"i\"]}",
        "tolerations", "8");
    char text[900] = "{\"command\": [\"x\"], \"node_selector\": {";
    for (int i = 0; i < 6; i++)
        sprintf(text + strlen(text), "%s\"%c%050d\": \"x\"", i ? "," : "", 'a' + i, i);
    strcat(text, "}}");
    refused(text, "node_selector", "240");
}

TEST("tolerations that are not about GPUs need leave")
{
    snprintf(job.tolerations, sizeof job.tolerations, "nvidia.com/gpu");
    CHECK_OK(job_cluster_check_leave(&job, NULL, &test_err));
    snprintf(job.tolerations, sizeof job.tolerations, "a=b:NoSchedule,nvidia.com/gpu:NoSchedule");
    CHECK_FAILS(job_cluster_check_leave(&job, NULL, &test_err), ERR_DENIED, "a=b:NoSchedule");
    CHECK_FAILS(job_cluster_check_leave(&job, "aa,a=c", &test_err), ERR_DENIED, "a=b:NoSchedule");
    CHECK_OK(job_cluster_check_leave(&job, "x,a", &test_err));
    CHECK_OK(job_cluster_check_leave(&job, "a=b:NoSchedule", &test_err));
    CHECK_OK(job_cluster_check_leave(&job, "*", &test_err));
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
