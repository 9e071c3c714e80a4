#include "rig.h"

#include "base/text.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* A command line that leaves a process behind: forked twice, in a session of its own, with another
 * environment, so only the kernel's own words can find it. NAME gets its pid. */
#define DAEMON(name)                                                                               \
    "env -i /bin/sh -c 'setsid sh -c \"echo \\$\\$ > '$ROOT'/" name "; exec sleep 300\" &' "       \
    ">/dev/null 2>&1; while ! test -s $ROOT/" name "; do sleep 0.01; done;"

static pid_t pid_from(struct rig *r, const char *name)
{
    auto_free char *text = rig_wait_for(r, name);
    return atoi(text);
}

TEST("processes that a job leaves behind are ended with it, however far they fled")
{
    auto_rig struct rig r;
    rig_open(&r, DAEMON("daemon") "exit 5");
    auto_status struct attempt_status status = {0};

    rig_run(&r, &status);

    CHECK_INT(status.end.status, 5);
    CHECK_INT(status.end.left, 1);
    CHECK(strstr(status.end.reason, "exited with status 5; 1 process it left behind was ended"));
    CHECK(!is_alive(pid_from(&r, "daemon")));
}

TEST("what ignores SIGTERM is killed after its grace")
{
    auto_rig struct rig r;
    rig_open(&r, "trap '' TERM; echo $$ > $ROOT/pid; while :; do sleep 0.05; done");
    auto_status struct attempt_status status = {0};
    rig_start(&r);
    pid_t pid = pid_from(&r, "pid");
    int64_t start = clock_mono_ms();

    CHECK_OK(shim_cancel(r.folder, "by bob", &test_err));
    rig_wait(&r, &status);

    CHECK(clock_mono_ms() - start >= 500);
    CHECK_INT(status.end.cause, ATTEMPT_CANCELLED);
    CHECK_INT(status.end.signal, SIGKILL);
    CHECK_TEXT(status.end.reason, "cancelled: by bob");
    CHECK(!is_alive(pid));
}

TEST("a job that handles SIGTERM may end in peace, also when its shell has ended before it")
{
    auto_rig struct rig r;
    rig_open(&r, "sh -c 'trap \"sleep 0.2; echo saved > $ROOT/saved; exit 0\" TERM; "
                 "echo > $ROOT/ready; while :; do sleep 0.02; done'");
    r.spec.grace_ms = 10000;
    auto_status struct attempt_status status = {0};
    rig_start(&r);
    free(rig_wait_for(&r, "ready"));
    int64_t start = clock_mono_ms();

    CHECK_OK(shim_cancel(r.folder, "", &test_err));
    rig_wait(&r, &status);

    CHECK(clock_mono_ms() - start < 5000);
    auto_free char *saved = rig_file(&r, "saved");
    CHECK_TEXT(saved, "saved\n");
    CHECK_TEXT(status.end.reason[0] == 'c' ? "cancelled" : status.end.reason, "cancelled");
}

TEST("a stopped job can be cancelled")
{
    auto_rig struct rig r;
    rig_open(&r, "echo > $ROOT/ready; kill -STOP $$; sleep 300");
    r.spec.grace_ms = 10000;
    auto_status struct attempt_status status = {0};
    rig_start(&r);
    free(rig_wait_for(&r, "ready"));
    int64_t start = clock_mono_ms();

    CHECK_OK(shim_cancel(r.folder, "", &test_err));
    rig_wait(&r, &status);

    CHECK_INT(status.end.cause, ATTEMPT_CANCELLED);
    CHECK(clock_mono_ms() - start < 5000);
}

TEST("the time limit warns those who listen, then ends the job")
{
    auto_rig struct rig r;
    rig_open(&r, "trap 'echo warned > $ROOT/warned' USR1; trap 'exit 9' TERM; sleep 300 & "
                 "while :; do sleep 0.02; done");
    r.spec.time_limit_ms = 500;
    r.spec.warn_ms = 200;
    auto_status struct attempt_status status = {0};

    rig_run(&r, &status);

    CHECK_INT(status.end.cause, ATTEMPT_TIME_LIMIT);
    CHECK_INT(status.end.status, 9);
    CHECK(status.end.warned);
    CHECK(status.end.run_ms >= 500 && status.end.run_ms < 5000);
    CHECK(strstr(status.end.reason, "its time limit of 500ms was reached"));
    auto_free char *warned = rig_file(&r, "warned");
    CHECK_TEXT(warned, "warned\n");
}

