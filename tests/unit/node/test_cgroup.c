#include "node/cgroup.h"

#include "base/file.h"
#include "base/mem.h"
#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

TEST("own groups and mounts are found on version 1, version 2 and both")
{
    const char *hybrid = "9:name=systemd:/a\n4:memory:/b/c\n2:cpu,cpuacct:/d\n0::/e\n";
    auto_free char *memory = cgroup_parse_own(hybrid, "memory");
    auto_free char *cpu = cgroup_parse_own(hybrid, "cpu");
    auto_free char *acct = cgroup_parse_own(hybrid, "cpuacct");
    auto_free char *unified = cgroup_parse_own(hybrid, "");
    CHECK_TEXT(memory, "/b/c");
    CHECK_TEXT(cpu, "/d");
    CHECK_TEXT(acct, "/d");
    CHECK_TEXT(unified, "/e");
    CHECK(cgroup_parse_own(hybrid, "pids") == NULL);
    CHECK(cgroup_parse_own("garbage\n0::relative\n::\n", "") == NULL);

    auto_cgroup_mounts struct cgroup_mounts m;
    cgroup_parse_mounts(
        "31 23 0:28 / /sys/fs/cgroup rw shared:4 - tmpfs tmpfs rw,mode=755\n"
        "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:5 - cgroup cgroup rw,cpu,cpuacct\n"
        "35 31 0:32 /docker/abc /sys/fs/cgroup/mem\\040ory rw - cgroup cgroup rw,memory\n"
        "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n"
        "broken line - cgroup2\n- cgroup x y\n\n",
        &m);
    CHECK_TEXT(m.cpu.folder, "/sys/fs/cgroup/cpu,cpuacct");
    CHECK_TEXT(m.cpuacct.folder, "/sys/fs/cgroup/cpu,cpuacct");
    CHECK_TEXT(m.memory.folder, "/sys/fs/cgroup/mem ory");
    CHECK_TEXT(m.memory.root, "/docker/abc");
    CHECK_TEXT(m.unified.folder, "/sys/fs/cgroup/unified");
    CHECK(m.pids.folder == NULL);
}

static void folder_is(const char *root, const char *path, const char *expected)
{
    auto_free char *mount = mem_strdup("/cg"), *copy = mem_strdup(root);
    struct cgroup_mount m = {mount, copy};
    auto_free char *folder = cgroup_folder(&m, path);
    ck_assert_pstr_eq(folder, expected);
}

TEST("a group's folder is found through the part of the hierarchy that is mounted")
{
    folder_is("/", "/", "/cg");
    folder_is("/", "/a/b", "/cg/a/b");
    folder_is("/docker/abc", "/docker/abc", "/cg");
    folder_is("/docker/abc", "/docker/abc/x", "/cg/x");
    folder_is("/docker/abc", "/docker/abcd", NULL);
    folder_is("/docker/abc", "/other", NULL);
    folder_is("/docker/abc", "/", "/cg");
    folder_is("/", "/../outside", NULL);
}

TEST("the kernel's small files are read, and nonsense is not")
{
    int64_t v = 0;
    CHECK(cgroup_parse_limit("max\n", &v) && v == INT64_MAX);
    CHECK(cgroup_parse_limit("9223372036854771712\n", &v) && v == INT64_MAX);
    CHECK(cgroup_parse_limit("-1\n", &v) && v == INT64_MAX);
    CHECK(cgroup_parse_limit("1073741824\n", &v) && v == 1073741824);
    CHECK(cgroup_parse_limit("0", &v) && v == 0);
    CHECK(!cgroup_parse_limit("", &v) && !cgroup_parse_limit("x", &v) &&
          !cgroup_parse_limit("12 kB", &v) && !cgroup_parse_limit("maximum", &v));
    CHECK(cgroup_parse_cpu_max("150000 100000\n", &v) && v == 1500);
    CHECK(cgroup_parse_cpu_max("max 100000\n", &v) && v == INT64_MAX);
    CHECK(!cgroup_parse_cpu_max("150000\n", &v) && !cgroup_parse_cpu_max("1 0", &v));
    CHECK(cgroup_parse_key("low 0\noom 3\noom_kill 2\n", "oom_kill", &v) && v == 2);
    CHECK(!cgroup_parse_key("oom_killer 2\n", "oom_kill", &v));
    CHECK_INT(cgroup_parse_cpu_list("0-3,8\n"), 5);
    CHECK_INT(cgroup_parse_cpu_list("0\n"), 1);
    CHECK_INT(cgroup_parse_cpu_list("\n"), 0);
    CHECK_INT(cgroup_parse_cpu_list("3-1"), 0);
    CHECK_INT(cgroup_parse_cpu_list("0-99999999999"), 0);
    CHECK_INT(cgroup_parse_cpu_list("a"), 0);
}

