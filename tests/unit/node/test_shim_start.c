#include "rig.h"

#include "node/nursery.h"
#include "node/shim.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

TEST("a job's exit code, output and times are recorded")
{
    auto_rig struct rig r;
    rig_open(&r, "echo hello; echo error >&2; exit 7");
    auto_status struct attempt_status status = {0};

    rig_start(&r);
    CHECK_INT(rig_news(&r, &test_err), SHIM_STARTED);
    CHECK_INT(rig_wait(&r, &status), 0);

    CHECK_INT(status.state, ATTEMPT_ENDED);
    CHECK_INT(status.end.cause, ATTEMPT_EXITED);
    CHECK_INT(status.end.status, 7);
    CHECK_INT(status.end.signal, 0);
    CHECK_TEXT(status.end.reason, "exited with status 7");
    CHECK_TEXT(status.end.id, r.spec.id);
    CHECK(status.end.run_ms >= 0 && status.end.run_ms < 10000);
    CHECK(status.end.max_rss_bytes > 100000);
    CHECK(status.has_started && status.same_boot);
    auto_free char *log = rig_log(&r);
    CHECK_TEXT(log, "hello\nerror\n");
    CHECK_INT(status.end.log_bytes, 12);
}

TEST("a job that ends by a signal says which one")
{
    auto_rig struct rig r;
    rig_open(&r, "kill -SEGV $$");
    auto_status struct attempt_status status = {0};

    rig_run(&r, &status);

    CHECK_INT(status.end.cause, ATTEMPT_SIGNALLED);
    CHECK_INT(status.end.signal, SIGSEGV);
    CHECK_INT(status.end.status, -1);
    CHECK(strstr(status.end.reason, "Segmentation fault"));
}

TEST("SIGKILL from outside is not taken for ours")
{
    auto_rig struct rig r;
    rig_open(&r, "kill -KILL $$");
    auto_status struct attempt_status status = {0};

    rig_run(&r, &status);

    CHECK_INT(status.end.cause, ATTEMPT_SIGNALLED);
    CHECK_INT(status.end.signal, SIGKILL);
    CHECK(strstr(status.end.reason, "which Reeve did not send"));
}

static void fails_to_start(struct rig *r, const char *words)
{
    auto_status struct attempt_status status = {0};
    struct err e = {0};
    rig_start(r);
    CHECK_INT(rig_news(r, &e), SHIM_FAILED);
    ck_assert_msg(strstr(e.text, words), "'%s' is not in: %s", words, e.text);
    rig_wait(r, &status);
    CHECK_INT(status.state, ATTEMPT_ENDED);
    CHECK_INT(status.end.cause, ATTEMPT_START_FAILED);
    CHECK_INT(status.end.status, -1);
    ck_assert_msg(strstr(status.end.reason, words), "'%s' is not in: %s", words, status.end.reason);
    auto_free char *log = rig_log(r);
    CHECK(strstr(log, words));
}

static void set_command(struct rig *r, const char *command)
{
    list_free(r->spec.command);
    r->spec.command = list_add(NULL, command);
}

TEST("a command that is not there fails with a sentence, unlike one that exits with 127")
{
    auto_rig struct rig missing, exits;
    rig_open(&missing, "");
    set_command(&missing, "no-such-command-here");
    fails_to_start(&missing, "command 'no-such-command-here' was not found on the job's PATH");

    rig_open(&exits, "exit 127");
    auto_status struct attempt_status status = {0};
    rig_run(&exits, &status);
    CHECK_INT(status.end.cause, ATTEMPT_EXITED);
    CHECK_INT(status.end.status, 127);
}

TEST("what cannot be run says why: no permission, a folder, a missing interpreter")
{
    auto_rig struct rig denied, folder, odd;
    rig_open(&denied, "");
    set_command(&denied, "/etc/passwd");
    fails_to_start(&denied, "command '/etc/passwd' cannot be run: Permission denied");

    rig_open(&folder, "");
    set_command(&folder, "/tmp");
    fails_to_start(&folder, "command '/tmp' cannot be run: Permission denied");

    rig_open(&odd, "");
    auto_free char *script = rig_path(&odd, "script");
    CHECK_OK(file_replace(script, "#!/no/such/interpreter\n", 23, 0755, &test_err));
    set_command(&odd, script);
    fails_to_start(&odd, "the interpreter or loader it names is missing");
}

