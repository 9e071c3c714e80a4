/* The shim dies or fails at each place where that matters; the disk is full; progress is a trap. */
#include "rig.h"

#include "node/progress.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    const char *point;
    enum attempt_state state;
    bool may_run; /* the job's own program */
} crashes[] = {
    {"shim.before_lock=kill", ATTEMPT_NEVER_STARTED, false},
    {"shim.after_lock=kill", ATTEMPT_NEVER_STARTED, false},
    {"shim.before_started=kill", ATTEMPT_NEVER_STARTED, false},
    {"shim.in_started=kill", ATTEMPT_LOST, false},
    {"shim.after_started=kill", ATTEMPT_LOST, false},
    {"shim.child_before_exec=kill", ATTEMPT_ENDED, false},
    {"shim.after_exec=kill", ATTEMPT_LOST, true},
    {"shim.before_exit=kill", ATTEMPT_LOST, true},
    {"shim.in_exit=kill", ATTEMPT_ENDED, true},
    {"shim.after_exit=kill", ATTEMPT_ENDED, true},
    /* Steps that fail instead: nothing ran and may be tried again, or it is tried until it works.
     */
    {"shim.before_lock=error", ATTEMPT_NEVER_STARTED, false},
    {"shim.before_started=error", ATTEMPT_NEVER_STARTED, false},
    {"shim.in_started=error", ATTEMPT_NEVER_STARTED, false},
    {"shim.before_exit=error@1", ATTEMPT_ENDED, true},
    {"shim.in_exit=error@1", ATTEMPT_ENDED, true},
};

TEST("wherever a shim dies, the state tells the truth and nothing starts twice")
{
    for (size_t i = 0; i < COUNT_OF(crashes); i++) {
        auto_rig struct rig r;
        rig_open(&r, "echo $$ >> $ROOT/starts; exit 3");
        auto_status struct attempt_status status = {0}, again = {0};
        setenv("REEVE_FAILPOINTS", crashes[i].point, 1);
        rig_run(&r, &status);
        unsetenv("REEVE_FAILPOINTS");

        ck_assert_msg(status.state == crashes[i].state, "%s: %s", crashes[i].point,
                      attempt_status_name(status.state));
        if (status.state == ATTEMPT_ENDED && crashes[i].may_run)
            CHECK_INT(status.end.status, 3);

        /* Asked again, as an agent does after its own restart. */
        size_t count;
        if (status.state == ATTEMPT_LOST)
            CHECK_OK(attempt_kill_leftovers(r.folder, NULL, 5000, &count, &test_err));
        struct err e = {0};
        int rc = shim_start(getenv("REEVE_TEST_SHIM"), NULL, r.folder, &r.spec, &r.shim, &e);
        ck_assert_msg((rc == 0) == (status.state == ATTEMPT_NEVER_STARTED), "%s: %s",
                      crashes[i].point, e.text);
        if (rc == 0) {
            rig_wait(&r, &again);
            CHECK_INT(again.state, ATTEMPT_ENDED);
            CHECK_INT(again.end.status, 3);
        } else {
            r.shim = SHIM_PROCESS_NONE;
        }
        auto_free char *starts = rig_file(&r, "starts");
        ck_assert_msg(!starts || strchr(starts, '\n') == strrchr(starts, '\n'), "%s: twice",
                      crashes[i].point);
    }
}

TEST("a shim that dies before the start leaves a control group, which can be cleaned up")
{
    auto_rig struct rig r;
    rig_open(&r, "true");
    cgroup_find(NULL, &r.spec.cgroup);
    auto_cgroup struct cgroup c = {0};
    auto_status struct attempt_status status = {0};
    setenv("REEVE_FAILPOINTS", "shim.before_started=kill", 1);
    rig_run(&r, &status);
    unsetenv("REEVE_FAILPOINTS");

    CHECK_INT(status.state, ATTEMPT_NEVER_STARTED);
    size_t count;
    CHECK_OK(attempt_kill_leftovers(r.folder, NULL, 5000, &count, &test_err));
    cgroup_open(&r.spec.cgroup, r.spec.name, &c);
    CHECK(!cgroup_exists(&c));
}