static void put(const char *folder, const char *file, const char *text)
{
    auto_free char *path = mem_printf("%s/%s", folder, file);
    CHECK_OK(file_replace(path, text, strlen(text), 0644, &test_err));
}

TEST("a version 2 group's figures are read from its files")
{
    char folder[] = "/tmp/test_cgroupXXXXXX";
    CHECK(mkdtemp(folder) != NULL);
    struct cgroup c = {.unified = mem_strdup(folder)};
    CHECK_INT(cgroup_oom_kills(&c), -1);
    CHECK_INT(cgroup_memory_bytes(&c), -1);
    put(folder, "memory.events", "low 0\nhigh 0\nmax 5\noom 1\noom_kill 1\noom_group_kill 1\n");
    put(folder, "memory.current", "1000000\n");
    put(folder, "memory.stat", "anon 5\ninactive_file 400000\n");
    put(folder, "memory.peak", "2000000\n");
    put(folder, "cpu.stat", "usage_usec 123456\nuser_usec 1\n");

    CHECK_INT(cgroup_oom_kills(&c), 1);
    CHECK_INT(cgroup_memory_bytes(&c), 600000);
    CHECK_INT(cgroup_memory_peak_bytes(&c), 2000000);
    CHECK_INT(cgroup_cpu_us(&c), 123456);
    cgroup_done(&c);
    CHECK_OK(file_remove_tree(folder, &test_err));
}

TEST("a group of a real hierarchy takes processes, is emptied and goes")
{
    auto_cgroup_parent struct cgroup_parent parent = {0};
    cgroup_find(NULL, &parent);
    if (!parent.unified && !parent.memory && !parent.pids) {
        printf("skipped: no control group may be made here\n");
        return;
    }
    auto_cgroup struct cgroup c = {0}, again = {0};
    struct cgroup_limits limits = {0};
    auto_free char *name = mem_printf("reeve-unit-test-%d", (int)getpid());
    CHECK_OK(cgroup_make(&parent, name, &limits, &c, &test_err));
    CHECK(cgroup_exists(&c));
    int ends[2];
    CHECK_INT(pipe(ends), 0);
    bool inside;
    pid_t child = cgroup_fork(&c, &inside);
    if (child == 0) {
        int why = cgroup_join(&c, inside);
        if (write(ends[1], &why, sizeof why) == (ssize_t)sizeof why)
            pause();
        _exit(0);
    }
    int why = -1;
    CHECK_INT(read(ends[0], &why, sizeof why), sizeof why);
    CHECK_INT(why, 0);
    CHECK_FAILS(cgroup_make(&parent, name, &limits, &again, &test_err), ERR_CONFLICT,
                "still has processes");
    CHECK(!cgroup_remove(&c));

    CHECK_INT(cgroup_kill(&c), 1);
    int status;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    for (int i = 0; i < 1000 && !cgroup_remove(&c); i++)
        usleep(2000);
    CHECK(!cgroup_exists(&c));
    CHECK_INT(cgroup_kill(&c), 0);
}

TEST("groups that have long been empty are removed, young ones are not")
{
    auto_cgroup_parent struct cgroup_parent parent = {0}, again = {0};
    cgroup_find(NULL, &parent);
    if (!parent.unified && !parent.memory && !parent.pids) {
        printf("skipped: no control group may be made here\n");
        return;
    }
    const struct cgroup_limits limits = {0};
    auto_cgroup struct cgroup old = {0}, young = {0};
    auto_free char *old_name = mem_printf("reeve-unit-old-%d", (int)getpid());
    auto_free char *young_name = mem_printf("reeve-unit-young-%d", (int)getpid());
    CHECK_OK(cgroup_make(&parent, old_name, &limits, &old, &test_err));
    CHECK_OK(cgroup_make(&parent, young_name, &limits, &young, &test_err));
    const struct timespec hour_ago[2] = {{time(NULL) - 3600, 0}, {time(NULL) - 3600, 0}};
    const char *const folders[] = {old.unified, old.memory, old.cpu, old.pids};
    for (size_t i = 0; i < COUNT_OF(folders); i++)
        if (folders[i])
            CHECK_INT(utimensat(AT_FDCWD, folders[i], hour_ago, 0), 0);

    cgroup_find(NULL, &again);

    CHECK(!cgroup_exists(&old));
    CHECK(cgroup_exists(&young));
    CHECK(cgroup_remove(&young));
}