TEST("a script without a first line that names its shell is run by sh")
{
    auto_rig struct rig r;
    rig_open(&r, "");
    auto_free char *script = rig_path(&r, "script");
    CHECK_OK(file_replace(script, "echo by the shell: $1\nexit 3\n", 29, 0755, &test_err));
    set_command(&r, script);
    r.spec.command = list_add(r.spec.command, "one");
    auto_status struct attempt_status status = {0};

    rig_run(&r, &status);

    CHECK_INT(status.end.status, 3);
    auto_free char *log = rig_log(&r);
    CHECK_TEXT(log, "by the shell: one\n");
}

TEST("a work dir that is not there fails with a sentence")
{
    auto_rig struct rig r;
    rig_open(&r, "echo never");
    free(r.spec.work_dir);
    r.spec.work_dir = mem_strdup("/no/such/dir");

    fails_to_start(&r, "work dir '/no/such/dir' cannot be used by 'alice': No such file");
}

TEST("a job finds its environment, and cannot be given another identity by its own variables")
{
    auto_rig struct rig r;
    rig_open(&r, "env");
    r.spec.env = list_add(r.spec.env, "LR=0.1");
    r.spec.env = list_add(r.spec.env, "REEVE_ATTEMPT=forged");
    r.spec.env = list_add(r.spec.env, "CUDA_VISIBLE_DEVICES=all");
    r.spec.env = list_add(r.spec.env, "LANG=de_DE.UTF-8");
    r.spec.devices = mem_strdup("GPU-1,GPU-2");
    setenv("NOT_FOR_JOBS", "1", 1);
    auto_status struct attempt_status status = {0};

    rig_run(&r, &status);

    auto_free char *log = rig_log(&r);
    auto_free char *id = mem_printf("REEVE_ATTEMPT=%s\n", r.spec.id);
    auto_free char *progress = mem_printf("REEVE_PROGRESS_FILE=%s/job/progress\n", r.folder);
    CHECK(strstr(log, id) && strstr(log, progress));
    CHECK(strstr(log, "REEVE_JOB_ID=42\n") && strstr(log, "REEVE_USER=alice\n"));
    CHECK(strstr(log, "CUDA_VISIBLE_DEVICES=GPU-1,GPU-2\n") && strstr(log, "LR=0.1\n"));
    CHECK(strstr(log, "LANG=de_DE.UTF-8\n") && strstr(log, "PATH=/usr/local/sbin:"));
    CHECK(!strstr(log, "forged") && !strstr(log, "=all") && !strstr(log, "NOT_FOR_JOBS"));
    CHECK(!strstr(log, "C.UTF-8"));
}

TEST("secret variables reach the job and no file")
{
    auto_rig struct rig r;
    rig_open(&r, "test ${#TOKEN} = 11 && test \"$OTHER\" = x");
    r.spec.secret_env = list_add(list_add(NULL, "TOKEN=for the job"), "OTHER=x");
    auto_status struct attempt_status status = {0};

    rig_run(&r, &status);

    CHECK_INT(status.end.status, 0);
    auto_free char *find = mem_printf("grep -rq 'for the jo[b]' %s", r.folder);
    CHECK(system(find) != 0);
}

TEST("an attempt starts once, however often it is asked to")
{
    auto_rig struct rig r;
    rig_open(&r, "echo $$ >> $ROOT/starts; sleep 0.3");
    struct shim_process second = SHIM_PROCESS_NONE;
    auto_status struct attempt_status status = {0};

    rig_start(&r);
    CHECK_INT(rig_news(&r, &test_err), SHIM_STARTED);
    CHECK_FAILS(shim_start(getenv("REEVE_TEST_SHIM"), NULL, r.folder, &r.spec, &second, &test_err),
                ERR_CONFLICT, "is running already");
    auto_free char *by_hand = mem_printf("%s --shim %s", getenv("REEVE_TEST_SHIM"), r.folder);
    CHECK_INT(WEXITSTATUS(system(by_hand)), 2);
    rig_wait(&r, &status);
    CHECK_FAILS(shim_start(getenv("REEVE_TEST_SHIM"), NULL, r.folder, &r.spec, &second, &test_err),
                ERR_CONFLICT, "is ended already");
    CHECK_INT(WEXITSTATUS(system(by_hand)), 2);

    auto_free char *starts = rig_file(&r, "starts");
    CHECK(strchr(starts, '\n') == strrchr(starts, '\n'));
}

