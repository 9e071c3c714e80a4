/* The program as a scheduler sees it: files, progress, signals, exit codes. */
#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SMALL "--train-samples=80", "--val-samples=40", "--test-samples=40", "--frames=16"

static char dir[] = "/tmp/proto-gcn-run-XXXXXX";

static void fresh_dir(void)
{
    memcpy(dir + sizeof dir - 7, "XXXXXX", 6);
    CHECK(mkdtemp(dir));
    setenv("REEVE_RESULT_DIR", dir, 1);
}

static const char *in_dir(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static char *content(const char *name)
{
    FILE *f = fopen(in_dir(name), "re");
    ck_assert_msg(f != NULL, "there is no %s", name);
    static char text[65536];
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    return text;
}

static void remove_dir(void)
{
    static const char *const names[] = {"out", "progress", "checkpoint.bin", "metrics.csv",
                                        "result.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(in_dir(names[i]));
    CHECK_INT(rmdir(dir), 0);
}

/* Starts the program with its output in DIR/out. */
static pid_t start(const char *const argv[])
{
    char progress[256];
    snprintf(progress, sizeof progress, "%s", in_dir("progress"));
    setenv("REEVE_PROGRESS_FILE", progress, 1);
    int fd = open(in_dir("out"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    pid_t pid = fork();
    CHECK(fd >= 0 && pid >= 0);
    if (pid == 0) {
        dup2(fd, 1);
        dup2(fd, 2);
        execv(PROTO_GCN_PROGRAM, (char *const *)argv);
        _exit(127);
    }
    close(fd);
    return pid;
}

static int ended(pid_t pid)
{
    int status = 0;
    CHECK(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

#define START(...) start((const char *const[]){PROTO_GCN_PROGRAM, __VA_ARGS__, NULL})

/* Until WORD is in the output; the program writes it a moment after it began. */
static void await_output(const char *word)
{
    for (int i = 0; i < 2000 && !strstr(content("out"), word); i++)
        usleep(5000);
    ck_assert_msg(strstr(content("out"), word), "no '%s' in: %s", word, content("out"));
}

TEST("a run leaves metrics, a result, a checkpoint and complete progress")
{
    fresh_dir();
    CHECK_INT(ended(START(SMALL, "--epochs", "3", "--name", "first")), 0);
    CHECK(strstr(content("out"), "epoch 3/3 loss "));
    CHECK(strstr(content("out"), "held-back data: accuracy "));
    CHECK(strncmp(content("metrics.csv"), "epoch,loss,train_acc,val_acc,lr,ms\n1,", 37) == 0);
    CHECK(strstr(content("result.json"), "\"name\": \"first\""));
    CHECK(strstr(content("result.json"), "\"test_accuracy\": "));
    CHECK_TEXT(content("progress"), "15/15\n"); /* 80 samples by 16, three times */
    CHECK_INT(access(in_dir("checkpoint.bin"), R_OK), 0);
    remove_dir();
}

TEST("SIGTERM saves and ends with 143, and the run goes on from there")
{
    fresh_dir();
    pid_t pid = START(SMALL, "--epochs", "1000");
    await_output("epoch 1/1000");
    CHECK_INT(kill(pid, SIGTERM), 0);
    CHECK_INT(ended(pid), 143);
    CHECK(strstr(content("out"), "checkpoint saved"));
    CHECK(access(in_dir("result.json"), F_OK) < 0);

    pid = START(SMALL, "--epochs", "1000", "--resume");
    await_output("going on after ");
    kill(pid, SIGTERM);
    CHECK_INT(ended(pid), 143);
    remove_dir();
}

TEST("SIGUSR1 saves a checkpoint, and training goes on")
{
    fresh_dir();
    pid_t pid = START(SMALL, "--epochs", "1000", "--checkpoint-every", "1000");
    await_output("epoch 1/1000");
    CHECK(access(in_dir("checkpoint.bin"), F_OK) < 0);
    kill(pid, SIGUSR1);
    await_output("asked to save");
    CHECK_INT(access(in_dir("checkpoint.bin"), R_OK), 0);
    CHECK_INT(kill(pid, 0), 0);
    kill(pid, SIGTERM);
    CHECK_INT(ended(pid), 143);
    remove_dir();
}

TEST("files that cannot be written do not stop the training, a missing result fails it")
{
    fresh_dir();
    /* What is to be replaced is a folder, which no file can replace. */
    CHECK_INT(mkdir(in_dir("metrics.csv"), 0700), 0);
    CHECK_INT(mkdir(in_dir("checkpoint.bin"), 0700), 0);
    CHECK_INT(ended(START(SMALL, "--epochs", "2")), 0);
    CHECK(strstr(content("out"), "metrics.csv': Is a directory, going on"));
    CHECK(strstr(content("out"), "checkpoint.bin': Is a directory, going on"));
    CHECK_INT(mkdir(in_dir("result.json.new"), 0700), 0);
    CHECK_INT(ended(START(SMALL, "--epochs", "1")), 1);
    CHECK(strstr(content("out"), "could not create file"));
    rmdir(in_dir("metrics.csv"));
    rmdir(in_dir("checkpoint.bin"));
    rmdir(in_dir("result.json.new"));
    remove_dir();
}

TEST("wrong options and settings end with 2 and say which")
{
    fresh_dir();
    CHECK_INT(ended(START("--epochs", "zero")), 2);
    CHECK(strstr(content("out"), "epochs 'zero' is not a number"));
    CHECK_INT(ended(START("--frobnicate", "1")), 2);
    CHECK(strstr(content("out"), "unknown setting 'frobnicate'"));
    CHECK_INT(ended(START("--epochs")), 2);
    CHECK_INT(ended(START("epochs")), 2);
    CHECK_INT(ended(START("--help=1")), 2);
    CHECK_INT(ended(START("--config", "/nowhere.yaml")), 2);
    CHECK_INT(ended(START("--help")), 0);
    CHECK(strstr(content("out"), "--weight-decay"));
    remove_dir();
}

TEST("a run that cannot write its results fails with 1 and says so")
{
    fresh_dir();
    setenv("REEVE_RESULT_DIR", "/proc/no-such-folder", 1);
    CHECK_INT(ended(START(SMALL, "--epochs", "1")), 1);
    CHECK(strstr(content("out"), "could not make folder '/proc/no-such-folder'"));
    remove_dir();
}