TEST("a damaged exit record is a lost attempt, not a wrong result")
{
    auto_rig struct rig r;
    rig_open(&r, "exit 3");
    auto_status struct attempt_status status = {0};
    rig_run(&r, &status);
    auto_free char *path = mem_printf("%s/lock", r.folder);
    auto_free char *bytes = NULL;
    size_t len;
    CHECK_OK(file_read(path, 65536, &bytes, &len, &test_err));
    const size_t exit_at = 8192;
    CHECK(len > exit_at);

    for (size_t left = strlen(bytes + exit_at) - 1; left > 0; left -= left < 7 ? left : 7) {
        CHECK_INT(truncate(path, (off_t)(exit_at + left)), 0);
        attempt_status_done(&status);
        CHECK_OK(attempt_state(r.folder, &status, &test_err));
        CHECK_INT(status.state, ATTEMPT_LOST);
        CHECK_TEXT(status.note, "its exit record is damaged");
    }
    CHECK_INT(truncate(path, (off_t)exit_at), 0);
    attempt_status_done(&status);
    CHECK_OK(attempt_state(r.folder, &status, &test_err));
    CHECK_INT(status.state, ATTEMPT_LOST);
    CHECK_TEXT(status.note, "");
    CHECK_INT(truncate(path, 0), 0);
    attempt_status_done(&status);
    CHECK_OK(attempt_state(r.folder, &status, &test_err));
    CHECK_INT(status.state, ATTEMPT_NEVER_STARTED);
}

TEST("what an older shim left is read, and nothing is started over it")
{
    auto_rig struct rig r;
    rig_open(&r, "exit 3");
    auto_status struct attempt_status status = {0};
    rig_run(&r, &status);
    auto_free char *lock = mem_printf("%s/lock", r.folder);
    auto_free char *bytes = NULL;
    size_t len;
    CHECK_OK(file_read(lock, 65536, &bytes, &len, &test_err));
    const char *records[] = {bytes, bytes + 8192}, *const names[] = {"exit", "started"};
    const enum attempt_state states[] = {ATTEMPT_LOST, ATTEMPT_NEVER_STARTED};

    CHECK_INT(truncate(lock, 0), 0);
    for (int i = 0; i < 2; i++) {
        auto_free char *path = mem_printf("%s/%s", r.folder, names[i]);
        CHECK_OK(file_replace(path, records[!i], strlen(records[!i]), 0600, &test_err));
    }
    attempt_status_done(&status);
    CHECK_OK(attempt_state(r.folder, &status, &test_err));
    CHECK_INT(status.state, ATTEMPT_ENDED);
    CHECK_INT(status.end.status, 3);
    CHECK(status.has_started && status.same_boot);
    for (int i = 0; i < 2; i++) {
        auto_close int fd = -1;
        CHECK_OK(attempt_lock(r.folder, &fd, &test_err));
        CHECK(attempt_was_begun(r.folder, fd));
        auto_free char *path = mem_printf("%s/%s", r.folder, names[i]);
        CHECK_INT(unlink(path), 0);
        attempt_status_done(&status);
        CHECK_OK(attempt_state(r.folder, &status, &test_err));
        CHECK_INT(status.state, states[i]);
    }
    auto_close int fd = -1;
    CHECK_OK(attempt_lock(r.folder, &fd, &test_err));
    CHECK(!attempt_was_begun(r.folder, fd));
}

/* A file system of SIZE bytes at the rig's attempts; false: not possible here. */
static bool mount_small(struct rig *r, const char *size)
{
    auto_free char *at = rig_path(r, "attempts");
    if (geteuid() != 0 || mkdir(at, 0755) < 0 || mount("none", at, "tmpfs", 0, size) < 0) {
        printf("skipped: needs to mount a file system\n");
        return false;
    }
    return true;
}

static void unmount(struct rig *r)
{
    auto_free char *at = rig_path(r, "attempts");
    CHECK_INT(umount2(at, MNT_DETACH), 0);
}