TEST("the warning does not end those who have no handler for it")
{
    auto_rig struct rig r;
    rig_open(&r, "exec sleep 300");
    r.spec.time_limit_ms = 400;
    r.spec.warn_ms = 300;
    auto_status struct attempt_status status = {0};

    rig_run(&r, &status);

    CHECK_INT(status.end.cause, ATTEMPT_TIME_LIMIT);
    CHECK_INT(status.end.signal, SIGTERM);
    CHECK(!status.end.warned);
    CHECK(status.end.run_ms >= 400);
}

TEST("SIGTERM to the shim without a cancel is the machine going down")
{
    auto_rig struct rig r;
    rig_open(&r, "echo > $ROOT/ready; exec sleep 300");
    auto_status struct attempt_status status = {0};
    rig_start(&r);
    free(rig_wait_for(&r, "ready"));

    CHECK_INT(kill(r.shim.pid, SIGTERM), 0);
    rig_wait(&r, &status);

    CHECK_INT(status.end.cause, ATTEMPT_SHUT_DOWN);
    CHECK_INT(status.end.signal, SIGTERM);
}

TEST("a killed shim leaves a lost attempt, and all that is left of it can be ended")
{
    auto_rig struct rig r;
    rig_open(&r, "trap '' TERM HUP; (setsid sh -c 'echo $$ > $ROOT/child; exec sleep 300' &); "
                 "echo $$ > $ROOT/job; while :; do sleep 0.05; done");
    auto_status struct attempt_status status = {0};
    rig_start(&r);
    pid_t job = pid_from(&r, "job"), child = pid_from(&r, "child");

    CHECK_INT(kill(r.shim.pid, SIGKILL), 0);
    CHECK_INT(rig_wait(&r, &status), -1);

    CHECK_INT(status.state, ATTEMPT_LOST);
    CHECK(status.has_started && status.same_boot);
    CHECK_INT(status.started.job.pid, job);
    CHECK(is_alive(child));
    size_t count = 0;
    CHECK_OK(attempt_kill_leftovers(r.folder, NULL, 5000, &count, &test_err));
    CHECK(count >= 1);
    CHECK(!is_alive(child) && !is_alive(job));
    CHECK_OK(attempt_kill_leftovers(r.folder, NULL, 5000, &count, &test_err));
    CHECK_INT(count, 0);
}

TEST("leftovers are found by a known id when the files are damaged")
{
    auto_rig struct rig r;
    rig_open(&r, "(setsid sh -c 'echo $$ > $ROOT/child; exec sleep 300' &); exec sleep 300");
    auto_status struct attempt_status status = {0};
    rig_start(&r);
    pid_t child = pid_from(&r, "child");
    kill(r.shim.pid, SIGKILL);
    rig_wait(&r, &status);
    attempt_status_done(&status);
    auto_free char *started = mem_printf("%s/lock", r.folder);
    auto_free char *spec = mem_printf("%s/spec", r.folder);
    CHECK_INT(truncate(started, 20), 0);
    CHECK_INT(truncate(spec, 20), 0);

    CHECK_OK(attempt_state(r.folder, &status, &test_err));
    CHECK_INT(status.state, ATTEMPT_LOST);
    CHECK(strstr(status.note, "damaged"));
    size_t count = 0;
    CHECK_OK(attempt_kill_leftovers(r.folder, r.spec.id, 5000, &count, &test_err));
    CHECK(!is_alive(child));
}

TEST("leftovers of a running attempt are not touched")
{
    auto_rig struct rig r;
    rig_open(&r, "echo > $ROOT/ready; exec sleep 300");
    rig_start(&r);
    free(rig_wait_for(&r, "ready"));
    size_t count;
    CHECK_FAILS(attempt_kill_leftovers(r.folder, NULL, 100, &count, &test_err), ERR_CONFLICT,
                "has a shim");
}

