#include "base/mem.h"
#include "redis/entry.h"
#include "redis/line.h"
#include "redis/script.h"

#include "test.h"

/* Takes what has a user and a work_dir; keeps what it was given. */
static char *seen;
static int read_job(void *arg, const json_t *object, struct submission *ret, char user[FLEET_NAME],
                    struct err *e)
{
    (void)arg;
    free(seen);
    seen = json_write(object);
    if (!json_object_get(object, "work_dir"))
        return err_set(e, ERR_INVALID, "field 'work_dir' is missing");
    ret->gpus = 1;
    snprintf(user, FLEET_NAME, "%s", json_string_value(json_object_get(object, "user")));
    return 0;
}
static const struct redis_config config = {.read_job = read_job};

static int read_entry(const char *text, struct entry_job *ret)
{
    return entry_read(text, strlen(text), &config, ret, &test_err);
}

TEST("an entry of the source's kind is a job, and what its producer remarked is passed over")
{
    struct entry_job job;
    CHECK_OK(read_entry("{\"user\":\"alice\",\"config_file\":\"a.yaml\",\"work_dir\":\"/w\","
                        "\"status\":\"queued\",\"submitted_at\":17.5}",
                        &job));
    CHECK_TEXT(job.user, "alice");
    CHECK_TEXT(job.key, "");
    CHECK_TEXT(seen, "{\"user\":\"alice\",\"config_file\":\"a.yaml\",\"work_dir\":\"/w\"}");
}

TEST("the producer's own id is kept as a label")
{
    struct entry_job job;
    CHECK_OK(read_entry("{\"user\":\"a\",\"work_dir\":\"/w\",\"job_id\":\"x-1\"}", &job));
    CHECK(strstr(seen, "\"labels\":{\"redis-job-id\":\"x-1\"}"));
    CHECK_OK(read_entry(
        "{\"user\":\"a\",\"work_dir\":\"/w\",\"job_id\":17,\"labels\":{\"k\":\"v\"}}", &job));
    CHECK(strstr(seen, "\"labels\":{\"k\":\"v\",\"redis-job-id\":\"17\"}"));
    CHECK_FAILS(read_entry("{\"user\":\"a\",\"work_dir\":\"/w\",\"job_id\":{}}", &job), ERR_INVALID,
                "job_id");
    CHECK_TEXT(test_err.field, "job_id");
}

TEST("the producer's key is taken out")
{
    struct entry_job job;
    CHECK_OK(read_entry("{\"user\":\"a\",\"work_dir\":\"/w\",\"idempotency_key\":\"k:1\"}", &job));
    CHECK_TEXT(job.key, "k:1");
    CHECK(!strstr(seen, "idempotency_key"));
    CHECK_FAILS(read_entry("{\"user\":\"a\",\"work_dir\":\"/w\",\"idempotency_key\":\"\"}", &job),
                ERR_INVALID, "idempotency_key");
    CHECK_FAILS(read_entry("{\"user\":\"a\",\"work_dir\":\"/w\",\"idempotency_key\":5}", &job),
                ERR_INVALID, "idempotency_key");
}

TEST("what is no job is refused with the reason")
{
    struct entry_job job;
    static char deep[2 * 40 + 1], large[ENTRY_BYTES_MOST + 2];
    CHECK_FAILS(read_entry("rubbish", &job), ERR_INVALID, "line 1");
    CHECK_FAILS(read_entry("[]", &job), ERR_INVALID, "no JSON object");
    CHECK_FAILS(read_entry("{}", &job), ERR_INVALID, "'user' is missing");
    CHECK_FAILS(read_entry("{\"user\":\"a\"}", &job), ERR_INVALID, "work_dir");
    CHECK_FAILS(read_entry("{\"user\":\"a\",\"user\":\"b\"}", &job), ERR_INVALID, "user");
    CHECK_FAILS(read_entry("\xff{}", &job), ERR_INVALID, "");
    memset(deep, '[', 40);
    memset(deep + 40, ']', 40);
    CHECK_FAILS(read_entry(deep, &job), ERR_INVALID, "");
    memset(large, ' ', ENTRY_BYTES_MOST + 1);
    CHECK_FAILS(read_entry(large, &job), ERR_TOO_LARGE, "1048576");
}

TEST("an id tells when it was given, and how long an entry was that had to be cut")
{
    int64_t ms;
    size_t cut;
    CHECK(entry_id_read("1767225600000-0123456789abcdef-0001", &ms, &cut));
    CHECK(ms == INT64_C(1767225600000));
    CHECK_INT(cut, 0);
    CHECK(entry_id_read("1767225600000-0123456789abcdef-0001>2000000", &ms, &cut));
    CHECK_INT(cut, 2000000);
    CHECK(!entry_id_read("", &ms, &cut));
    CHECK(!entry_id_read("1767225600000-0123456789abcdeg-0001", &ms, &cut));
    CHECK(!entry_id_read("1767225600000-0123456789abcdef-0001>", &ms, &cut));
    CHECK(!entry_id_read("1767225600000-0123456789abcdef-0001 ", &ms, &cut));
}

TEST("what is kept of one that is no job says why")
{
    auto_text struct text t = {0};
    struct err e = {0};
    err_set(&e, ERR_INVALID, "field 'gpus' is -1");
    err_blame(&e, "gpus");
    entry_write_dead("id-1", "{\"a\":\"\xff\"}", 9, 9, &e, 1767225600000, &t);
    auto_json json_t *dead = NULL;
    CHECK_OK(json_parse(t.data, t.len, &dead, &test_err));
    CHECK_TEXT(json_string_value(json_object_get(dead, "reason")), "field 'gpus' is -1");
    CHECK_TEXT(json_string_value(json_object_get(dead, "field")), "gpus");
    CHECK_TEXT(json_string_value(json_object_get(dead, "entry")), "{\"a\":\"\xef\xbf\xbd\"}");
}

TEST("ours are known by how they begin, also when they are cut")
{
    int64_t job;
    CHECK(line_is_ours("{\"reeve\":\"ab12cd34\",\"job_id\":17,\"user\":\"ali", &job));
    CHECK_INT(job, 17);
    CHECK(!line_is_ours("{\"user\":\"alice\",\"reeve\":\"ab12cd34\"}", &job));
    CHECK(line_is_ours("{\"reeve\":\"", &job));
    CHECK_INT(job, 0);
}

TEST("paths are found in a job's spec as they stand there")
{
    auto_free char *both = line_read_paths(
        "{\"command\":[\"x\"],\"work_dir\":\"/a \\\"b\",\"config_file\":\"c.yaml\"}");
    auto_free char *none = line_read_paths("{\"command\":[\"x\"]}");
    auto_free char *broken = line_read_paths("{\"command");
    CHECK_TEXT(both, "\"config_file\":\"c.yaml\",\"work_dir\":\"/a \\\"b\"");
    CHECK_TEXT(none, "\"config_file\":null,\"work_dir\":null");
    CHECK_TEXT(broken, none);
}

TEST("a line has the hash that Redis gives it")
{
    struct line *l = line_new(1, "abc", 3);
    CHECK_TEXT(l->hash, "a9993e364706816a"); /* sha1sum */
    line_unref(l);
    CHECK_INT(strlen(redis_script_sha(SCRIPT_TAKE)), 40);
}