TEST("two shims at once for one attempt start it once")
{
    auto_rig struct rig r;
    rig_open(&r, "echo $$ >> $ROOT/starts; sleep 0.2");
    CHECK_OK(attempt_folder_make(r.folder, &r.spec, &test_err));
    auto_free char *race = mem_printf("for i in 1 2 3 4 5 6; do %s --shim %s & done; wait",
                                      getenv("REEVE_TEST_SHIM"), r.folder);
    CHECK_INT(system(race), 0);

    auto_free char *starts = rig_file(&r, "starts");
    CHECK(starts && strchr(starts, '\n') == strrchr(starts, '\n'));
    auto_status struct attempt_status status = {0};
    CHECK_OK(attempt_state(r.folder, &status, &test_err));
    CHECK_INT(status.state, ATTEMPT_ENDED);
}

TEST("an attempt that was cancelled before it started never runs")
{
    auto_rig struct rig r;
    rig_open(&r, "echo ran > $ROOT/ran");
    struct err e = {0};
    auto_status struct attempt_status status = {0};
    CHECK_OK(shim_cancel(r.folder, "not wanted", &test_err));

    rig_start(&r);
    CHECK_INT(rig_news(&r, &e), SHIM_FAILED);
    CHECK(strstr(e.text, "cancelled before it started: not wanted"));
    CHECK_INT(rig_wait(&r, &status), 1);

    CHECK_INT(status.state, ATTEMPT_NEVER_STARTED);
    CHECK(rig_file(&r, "ran") == NULL);
}

TEST("a folder that cannot be written is an error of the start")
{
    auto_rig struct rig r;
    rig_open(&r, "true");
    auto_free char *file = rig_path(&r, "attempts");
    CHECK_OK(file_replace(file, "a file\n", 7, 0600, &test_err));

    CHECK_FAILS(shim_start(getenv("REEVE_TEST_SHIM"), NULL, r.folder, &r.spec, &r.shim, &test_err),
                ERR_NOT_FOUND, "Not a directory");
    r.shim = SHIM_PROCESS_NONE;
}

TEST("a folder that is not the attempt's own is refused")
{
    auto_rig struct rig r;
    rig_open(&r, "true");
    r.spec.name[0] = 'X';
    CHECK_FAILS(shim_start(getenv("REEVE_TEST_SHIM"), NULL, r.folder, &r.spec, &r.shim, &test_err),
                ERR_INVALID, "is not that of attempt 'X");
    r.spec.name[0] = 'r';
    CHECK_FAILS(shim_start(NULL, NULL, r.spec.name, &r.spec, &r.shim, &test_err), ERR_INVALID,
                "is not that of");
    r.shim = SHIM_PROCESS_NONE;
}

TEST("a shim whose spec is damaged says so, and nothing starts")
{
    auto_rig struct rig r;
    rig_open(&r, "echo ran > $ROOT/ran");
    CHECK_OK(attempt_folder_make(r.folder, &r.spec, &test_err));
    auto_free char *spec = mem_printf("%s/spec", r.folder);
    CHECK_INT(truncate(spec, 100), 0);
    auto_free char *by_hand = mem_printf("%s --shim %s", getenv("REEVE_TEST_SHIM"), r.folder);

    CHECK_INT(WEXITSTATUS(system(by_hand)), 1);
    CHECK(rig_file(&r, "ran") == NULL);
    auto_status struct attempt_status status = {0};
    CHECK_OK(attempt_state(r.folder, &status, &test_err));
    CHECK_INT(status.state, ATTEMPT_NEVER_STARTED);
}

TEST("a shim program that is missing is an error of the start")
{
    auto_rig struct rig r;
    rig_open(&r, "true");
    CHECK_FAILS(shim_start("/no/such/shim", NULL, r.folder, &r.spec, &r.shim, &test_err),
                ERR_NOT_FOUND, "/no/such/shim");
    r.shim = SHIM_PROCESS_NONE;
}

