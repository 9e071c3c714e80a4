#include "base/mem.h"
#include "node/attempt_folder.h"
#include "node/attempt_record.h"
#include "test.h"

#include <stdlib.h>

static void fill(struct attempt_spec *s)
{
    attempt_spec_init(s);
    memcpy(s->id, "0123456789abcdef0123456789abcdef", ATTEMPT_ID_SIZE);
    s->name = mem_strdup("reeve-a-1-1");
    s->job_id = INT64_MAX;
    s->number = 3;
    s->user = mem_strdup("alice");
    s->command = list_add(list_add(list_add(NULL, "sh"), ""), "two\nlines = \xff");
    s->env = list_add(list_add(NULL, "A=1"), "EMPTY=");
    s->secret_env = list_add(NULL, "TOKEN=hidden");
    s->work_dir = mem_strdup("/work dir");
    s->devices = mem_strdup("");
    s->has_account = true;
    s->account.uid = 4000000000U;
    s->account.gid = 7;
    s->account.groups = mem_new_array(gid_t, 2);
    s->account.groups[1] = 44;
    s->account.group_count = 2;
    s->account.name = mem_strdup("alice");
    s->limits.memory_bytes = 1LL << 34;
    s->cgroup.unified = mem_strdup("/sys/fs/cgroup/reeve");
    s->cgroup.controllers = 7;
    s->time_limit_ms = 3600000;
}

TEST("a spec comes back as it was written, but for its secrets")
{
    auto_attempt_spec struct attempt_spec from, to;
    auto_text struct text t = {0};
    fill(&from);
    attempt_spec_write(&from, &t);
    attempt_spec_init(&to);

    CHECK_OK(attempt_spec_parse(&to, t.data, t.len, &test_err));

    CHECK_TEXT(to.id, from.id);
    CHECK_INT(to.job_id, INT64_MAX);
    CHECK_INT(list_count(to.command), 3);
    CHECK_TEXT(to.command[1], "");
    CHECK_TEXT(to.command[2], "two\nlines = \xff");
    CHECK_INT(list_count(to.env), 2);
    CHECK_TEXT(to.devices, "");
    CHECK(to.progress_pattern == NULL);
    CHECK(to.has_account && to.account.uid == 4000000000U && to.account.groups[1] == 44);
    CHECK_INT(to.limits.memory_bytes, 1LL << 34);
    CHECK_INT(to.cgroup.controllers, 7);
    CHECK_INT(to.grace_ms, ATTEMPT_GRACE_MS);
    CHECK(to.secret_env != NULL && list_count(to.secret_env) == 0);
    CHECK(memmem(t.data, t.len, "hidden", 6) == NULL);
}

TEST("a spec that was cut anywhere is refused")
{
    auto_attempt_spec struct attempt_spec from;
    auto_text struct text t = {0};
    fill(&from);
    attempt_spec_write(&from, &t);
    for (size_t len = 0; len < t.len; len++) {
        auto_attempt_spec struct attempt_spec to;
        attempt_spec_init(&to);
        auto_free char *copy = mem_alloc(len + 1, 1);
        memcpy(copy, t.data, len);
        CHECK(attempt_spec_parse(&to, copy, len, NULL) < 0);
    }
}

static void refused(const char *change, const char *words)
{
    auto_attempt_spec struct attempt_spec s, to;
    auto_text struct text t = {0};
    fill(&s);
    attempt_spec_write(&s, &t);
    t.len -= sizeof "end";
    text_add_bytes(&t, change, strlen(change) + 1);
    text_add_bytes(&t, "end", 4);
    attempt_spec_init(&to);
    CHECK_FAILS(attempt_spec_parse(&to, t.data, t.len, &test_err), ERR_INVALID, words);
}

TEST("a spec with anything odd in it is refused with a reason")
{
    refused("colour=red", "unknown key 'colour'");
    refused("name=other", "'name' appears twice");
    refused("nonsense", "is not key=value");
    refused("pids=-1", "appears twice");
    refused("account=root", "is not UID:GID");
    refused("account=1:2:3", "is not UID:GID");
    refused("group=-4", "group");
    refused("env=NOVALUE", "is not a variable of the form NAME=value");
}