TEST("a job goes on when its agent dies, and another agent finds it and its exit code")
{
    auto_rig struct rig r;
    rig_open(&r, "echo > $ROOT/ready; while ! test -e $ROOT/go; do sleep 0.02; done; exit 33");
    pid_t agent = fork();
    if (agent == 0) {
        struct shim_process p;
        _exit(shim_start(getenv("REEVE_TEST_SHIM"), NULL, r.folder, &r.spec, &p, NULL) < 0);
    }
    int wait_status;
    CHECK_INT(waitpid(agent, &wait_status, 0), agent);
    CHECK_INT(wait_status, 0);
    free(rig_wait_for(&r, "ready"));

    auto_status struct attempt_status status = {0};
    CHECK_OK(attempt_state(r.folder, &status, &test_err));
    CHECK_INT(status.state, ATTEMPT_RUNNING);
    CHECK_OK(shim_adopt(r.folder, &r.shim, &test_err));
    CHECK_INT(status.shim, r.shim.pid);
    CHECK_INT(status.started.shim.pid, r.shim.pid);
    attempt_status_done(&status);
    auto_free char *go = rig_path(&r, "go");
    CHECK_OK(file_replace(go, "", 0, 0644, &test_err));
    CHECK_INT(rig_wait(&r, &status), -1);

    CHECK_INT(status.state, ATTEMPT_ENDED);
    CHECK_INT(status.end.status, 33);
    CHECK_FAILS(shim_adopt(r.folder, &r.shim, &test_err), ERR_NOT_FOUND, "no shim has");
    r.shim = SHIM_PROCESS_NONE;
}

TEST("a shim that cannot be seen from here is not taken for a dead one")
{
    auto_rig struct rig r;
    rig_open(&r, "echo > $ROOT/ready; exec sleep 300");
    if (geteuid() != 0) {
        printf("skipped: needs root\n");
        return;
    }
    rig_start(&r);
    free(rig_wait_for(&r, "ready"));
    pid_t outer = fork();
    if (outer == 0) {
        if (unshare(CLONE_NEWPID) < 0)
            _exit(2);
        pid_t inner = fork();
        if (inner == 0) {
            struct attempt_status status;
            struct err e = {0};
            _exit(attempt_state(r.folder, &status, &e) == 0 || e.code != ERR_UNAVAILABLE);
        }
        int status = 0;
        _exit(waitpid(inner, &status, 0) == inner ? WEXITSTATUS(status) : 3);
    }
    int status = -1;
    CHECK_INT(waitpid(outer, &status, 0), outer);
    if (WEXITSTATUS(status) == 2)
        printf("skipped: no process namespace may be made here\n");
    else
        CHECK_INT(WEXITSTATUS(status), 0);
}

TEST("a flood of output is cut to its rate, and neither hangs nor fails the job")
{
    auto_rig struct rig r;
    rig_open(&r, "yes abcdefghijklmnopqrstuvwxyz | head -c 100000000; echo the end");
    r.spec.log_rate_bytes = 1 << 20;
    auto_status struct attempt_status status = {0};

    rig_run(&r, &status);

    CHECK_INT(status.end.status, 0);
    CHECK(status.end.log_bytes < 20 << 20);
    CHECK(status.end.log_dropped_bytes > 50000000);
    auto_free char *log = rig_log(&r);
    CHECK(strstr(log, "left out here: more than 1048576 bytes a second]\n"));
}

TEST("a closed output does not end the job")
{
    auto_rig struct rig r;
    rig_open(&r, "exec >/dev/null 2>&1; sleep 0.1; exit 6");
    auto_status struct attempt_status status = {0};
    rig_run(&r, &status);
    CHECK_INT(status.end.status, 6);
}

TEST("memory above the limit ends the job, and the record says so")
{
    auto_rig struct rig r;
    rig_open(&r, "head -c 400000000 /dev/zero | tail -c 300000000 | { sleep 2; cat; } >/dev/null; "
                 "exit 1");
    r.spec.limits.memory_bytes = 64 << 20;
    auto_status struct attempt_status status = {0};

    rig_run(&r, &status);

    CHECK_INT(status.end.cause, ATTEMPT_OUT_OF_MEMORY);
    CHECK(status.end.out_of_memory);
    CHECK(strstr(status.end.reason, "its memory limit of 64.0 MiB"));
    CHECK(strstr(status.end.limits, "memory=supervised"));
}