TEST("results have a folder of their own, with parameters and outcome")
{
    auto_rig struct rig r;
    rig_open(&r, "echo weights > $REEVE_RESULT_DIR/model; pwd; exit 4");
    r.spec.results = rig_path(&r, "results");
    r.spec.params = mem_strdup("{\"lr\":0.1}");
    free(r.spec.work_dir);
    r.spec.work_dir = NULL;
    auto_status struct attempt_status status = {0};

    rig_run(&r, &status);

    auto_free char *model = rig_file(&r, "results/alice/42/1/model");
    auto_free char *params = rig_file(&r, "results/alice/42/1/params.json");
    auto_free char *outcome = rig_file(&r, "results/alice/42/1/outcome.json");
    auto_free char *log = rig_log(&r);
    auto_free char *result = mem_printf("%s/alice/42/1", r.spec.results);
    CHECK_TEXT(model, "weights\n");
    CHECK_TEXT(params, "{\"lr\":0.1}");
    CHECK(outcome && strstr(outcome, "\"status\":4") && strstr(outcome, "\"cause\":\"exited\""));
    CHECK_TEXT(status.end.result, result);
    CHECK(strncmp(log, result, strlen(result)) == 0);
}

TEST("links that a job plants in its result folder lead nowhere")
{
    auto_rig struct rig r;
    rig_open(&r, "ln -s $ROOT/victim $REEVE_RESULT_DIR/outcome.json;"
                 "ln -s $ROOT/victim $REEVE_RESULT_DIR/.outcome.json.new");
    r.spec.results = rig_path(&r, "results");
    auto_free char *victim = rig_path(&r, "victim");
    CHECK_OK(file_replace(victim, "untouched", 9, 0666, &test_err));
    auto_status struct attempt_status status = {0};

    rig_run(&r, &status);

    auto_free char *text = rig_file(&r, "victim");
    auto_free char *outcome = rig_file(&r, "results/alice/42/1/outcome.json");
    CHECK_TEXT(text, "untouched");
    CHECK(outcome && strstr(outcome, "exited"));
}

TEST("as root a job runs as its user, without privileges, and sees only what is its own")
{
    if (geteuid() != 0) {
        printf("skipped: needs root\n");
        return;
    }
    auto_rig struct rig r;
    rig_open(&r, "id -u; id -G; grep NoNewPrivs /proc/self/status; "
                 "cat \"$0/spec\" \"$0/log.head\" 2>&1 | grep -c denied; "
                 "touch \"$0/lock\" \"$0/x\" 2>&1 | grep -c denied; "
                 "ls /proc/self/fd | wc -l; test -w $(dirname $REEVE_PROGRESS_FILE) && echo mine");
    r.spec.command = list_add(r.spec.command, r.folder);
    r.spec.account.group_count = 1;
    r.spec.account.groups = mem_new(gid_t);
    r.spec.account.groups[0] = 1900000777;
    auto_status struct attempt_status status = {0};

    rig_run(&r, &status);

    auto_free char *log = rig_log(&r);
    CHECK_TEXT(log, "1900000123\n1900000123 1900000777\nNoNewPrivs:\t1\n2\n2\n4\nmine\n");
}

TEST("as root a job without an account is refused")
{
    if (geteuid() != 0) {
        printf("skipped: needs root\n");
        return;
    }
    auto_rig struct rig r;
    rig_open(&r, "id");
    r.spec.has_account = false;
    struct err e = {0};
    auto_status struct attempt_status status = {0};

    rig_start(&r);
    CHECK_INT(rig_news(&r, &e), SHIM_FAILED);
    CHECK_INT(e.code, ERR_DENIED);
    rig_wait(&r, &status);
    CHECK_INT(status.state, ATTEMPT_NEVER_STARTED);
}

/* ---- the nursery ---- */

/* What /proc/PID/FILE has between START and the next NUL. */
static char *proc_word(pid_t pid, const char *file, const char *start)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    char *text = NULL;
    size_t len;
    CHECK_OK(file_read(path, 1 << 20, &text, &len, &test_err));
    char *at = memmem(text, len, start, strlen(start));
    char *word = at ? mem_strdup(at) : NULL;
    free(text);
    return word;
}

