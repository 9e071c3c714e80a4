#include "node/process.h"

#include "test.h"

#include "base/mem.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define REST " 1 20 30 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 777 100 200\n"

TEST("a process's line is read whatever its name is")
{
    static const char *const good[] = {"42 (sh) S" REST, "42 (a b) c) S" REST, "42 () S" REST,
                                       "42 (x) R 1 (y) S" REST, "42 (\n) S" REST};
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        struct process p = {0};
        ck_assert_msg(process_parse_stat(good[i], &p), "%s", good[i]);
        CHECK_INT(p.id.pid, 42);
        CHECK_INT(p.state, 'S');
        CHECK_INT(p.parent, 1);
        CHECK_INT(p.group, 20);
        CHECK_INT(p.session, 30);
        CHECK_INT(p.id.start_ticks, 777);
    }
    static const char *const bad[] = {"",
                                      "42",
                                      "42 (sh",
                                      "42 (sh) S 1 2",
                                      "x (sh) S" REST,
                                      "-1 (sh) S" REST,
                                      "42 (sh) S 1 20 30 0 -1 4194304 1 0\n"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct process p;
        ck_assert_msg(!process_parse_stat(bad[i], &p), "%s", bad[i]);
    }
}

TEST("whether a signal is caught is read from the mask")
{
    const char *status = "Name:\tx\nSigCgt:\t0000000000000200\nSeccomp:\t0\n";
    CHECK(process_parse_catches(status, SIGUSR1));
    CHECK(!process_parse_catches(status, SIGUSR2));
    CHECK(!process_parse_catches("Name:\tx\n", SIGUSR1));
    CHECK(!process_parse_catches(status, 0) && !process_parse_catches(status, 65));
}

TEST("descendants are found through any number of parents, and others are not")
{
    struct process_list l = {0};
    static const int tree[][2] = {{9, 8}, {8, 5}, {5, 2},   {3, 2},   {2, 1},
                                  {7, 6}, {6, 1}, {20, 21}, {21, 20}, {30, 30}};
    for (size_t i = 0; i < COUNT_OF(tree); i++)
        process_list_add(&l, &(struct process){.id.pid = tree[i][0], .parent = tree[i][1]});
    process_keep_descendants(&l, 2);
    CHECK_INT(l.count, 4);
    CHECK(process_list_has(&l, 9) && process_list_has(&l, 8) && process_list_has(&l, 5) &&
          process_list_has(&l, 3));
    process_list_done(&l);
    process_keep_descendants(&l, 2);
    CHECK_INT(l.count, 0);
}

TEST("a pid that belongs to another process now gets no signal")
{
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    struct process p;
    CHECK(process_read(child, &p));
    struct process_id older = {child, p.id.start_ticks - 1};

    CHECK(!process_signal(&older, SIGKILL));
    errno = 0;
    CHECK(process_open(&older) < 0 && errno == ESRCH);
    CHECK_INT(waitpid(child, NULL, WNOHANG), 0);

    CHECK(!process_signal_if_caught(&p.id, SIGUSR1));
    CHECK(process_signal(&p.id, SIGKILL));
    CHECK_INT(waitpid(child, NULL, 0), child);
    CHECK(!process_signal(&p.id, SIGKILL));
}

TEST("a variable is found in an environment of any size, and only as a whole")
{
    int ends[2];
    CHECK_INT(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        char **env = mem_new_array(char *, 4000);
        for (int i = 0; i < 3000; i++)
            env[i] = mem_printf("V%d=%0*d", i, i % 40, i);
        env[3000] = mem_strdup("REEVE_ATTEMPT=abc");
        env[3001] = mem_strdup("OTHER=REEVE_ATTEMPT=xyz");
        char *argv[] = {mem_strdup("sleep"), mem_strdup("300"), NULL};
        execve("/bin/sleep", argv, env);
        _exit(1);
    }
    bool found = false;
    for (int i = 0; i < 1000 && !found; i++) {
        found = process_has_variable(child, "REEVE_ATTEMPT=abc");
        usleep(5000);
    }
    CHECK(found);
    CHECK(process_has_variable(child, "V0=0"));
    CHECK(!process_has_variable(child, "REEVE_ATTEMPT=ab"));
    CHECK(!process_has_variable(child, "REEVE_ATTEMPT=xyz"));
    CHECK(!process_has_variable(child, "REEVE_ATTEMPT=abcd"));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

TEST("this process is in the list of all, and so is its boot")
{
    struct process_list l;
    char boot[BOOT_ID_SIZE];
    process_scan(&l);
    CHECK(process_list_has(&l, getpid()));
    process_list_done(&l);
    CHECK_INT(strlen(boot_id_read(boot)), 36);
}