TEST("a disk that fills up costs output, but never the exit code")
{
    auto_rig struct rig r;
    rig_open(&r, "yes | head -c 3000000; echo the end; exit 21");
    if (!mount_small(&r, "size=200k,mode=711"))
        return;
    auto_status struct attempt_status status = {0};

    rig_run(&r, &status);

    CHECK_INT(status.state, ATTEMPT_ENDED);
    CHECK_INT(status.end.status, 21);
    CHECK(status.end.log_dropped_bytes > 2000000);
    unmount(&r);
}

TEST("on a full disk nothing starts, and the reason is said")
{
    auto_rig struct rig r;
    rig_open(&r, "echo ran > $ROOT/ran");
    if (!mount_small(&r, "size=64k,mode=711"))
        return;
    CHECK_OK(attempt_folder_make(r.folder, &r.spec, &test_err));
    auto_free char *fill =
        mem_printf("head -c 1M /dev/zero > %s/attempts/fill 2>/dev/null", r.root);
    CHECK(system(fill) != 0);
    struct err e = {0};
    auto_status struct attempt_status status = {0};

    if (shim_start(getenv("REEVE_TEST_SHIM"), NULL, r.folder, &r.spec, &r.shim, &e) == 0) {
        CHECK_INT(rig_news(&r, &e), SHIM_FAILED);
        rig_wait(&r, &status);
        CHECK_INT(status.state, ATTEMPT_NEVER_STARTED);
    } else {
        r.shim = SHIM_PROCESS_NONE;
    }
    CHECK_INT(e.code, ERR_EXHAUSTED);
    CHECK(strstr(e.text, "No space left on device"));
    CHECK(rig_file(&r, "ran") == NULL);
    unmount(&r);
}

static void progress_of(const char *script, bool has, int64_t done, int64_t total)
{
    auto_rig struct rig r;
    auto_free char *whole = mem_printf("cd $(dirname $REEVE_PROGRESS_FILE); %s", script);
    rig_open(&r, whole);
    auto_status struct attempt_status status = {0};
    rig_run(&r, &status);
    struct progress p = {0};
    ck_assert_msg(progress_read(r.folder, &p) == has, "%s: %d", script, !has);
    ck_assert_msg(p.done == done && p.total == total, "%s: %d of %d", script, (int)p.done,
                  (int)p.total);
}

TEST("progress comes from the job's file, else from its output")
{
    progress_of("echo 3/10 > progress", true, 3, 10);
    progress_of("echo 4/10 > new; mv new progress", true, 4, 10);
    progress_of("echo 5/10 > progress; echo epoch 9/9", true, 5, 10);
    progress_of("echo epoch 2/7; echo 50%", true, 2, 7);
    progress_of("echo nothing", false, 0, 0);
}

TEST("progress is seen while the job runs")
{
    auto_rig struct rig r;
    rig_open(&r, "echo 3/10 > $REEVE_PROGRESS_FILE; sleep 300");
    rig_start(&r);
    auto_free char *name = mem_printf("%s/progress", r.folder + strlen(r.root) + 1);
    free(rig_wait_for(&r, name));
    struct progress p;
    CHECK(progress_read(r.folder, &p));
    CHECK_INT(p.done, 3);
    CHECK_INT(p.source, PROGRESS_FILE);
}

TEST("a progress file that is a trap is passed over")
{
    progress_of("echo 1/2 > other; ln -s other progress", false, 0, 0);
    progress_of("ln -s /proc/self/environ progress", false, 0, 0);
    progress_of("mkfifo progress", false, 0, 0);
    progress_of("mkdir progress", false, 0, 0);
    progress_of("head -c 100000 /dev/zero > progress", false, 0, 0);
    progress_of("echo 12/4 > progress", false, 0, 0);
    progress_of("echo 99999999999999999999/4 > progress", false, 0, 0);
}

TEST("a progress file that is written without end does not keep the shim busy")
{
    auto_rig struct rig r;
    rig_open(&r, "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo $i/20000; done "
                 "> $REEVE_PROGRESS_FILE");
    auto_status struct attempt_status status = {0};
    rig_run(&r, &status);
    struct progress p;
    CHECK(progress_read(r.folder, &p));
    CHECK_INT(p.done, 20000);
    CHECK(status.end.system_us < 5000000);
}
