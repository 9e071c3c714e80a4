#include "base/mem.h"
#include "cli/supervise.h"
#include "test.h"

#include <signal.h>

static const char *const no_env[] = {NULL};

static struct supervisor *s;

static int start(const char *script)
{
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    struct child_spec spec = {.name = "child", .argv = argv, .env = no_env};
    int child = -1;
    CHECK_OK(supervisor_start(s, &spec, &child, &test_err));
    return child;
}

/* Steps until the child has another process than BEFORE (0 counts as none), for five seconds. */
static pid_t next_process(int child, pid_t before)
{
    for (int i = 0; i < 500; i++) {
        CHECK_INT(supervise_step(s, 10, &test_err), SUPERVISE_ON);
        pid_t pid = supervisor_pid(s, child);
        if (pid && pid != before)
            return pid;
    }
    return 0;
}

TEST("a child that ends before it was ready is a failure that names its exit code")
{
    s = supervisor_new();
    start("exit 3");
    int rc = SUPERVISE_ON;
    test_err = (struct err){0};
    for (int i = 0; i < 500 && rc == SUPERVISE_ON; i++)
        rc = supervise_step(s, 10, &test_err);
    CHECK_INT(rc, -1);
    CHECK(strstr(test_err.text, "exit code 3") != NULL);
    supervisor_free(s);
}

TEST("one that was ready is started again when it is killed")
{
    s = supervisor_new();
    int child = start("exec sleep 60");
    supervisor_proven(s, child);
    pid_t first = supervisor_pid(s, child);
    kill(first, SIGKILL);
    pid_t second = next_process(child, first);
    CHECK(second != 0);
    supervisor_stop(s, child, 5000);
    CHECK_INT(supervisor_pid(s, child), 0);
    CHECK(kill(second, 0) < 0);
    supervisor_free(s);
}

TEST("one that does not end when asked is killed after its time of grace")
{
    s = supervisor_new();
    int child = start("trap '' TERM; exec sleep 60");
    pid_t pid = supervisor_pid(s, child);
    CHECK_INT(supervise_step(s, 100, &test_err),
              SUPERVISE_ON); /* the trap is set by now, or soon */
    supervisor_stop(s, child, 200);
    CHECK_INT(supervisor_pid(s, child), 0);
    CHECK(kill(pid, 0) < 0);
    supervisor_free(s);
}

TEST("when we are asked to end, the caller hears of it")
{
    s = supervisor_new();
    int child = start("exec sleep 60");
    kill(getpid(), SIGTERM);
    CHECK_INT(supervise_step(s, 5000, &test_err), SUPERVISE_ENDED);
    CHECK(supervisor_pid(s, child) != 0);
    supervisor_free(s);
}
