/* The sqlite member under kill -9: what was reported durable is there, whole, and nothing of what
 * was not reported is there in part. */
#include "crash_jobs.h"
#include "place.h"

#include "base/digest.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

/* Starts the crasher; FAILPOINTS may be NULL. Gives the pipe on which it reports. */
static pid_t start_crasher(const char *address, const char *batches, const char *failpoints,
                           int *ret_pipe)
{
    int ends[2];
    CHECK(pipe(ends) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        if (failpoints)
            setenv("REEVE_FAILPOINTS", failpoints, 1);
        execl(CRASHER, CRASHER, address, batches, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    *ret_pipe = ends[0];
    return pid;
}

/* The last batch that was reported, once the crasher is gone. KILL_AFTER: reports until we kill it;
 * then within so many microseconds more. */
static int64_t run_crasher(const char *address, const char *batches, const char *failpoints,
                           int kill_after, int *ret_status)
{
    int in;
    pid_t pid = start_crasher(address, batches, failpoints, &in);
    int64_t seq = 0, last = 0;
    for (int reports = 0; read(in, &seq, sizeof seq) == sizeof seq; reports++) {
        last = seq;
        if (kill_after && reports == kill_after) {
            usleep((useconds_t)(random_u64() % 3000));
            kill(pid, SIGKILL);
        }
    }
    close(in);
    CHECK(waitpid(pid, ret_status, 0) == pid);
    return last;
}

struct counted {
    int64_t batch, rows;
    bool wrong;
};

/* Jobs come in the order of their ids, so each batch's jobs stand together. */
static int count_job(void *arg, enum table_id table, const void *record)
{
    (void)table;
    struct counted *c = arg;
    int64_t id = ((const struct job_row *)record)->id;
    c->rows++;
    c->wrong = c->wrong || id / 10 > c->batch || id % 10 >= crash_jobs_count(id / 10);
    return 0;
}

/* Exactly batches 1..SEQ are there. */
static void check_content(struct place *p, int64_t seq)
{
    int64_t jobs = 0, ended = seq > 3 ? seq - 3 : 0;
    for (int64_t batch = 1; batch <= seq; batch++)
        jobs += crash_jobs_count(batch);
    struct counted open = {.batch = seq}, specs = {.batch = seq}, history = {.batch = seq};
    CHECK_OK(p->ops->load(p->s, TABLE_ID_JOB, count_job, &open, &test_err));
    CHECK_OK(p->ops->load(p->s, TABLE_ID_JOB_SPEC, count_job, &specs, &test_err));
    CHECK_OK(p->ops->load(p->s, TABLE_ID_JOB_HISTORY, count_job, &history, &test_err));
    CHECK(!open.wrong && !specs.wrong && !history.wrong);
    CHECK_INT(open.rows, jobs - ended);
    CHECK_INT(specs.rows, ended);
    CHECK_INT(history.rows, ended);

    struct ledger_check c;
    CHECK_OK(ledger_verify(p->ops, p->r, NULL, NULL, &c, &test_err));
    CHECK_INT(c.rows, jobs + ended);
    CHECK_INT(c.last_batch, seq);
}

TEST("after kill -9 at any moment every reported batch is there, whole, and the ledger verifies")
{
    struct place place = {0}, *p = &place;
    place_make(p, "sqlite", "");
    int64_t seq = 0;
    for (int i = 0; i < 15; i++) {
        place_close(p);
        int status;
        int64_t reported =
            run_crasher(p->address, "1000000", NULL, 1 + (int)(random_u64() % 20), &status);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        place_again(p);
        CHECK(p->seq >= reported);
        CHECK(p->seq > seq);
        seq = p->seq;
        check_content(p, seq);
    }
    place_remove(p);
}

TEST("a program that dies before, within or behind a commit leaves all of a batch or nothing")
{
    static const struct {
        const char *failpoints;
        int64_t lost; /* of the 5 batches before it died */
        int more;     /* committed, but not reported */
    } cases[] = {
        {"writer.before_commit=kill@5", 1, 0},
        {"store.mid_commit=kill@5", 1, 0},
        {"writer.after_commit=kill@5", 0, 1},
    };
    struct place place = {0}, *p = &place;
    place_make(p, "sqlite", "");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t before = p->seq;
        int status;
        place_close(p);
        int64_t reported = run_crasher(p->address, "20", cases[i].failpoints, 0, &status);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        place_again(p);
        CHECK_INT(p->seq, before + 5 - cases[i].lost);
        CHECK_INT(p->seq, reported + cases[i].more);
        check_content(p, p->seq);
    }
    place_remove(p);
}

TEST("a store that fails in a commit ends the program, and nothing of the batch is there")
{
    struct place place = {0}, *p = &place;
    int status;
    place_make(p, "sqlite", "");
    place_close(p);
    int64_t reported = run_crasher(p->address, "20", "store.mid_commit=error@3", 0, &status);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    CHECK_INT(reported, 2);
    place_again(p);
    CHECK_INT(p->seq, 2);
    check_content(p, 2);
    place_remove(p);
}

TEST("a disk that is full for a while loses nothing")
{
    struct place place = {0}, *p = &place;
    int status;
    place_make(p, "sqlite", "");
    place_close(p);
    int64_t reported = run_crasher(p->address, "20", "writer.full=error@4", 0, &status);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_INT(reported, 20);
    place_again(p);
    check_content(p, 20);
    place_remove(p);
}