TEST("a spec that cannot be run is refused with a reason")
{
#define REFUSED(change, words)                                                                     \
    do {                                                                                           \
        auto_attempt_spec struct attempt_spec s;                                                   \
        fill(&s);                                                                                  \
        change;                                                                                    \
        CHECK_FAILS(attempt_spec_check(&s, &test_err), ERR_INVALID, words);                        \
    } while (0)
    REFUSED(s.id[3] = 'X', "is not an attempt's id");
    REFUSED(s.name[0] = '.', "is not an attempt's name");
    REFUSED(s.name[2] = '/', "is not an attempt's name");
    REFUSED(s.user[0] = '/', "is not a user's name");
    REFUSED(s.command[0][0] = '\0', "the command is empty");
    REFUSED(s.work_dir[0] = 'w', "is not an absolute path");
    REFUSED(s.env[0][1] = '\0', "is not a variable");
    REFUSED(s.env[0][0] = '=', "is not a variable");
    REFUSED(s.limits.memory_bytes = -1, "memory_bytes -1 is out of range");
    REFUSED(s.log_quota_bytes = 1, "log_quota_bytes 1 is out of range");
    REFUSED(s.number = 0, "number 0 is out of range");
}

TEST("records of start and end come back as they were written")
{
    auto_text struct text t = {0};
    struct attempt_started started = {.id = "0123456789abcdef0123456789abcdef",
                                      .boot_id = "b8226e3c-b299-70a3-d77c-8a8871948bc3",
                                      .shim = {12, 1ULL << 40},
                                      .job = {13, 99},
                                      .wall_ms = 1764000000000,
                                      .cgroup.memory = mem_strdup("/sys/fs/cgroup/memory/x")};
    attempt_started_text(&started, &t);
    struct attempt_started back;
    CHECK(attempt_started_parse(t.data, t.len, &back));
    CHECK_TEXT(back.boot_id, started.boot_id);
    CHECK(back.shim.pid == 12 && back.shim.start_ticks == 1ULL << 40 && back.job.pid == 13);
    CHECK_TEXT(back.cgroup.memory, started.cgroup.memory);
    for (size_t len = 0; len < t.len; len++) {
        struct attempt_started cut;
        CHECK(!attempt_started_parse(t.data, len, &cut));
    }
    attempt_started_done(&back);
    attempt_started_done(&started);

    text_clear(&t);
    struct attempt_exit x = {.id = "0123456789abcdef0123456789abcdef",
                             .cause = ATTEMPT_OUT_OF_MEMORY,
                             .status = -1,
                             .signal = 9,
                             .out_of_memory = true,
                             .memory_peak_bytes = -1,
                             .max_rss_bytes = 1LL << 40,
                             .reason = "killed\nforged=1\nend\n"};
    attempt_exit_text(&x, &t);
    struct attempt_exit y;
    CHECK(attempt_exit_parse(t.data, t.len, &y));
    CHECK_INT(y.cause, ATTEMPT_OUT_OF_MEMORY);
    CHECK(y.status == -1 && y.signal == 9 && y.out_of_memory && !y.core_dumped);
    CHECK_INT(y.max_rss_bytes, 1LL << 40);
    CHECK_TEXT(y.reason, "killed forged=1 end ");
}

TEST("an exit record of a newer release is understood, a wrong one is not")
{
#define RECORD(middle) "reeve-exit 1\nid=x\n" middle "end\n"
    static const struct {
        const char *text;
        bool good;
    } records[] = {
        {RECORD("cause=exited\nstatus=0\nsignal=0\n"), true},
        {RECORD("cause=exited\nstatus=0\nsignal=0\nnew_key=7\n"), true},
        {RECORD("cause=exited\nstatus=0\n"), false},
        {RECORD("cause=slept\nstatus=0\nsignal=0\n"), false},
        {RECORD("cause=exited\nstatus=256\nsignal=0\n"), false},
        {RECORD("cause=exited\nstatus=0\nstatus=1\nsignal=0\n"), false},
        {RECORD("cause=exited\nstatus=0\nsignal=zero\n"), false},
        {RECORD("cause=exited\nstatus=0\nsignal=0\nodd\n"), false},
        {"reeve-exit 2\nend\n", false},
        {"", false},
    };
    for (size_t i = 0; i < COUNT_OF(records); i++) {
        struct attempt_exit x;
        ck_assert_msg(attempt_exit_parse(records[i].text, strlen(records[i].text), &x) ==
                          records[i].good,
                      "%s", records[i].text);
    }
}

TEST("an attempt that was never here is never started")
{
    auto_attempt_status struct attempt_status status = {0};
    CHECK_OK(attempt_state("/no/such/folder", &status, &test_err));
    CHECK_INT(status.state, ATTEMPT_NEVER_STARTED);
    CHECK_TEXT(attempt_status_name(status.state), "never-started");
}