static void start_from(struct rig *r, struct nursery *n)
{
    CHECK_OK(shim_start(getenv("REEVE_TEST_SHIM"), n, r->folder, &r->spec, &r->shim, &test_err));
}

TEST("a shim from the nursery is the agent's child and looks like any other, also when it dies")
{
    auto_nursery struct nursery *n = nursery_new(getenv("REEVE_TEST_SHIM"));
    for (int i = 0; i < 4; i++) {
        auto_rig struct rig r;
        auto_status struct attempt_status status = {0};
        rig_open(&r, "echo $PPID > $ROOT/parent; sleep 0.2; exit 7");
        start_from(&r, n);
        CHECK_INT(rig_news(&r, &test_err), SHIM_STARTED);
        struct process p;
        CHECK(process_read(r.shim.pid, &p));
        CHECK_INT(p.parent, getpid());
        CHECK_INT(p.session, r.shim.pid);
        auto_free char *folder = proc_word(r.shim.pid, "cmdline", r.folder);
        CHECK_TEXT(folder, r.folder);
        auto_free char *variable = proc_word(r.shim.pid, "environ", r.spec.id);
        CHECK_TEXT(variable, r.spec.id);
        CHECK_INT(rig_wait(&r, &status), SHIM_OK);
        CHECK_INT(status.state, ATTEMPT_ENDED);
        CHECK_INT(status.end.status, 7);
        auto_free char *parent = rig_file(&r, "parent");
        CHECK_INT(atoi(parent), status.started.shim.pid);
    }
}

TEST("when the nursery has died the next shim is started by exec, and another one is made")
{
    for (int i = 0; i < 2; i++) {
        /* By itself, or when it has made a shim and not yet told so. */
        if (i == 1)
            setenv("REEVE_FAILPOINTS", "nursery.after_fork=kill", 1);
        auto_nursery struct nursery *n = nursery_new(getenv("REEVE_TEST_SHIM"));
        for (int k = 0; k < 4; k++) {
            auto_rig struct rig r;
            auto_status struct attempt_status status = {0};
            rig_open(&r, "echo >> $ROOT/starts; exit 7");
            start_from(&r, n);
            struct process_list all;
            process_scan(&all);
            for (size_t at = 0; i == 0 && at < all.count; at++) {
                char path[64];
                snprintf(path, sizeof path, "/proc/%d/cmdline", (int)all.items[at].id.pid);
                auto_free char *line = NULL;
                size_t len;
                if (all.items[at].parent == getpid() &&
                    file_read(path, 4096, &line, &len, NULL) == 0 && len > 20 &&
                    memmem(line, len, "(waits", 6))
                    kill(all.items[at].id.pid, SIGKILL);
            }
            process_list_done(&all);
            struct pollfd ended = {.fd = r.shim.pidfd, .events = POLLIN};
            do { /* the other shim may have it, and ours none of it */
                CHECK(poll(&ended, 1, 15000) == 1);
                attempt_status_done(&status);
                CHECK_OK(attempt_state(r.folder, &status, &test_err));
            } while (status.state == ATTEMPT_RUNNING);
            CHECK_INT(status.state, ATTEMPT_ENDED);
            CHECK_INT(status.end.status, 7);
            auto_free char *starts = rig_file(&r, "starts");
            CHECK_TEXT(starts, "\n");
            shim_reap(&r.shim);
        }
        unsetenv("REEVE_FAILPOINTS");
    }
}

TEST("a shim that came from a nursery outlives its agent")
{
    auto_rig struct rig r;
    rig_open(&r, "sleep 300");
    pid_t agent = fork();
    if (agent == 0) {
        struct nursery *n = nursery_new(getenv("REEVE_TEST_SHIM"));
        nursery_fork(n, r.folder, r.spec.id, 0);
        struct shim_process p;
        _exit(shim_start(getenv("REEVE_TEST_SHIM"), n, r.folder, &r.spec, &p, NULL) < 0);
    }
    int status;
    CHECK_INT(waitpid(agent, &status, 0), agent);
    CHECK_INT(status, 0);
    struct err e = {0};
    while (shim_adopt(r.folder, &r.shim, &e) < 0)
        usleep(10000);
    struct process p;
    CHECK(process_read(r.shim.pid, &p));
}