TEST("with control groups the kernel keeps a job within memory, processors and processes")
{
    auto_rig struct rig r;
    rig_open(&r, "head -c 400000000 /dev/zero | tail -c 300000000 >/dev/null; exit 1");
    cgroup_find(NULL, &r.spec.cgroup);
    if (!r.spec.cgroup.memory && !(r.spec.cgroup.controllers & CGROUP_MEMORY)) {
        printf("skipped: no control group may be made here\n");
        return;
    }
    r.spec.limits = (struct cgroup_limits){64 << 20, 500, 100};
    auto_status struct attempt_status status = {0};

    rig_run(&r, &status);

    CHECK_TEXT(status.end.limits, "memory=cgroup cpu=cgroup pids=cgroup");
    CHECK_INT(status.end.cause, ATTEMPT_OUT_OF_MEMORY);
    CHECK(status.end.oom_kills >= 1);
    CHECK(status.end.memory_peak_bytes > 32 << 20 && status.end.memory_peak_bytes <= 65 << 20);
    auto_cgroup struct cgroup c = {0};
    cgroup_open(&r.spec.cgroup, r.spec.name, &c);
    CHECK(!cgroup_exists(&c));
}

TEST("a job that forks without end is held by its limit and ended whole")
{
    auto_rig struct rig r;
    rig_open(&r, "f() { sleep 300 & f; }; f 2>/dev/null & "
                 "sleep 0.3; echo > $ROOT/ready; sleep 300");
    cgroup_find(NULL, &r.spec.cgroup);
    if (!r.spec.cgroup.pids && !(r.spec.cgroup.controllers & CGROUP_PIDS)) {
        printf("skipped: no control group may be made here\n");
        return;
    }
    r.spec.limits.pids = 50;
    auto_status struct attempt_status status = {0};
    rig_start(&r);
    free(rig_wait_for(&r, "ready"));
    struct attempt_usage usage;
    CHECK_OK(attempt_state(r.folder, &status, &test_err));
    attempt_usage_read(&status, r.spec.name, NULL, &usage);
    CHECK(!r.spec.cgroup.memory || usage.memory_bytes > 0);
    attempt_status_done(&status);

    CHECK_OK(shim_cancel(r.folder, "enough", &test_err));
    rig_wait(&r, &status);

    CHECK_INT(status.end.cause, ATTEMPT_CANCELLED);
    auto_cgroup struct cgroup c = {0};
    cgroup_open(&r.spec.cgroup, r.spec.name, &c);
    CHECK(!cgroup_exists(&c));
}

TEST("a killed shim's control group is emptied and removed with the leftovers")
{
    auto_rig struct rig r;
    rig_open(&r, DAEMON("daemon") "exec sleep 300");
    cgroup_find(NULL, &r.spec.cgroup);
    if (!r.spec.cgroup.memory && !r.spec.cgroup.unified) {
        printf("skipped: no control group may be made here\n");
        return;
    }
    auto_status struct attempt_status status = {0};
    rig_start(&r);
    pid_t daemon = pid_from(&r, "daemon");
    kill(r.shim.pid, SIGKILL);
    rig_wait(&r, &status);

    size_t count = 0;
    CHECK_OK(attempt_kill_leftovers(r.folder, NULL, 5000, &count, &test_err));

    CHECK(count >= 1);
    CHECK(!is_alive(daemon));
    auto_cgroup struct cgroup c = {0};
    cgroup_open(&r.spec.cgroup, r.spec.name, &c);
    CHECK(!cgroup_exists(&c));
}

TEST("what an attempt uses is known without control groups, too")
{
    auto_rig struct rig r;
    rig_open(&r, "sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo > $ROOT/ready; "
                 "exec sleep 300'; :");
    auto_status struct attempt_status status = {0};
    rig_start(&r);
    free(rig_wait_for(&r, "ready"));
    CHECK_OK(attempt_state(r.folder, &status, &test_err));
    struct process_list all;
    struct attempt_usage usage;

    process_scan(&all);
    attempt_usage_read(&status, r.spec.name, &all, &usage);
    process_list_done(&all);

    CHECK(usage.cpu_us >= 20000 && usage.cpu_us < 60000000);
    CHECK(usage.memory_bytes > 50000 && usage.memory_bytes < 100 << 20);
    attempt_usage_read(&status, r.spec.name, NULL, &usage);
    CHECK_INT(usage.cpu_us, -1);
}

TEST("an idle shim uses no processor time and about a megabyte")
{
    auto_rig struct rig r;
    rig_open(&r, "echo > $ROOT/ready; exec sleep 300");
    rig_start(&r);
    free(rig_wait_for(&r, "ready"));
    auto_free char *path = mem_printf("/proc/%d/status", r.shim.pid);
    auto_free char *text = NULL;
    CHECK_OK(file_read(path, 65536, &text, NULL, &test_err));
    const char *anon = strstr(text, "RssAnon:");
    CHECK(anon != NULL);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    CHECK(atoi(anon + 8) < 1024);
#endif
}
