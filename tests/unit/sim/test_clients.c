/* Clients are found in a folder that is shaped like /proc. */
#include "base/file.h"
#include "clients.h"
#include "test.h"

#include <stdio.h>

static char proc[64];
static struct clients *clients;
static const char *const uuids[] = {"GPU-11111111-aaaa", "GPU-11111111-bbbb", "GPU-22222222-cccc"};
static int64_t now_ms;

static void put(int pid, const char *name, const char *text, size_t len)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%d", proc, pid);
    CHECK_OK(file_make_folder(path, 0755, &test_err));
    snprintf(path, sizeof path, "%s/%d/%s", proc, pid, name);
    CHECK_OK(file_replace(path, text, len, 0644, &test_err));
}

/* A process with this value of the variable (NULL: without it). */
static void process(int pid, int parent, long start, const char *devices)
{
    char text[300];
    int len = snprintf(text, sizeof text, "PATH=/bin%cCUDA_VISIBLE_DEVICES=%s", 0,
                       devices ? devices : "");
    put(pid, "environ", text, devices ? (size_t)len + 1 : 10);
    len = snprintf(text, sizeof text,
                   "%d (a) b) S %d 1 1 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 %ld 1 1 1\n", pid,
                   parent, start);
    put(pid, "stat", text, (size_t)len);
    len = snprintf(text, sizeof text, "Name:\ta\nTgid:\t%d\nPid:\t%d\n", pid, pid);
    put(pid, "status", text, (size_t)len);
}

static void newest(int pid)
{
    char text[80], path[160];
    int len = snprintf(text, sizeof text, "0.00 0.00 0.00 1/100 %d\n", pid);
    snprintf(path, sizeof path, "%s/loadavg", proc);
    CHECK_OK(file_replace(path, text, (size_t)len, 0644, &test_err));
}

static void begin(void)
{
    strcpy(proc, "/tmp/reeve-test-proc-XXXXXX");
    ck_assert(mkdtemp(proc));
    clients = clients_new(proc, uuids, 3);
    now_ms = 1000000;
}

static void done(void)
{
    clients_free(clients);
    CHECK_OK(file_remove_tree(proc, &test_err));
}

static size_t look(int later_ms)
{
    size_t count;
    now_ms += later_ms;
    clients_refresh(clients, now_ms);
    clients_list(clients, &count);
    return count;
}

static const struct client *the(int pid)
{
    size_t count;
    const struct client *list = clients_list(clients, &count);
    for (size_t i = 0; i < count; i++)
        if (list[i].pid == pid)
            return &list[i];
    return NULL;
}

TEST("a value names devices by UUID, whole or by a beginning that is clear")
{
    static const struct {
        const char *value;
        uint64_t devices;
    } table[] = {
        {"GPU-11111111-aaaa", 1},
        {"GPU-22222222-cccc,GPU-11111111-bbbb", 6},
        {"GPU-22222222", 4},
        {"GPU-11111111", 0}, /* fits two */
        {"GPU-2", 0},        /* too short to be meant */
        {"GPU-22222222-cccc-more", 0},
        {"0,1", 0},
        {"", 0},
        {",,", 0},
        {"none, GPU-11111111-aaaa", 0}, /* CUDA takes no blanks either */
        {"x,GPU-11111111-aaaa", 1},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        ck_assert_msg(clients_match(table[i].value, strlen(table[i].value), uuids, 3) ==
                          table[i].devices,
                      "%s", table[i].value);
}

TEST("processes that are there at the first look are found, those without the variable are not")
{
    begin();
    process(100, 1, 500, uuids[0]);
    process(101, 1, 600, NULL);
    process(102, 1, 700, "0");
    newest(102);
    CHECK_INT(look(0), 1);
    CHECK(the(100));
    CHECK_INT(the(100)->start_ms, 500 * 1000 / sysconf(_SC_CLK_TCK));
    CHECK_INT(the(100)->devices, 1);
    done();
}

TEST("a new process is found by its number, without a walk")
{
    begin();
    process(100, 1, 500, NULL);
    newest(100);
    CHECK_INT(look(0), 0);
    process(105, 1, 900, uuids[2]);
    CHECK_INT(look(300), 0); /* nothing new, says the kernel */
    newest(106);
    CHECK_INT(look(300), 1);
    process(107, 1, 901, uuids[2]);
    newest(107);
    CHECK_INT(look(20), 1); /* the calls of one round look once */
    CHECK_INT(look(50), 2);
    done();
}

TEST("a process that gets the variable after it was first seen is found when it has it")
{
    begin();
    newest(100);
    look(0);
    process(101, 1, 900, NULL); /* forked, not yet executed */
    newest(101);
    CHECK_INT(look(300), 0);
    process(101, 1, 900, uuids[0]);
    CHECK_INT(look(300), 1);

    process(90, 1, 100, uuids[1]); /* an old one that executes late: the walk finds it */
    CHECK_INT(look(300), 1);
    CHECK_INT(look(10000), 2);
    done();
}

TEST("a client that ended is gone, also when its number is another's or it is a zombie")
{
    begin();
    process(100, 1, 500, uuids[0]);
    process(101, 1, 500, uuids[1]);
    process(102, 1, 500, uuids[2]);
    newest(102);
    CHECK_INT(look(0), 3);
    char path[160];
    snprintf(path, sizeof path, "%s/100", proc);
    CHECK_OK(file_remove_tree(path, &test_err));
    process(101, 1, 9999, NULL);
    char zombie[] = "102 (a) Z 1 1 1 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 500 1 1 1\n";
    put(102, "stat", zombie, strlen(zombie));
    put(102, "environ", "", 0);
    CHECK_INT(look(300), 0);
    done();
}

TEST("of a tree that shares the variable the topmost counts, until it ends")
{
    begin();
    process(100, 1, 500, uuids[0]);   /* the shell of a job */
    process(101, 100, 510, uuids[0]); /* what it runs */
    process(102, 101, 520, NULL);     /* something between */
    process(103, 102, 530, uuids[0]); /* and below it */
    process(104, 101, 540, uuids[1]); /* this one chose another device */
    newest(104);
    CHECK_INT(look(0), 4);
    CHECK_INT(the(100)->topmost, 1);
    CHECK_INT(the(101)->topmost, 0);
    CHECK_INT(the(103)->topmost, 0);
    CHECK_INT(the(104)->topmost, 2);

    char path[160];
    snprintf(path, sizeof path, "%s/100", proc);
    CHECK_OK(file_remove_tree(path, &test_err));
    process(101, 1, 510, uuids[0]);
    CHECK_INT(look(300), 3);
    CHECK_INT(the(101)->topmost, 1);
    CHECK_INT(the(103)->topmost, 0);
    done();
}

TEST("a thread's number is not taken for a process")
{
    begin();
    newest(100);
    look(0);
    process(101, 1, 900, uuids[0]);
    static const char thread[] = "Name:\ta\nTgid:\t77\nPid:\t101\n";
    put(101, "status", thread, strlen(thread));
    newest(101);
    CHECK_INT(look(300), 0);
    done();
}

TEST("numbers that begin anew lead to a walk")
{
    begin();
    newest(32000);
    look(0);
    process(301, 1, 900, uuids[0]);
    newest(302);
    CHECK_INT(look(300), 1);
    done();
}
