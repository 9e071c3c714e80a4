/*
 * The queue with a million jobs in it, in one process without HTTP, beside what the disk below can
 * do:
 *
 *     bench_queue [FOLDER] [JOBS]
 *
 * Memory a job, durable submission with the queue full, position, why, snapshot, list, restart; and
 * how long it takes to decide where 4,000 jobs go on 500 nodes of 8 devices, and when 10,000 more
 * that wait behind them may start.
 */
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "core/dump.h"
#include "core/explain/explain.h"
#include "core/explain/when.h"
#include "engine/engine.h"

#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

static char folder[256];
static struct err err;
static uv_loop_t loop;
static struct engine *engine;
static struct mailbox *door;
static int64_t answers;

static void must(int rc)
{
    if (rc == 0)
        return;
    fprintf(stderr, "bench_queue: %s\n", err.text);
    exit(1);
}

static int64_t rss_bytes(void)
{
    auto_free char *text = NULL;
    long size = 0, resident = 0;
    must(file_read("/proc/self/statm", 4096, &text, NULL, &err));
    sscanf(text, "%ld %ld", &size, &resident);
    return (int64_t)resident * sysconf(_SC_PAGESIZE);
}

static void on_done(struct command *c)
{
    if (c->error.code) {
        fprintf(stderr, "bench_queue: %s\n", c->error.text);
        exit(1);
    }
    answers++;
    command_free(c);
}

static void submit(int jobs)
{
    struct command *c = command_new(COMMAND_SUBMIT);
    c->actor = 1;
    c->jobs = mem_new_array(struct submission, (size_t)jobs);
    c->job_count = (size_t)jobs;
    for (int i = 0; i < jobs; i++) {
        c->jobs[i] = (struct submission){.gpus = 1,
                                         .memory_mib = JOB_DEFAULT_MEMORY_MIB,
                                         .flags = JOB_MEMORY_DEFAULT,
                                         .retries = 1,
                                         .name = "train-resnet"};
        c->jobs[i].spec =
            mem_strdup("{\"command\":[\"python3\",\"train.py\",\"--lr\",\"0.1\"],"
                       "\"env\":{\"SEED\":\"1\"},\"work_dir\":\"/data/alice/resnet\"}");
    }
    c->on_done = on_done;
    c->reply_to = door;
    while (!engine_command(engine, c))
        uv_run(&loop, UV_RUN_ONCE);
}

static void wait_for(int64_t count)
{
    while (answers < count)
        uv_run(&loop, UV_RUN_ONCE);
}

static double start(void)
{
    struct engine_config c = {.policy = {.pue_milli = 1000, .currency = "USD"},
                              .silence_ms = 15000};
    auto_free char *store = mem_printf("sqlite:%s/reeve.db", folder);
    char *token;
    c.store = store;
    int64_t begin = clock_mono_us();
    uv_loop_init(&loop);
    must(engine_start(&loop, &c, NULL, &engine, &token, &err));
    free(token);
    door = mailbox_new(&loop, 100000);
    return (double)(clock_mono_us() - begin) / 1e6;
}

static void stop(void)
{
    engine_stop(engine);
    mailbox_close(door);
    uv_run(&loop, UV_RUN_NOWAIT);
    mailbox_free(door);
    uv_loop_close(&loop);
}

static int compare(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* Appends of one row each with a fdatasync: what one client can get from this disk. */
static void plain(int n, int64_t *us)
{
    auto_free char *path = mem_printf("%s/plain", folder);
    char row[400] = {0};
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    for (int i = 0; i < n; i++) {
        int64_t begin = clock_mono_us();
        must(file_write_all(fd, row, sizeof row, &err));
        must(fdatasync(fd));
        us[i] = clock_mono_us() - begin;
    }
    close(fd);
    unlink(path);
    qsort(us, (size_t)n, sizeof *us, compare);
}

static void one_client(const char *when)
{
    enum { N = 500 };
    static int64_t ours[N], disk[N];
    plain(N, disk);
    for (int i = 0; i < N; i++) {
        int64_t begin = clock_mono_us();
        int64_t want = answers + 1;
        submit(1);
        wait_for(want);
        ours[i] = clock_mono_us() - begin;
    }
    qsort(ours, N, sizeof *ours, compare);
    printf(
        "durable submission, 1 client, %-12s p50 %5lld us  p99 %6lld us   plain append p50 %5lld us"
        "   ratio %.2f\n",
        when, (long long)ours[N / 2], (long long)ours[N * 99 / 100], (long long)disk[N / 2],
        (double)ours[N / 2] / (double)disk[N / 2]);
}

/* N of them at a time, always. */
static void many_clients(int clients, const char *when)
{
    enum { N = 20000 };
    int64_t begin = clock_mono_us(), first = answers, sent = 0;
    while (answers - first < N) {
        while (sent - (answers - first) < clients && sent < N) {
            submit(1);
            sent++;
        }
        uv_run(&loop, UV_RUN_ONCE);
    }
    double rate = N * 1e6 / (double)(clock_mono_us() - begin);
    printf("durable submissions/s, %d clients, %-12s %.0f\n", clients, when, rate);
}

static int count_bytes(void *arg, const void *bytes, size_t len)
{
    (void)bytes;
    *(int64_t *)arg += (int64_t)len;
    return 0;
}

static void dump(void)
{
    int64_t begin = clock_mono_us(), bytes = 0;
    const struct engine_view *v = engine_view_get(engine);
    core_dump(&v->fleet, count_bytes, &bytes);
    engine_view_release(engine, v);
    printf("a snapshot as bytes            %8.2f ms  %.1f MB before packing\n",
           (double)(clock_mono_us() - begin) / 1e3, (double)bytes / 1e6);
}

static void reads(int64_t jobs)
{
    enum { N = 200000 };
    const struct engine_view *v = engine_view_get(engine);
    const struct fleet_view *f = &v->fleet;
    int64_t begin = clock_mono_us(), sum = 0;
    for (int i = 0; i < N; i++) {
        const struct job *j = fleet_job(f, 1 + (int64_t)i * 7919 % jobs);
        sum += fleet_position(f, j);
    }
    printf("position of a job              %8.2f us   (checksum %lld)\n",
           (double)(clock_mono_us() - begin) / N, (long long)sum);

    auto_text struct text t = {0};
    begin = clock_mono_us();
    for (int i = 0; i < 100; i++) {
        text_clear(&t);
        explain_wait(f, fleet_job(f, jobs - i), &(struct explain_reader){0}, &t);
    }
    printf("why a job waits                %8.2f us   \"%s\"\n",
           (double)(clock_mono_us() - begin) / 100, t.data);

    begin = clock_mono_us();
    int rows = 0;
    struct tree_walk w;
    for (bool more = tree_last(&w, &f->by_id, &f->tree_nodes, (struct tree_key){0, UINT64_MAX});
         more && rows < 10000; more = tree_previous(&w))
        rows += fleet_job_at(f, w.value)->state == JOB_QUEUED;
    printf("walk of 10,000 rows            %8.2f ms\n", (double)(clock_mono_us() - begin) / 1e3);
    engine_view_release(engine, v);
}

/* ---- decisions: 4,000 jobs on 500 x 8 ---- */

static void happen(struct core *c, struct event *ev)
{
    ev->seq = c->fleet->view.last_seq + 1;
    ev->time_ms = 1700000000000;
    must(core_apply(c, ev, NULL, &err));
}

static void submit_one(struct core *c, int64_t job, int64_t gpus, int64_t gpu_memory_mib)
{
    struct event ev = {.kind = EVENT_ID_JOB_SUBMITTED, .subject = job};
    ev.JOB_SUBMITTED.principal = 1;
    ev.JOB_SUBMITTED.gpus = gpus;
    ev.JOB_SUBMITTED.gpu_memory_mib = gpu_memory_mib;
    ev.JOB_SUBMITTED.memory_mib = 1024;
    happen(c, &ev);
}

/* SHAPES kinds of jobs wait behind 4,000 that run. */
static void expectations(struct core *c, int shapes)
{
    enum { WAITING = 10000, RUNNING = 4000 };
    static struct when_span left[RUNNING], runs[WAITING];
    static struct when_start starts[WHEN_JOBS_MOST];
    int64_t first = c->fleet->view.next_job;
    for (int64_t j = 0; j < WAITING; j++)
        submit_one(c, first + j, 1 + j % 4 % shapes, 1000 * (j % shapes));
    for (int64_t i = 0; i < RUNNING; i++)
        left[i] = (struct when_span){1000 * (1 + i * 7919 % RUNNING), WHEN_PROGRESS};
    for (int64_t i = 0; i < WAITING; i++)
        runs[i] = (struct when_span){1000 * (1000 + i * 7919 % 3600), WHEN_HISTORY};
    struct event planned;
    core_plan(c, 1700000000000, PLAN_VERSION, &planned);
    happen(c, &planned);

    struct when_question q = {&c->fleet->view, 1700000000000, left, runs};
    int64_t begin = clock_mono_us(), known = 0;
    size_t count = when_look(&q, starts);
    double ms = (double)(clock_mono_us() - begin) / 1e3;
    for (size_t i = 0; i < count; i++)
        known += starts[i].order > 0;
    printf("when %d of %d may start, %2d shapes  %8.1f ms  (%lld known)\n", (int)count, WAITING,
           shapes, ms, (long long)known);
    for (int64_t j = 0; j < WAITING; j++) {
        struct event ev = {.kind = EVENT_ID_JOB_CANCEL, .subject = first + j};
        happen(c, &ev);
    }
}

static void decisions(void)
{
    struct core c;
    core_init(&c);
    struct event ev = {.kind = EVENT_ID_EPOCH_BEGAN};
    ev.EPOCH_BEGAN.epoch = 1;
    happen(&c, &ev);
    ev = (struct event){.kind = EVENT_ID_PRINCIPAL_ADDED, .subject = 1};
    happen(&c, &ev);
    for (int64_t n = 1; n <= 500; n++) {
        ev = (struct event){.kind = EVENT_ID_NODE_ENROLLED, .subject = n};
        snprintf(ev.NODE_ENROLLED.name, EVENT_TEXT, "node-%lld", (long long)n);
        happen(&c, &ev);
        ev = (struct event){.kind = EVENT_ID_NODE_HELLO, .subject = n};
        ev.NODE_HELLO.cpu_milli = 128000;
        ev.NODE_HELLO.memory_mib = 1 << 20;
        ev.NODE_HELLO.isolation = ISOLATION_USER;
        happen(&c, &ev);
        for (int64_t d = 0; d < 8; d++) {
            ev = (struct event){.kind = EVENT_ID_DEVICE_SEEN, .subject = (n - 1) * 8 + d + 1};
            ev.DEVICE_SEEN.node = n;
            ev.DEVICE_SEEN.number = d;
            ev.DEVICE_SEEN.memory_mib = 81920;
            happen(&c, &ev);
        }
    }
    for (int64_t j = 1; j <= 4000; j++)
        submit_one(&c, j, 1, 0);
    int64_t begin = clock_mono_us(), given = 0;
    while (plan_is_due(&c.fleet->view)) {
        core_plan(&c, 1700000000000, PLAN_VERSION, &ev);
        happen(&c, &ev);
        for (size_t i = 0; i < c.plan.decision_count; i++) {
            const struct decision *d = &c.plan.decisions[i];
            struct event decided = {.kind = EVENT_ID_ATTEMPT_DECIDED, .subject = d->job};
            decided.ATTEMPT_DECIDED.n = 1;
            decided.ATTEMPT_DECIDED.node = d->node;
            decided.ATTEMPT_DECIDED.devices.count = d->devices.count;
            memcpy(decided.ATTEMPT_DECIDED.devices.at, d->devices.at, sizeof d->devices.at);
            happen(&c, &decided);
            given++;
        }
    }
    double s = (double)(clock_mono_us() - begin) / 1e6;
    printf("decide %lld jobs on 500 x 8     %8.3f s    aim 1 s    ratio %.2f\n", (long long)given,
           s, s / 1.0);
    expectations(&c, 1);
    expectations(&c, 20);
    core_done(&c);
}

int main(int argc, char **argv)
{
    const char *where = argc > 1 ? argv[1] : "/tmp";
    mallopt(M_MMAP_THRESHOLD, 128 << 10); /* as reeved does */
    int64_t jobs = argc > 2 ? atoll(argv[2]) : 1000000;
    snprintf(folder, sizeof folder, "%s/bench_queueXXXXXX", where);
    if (!mkdtemp(folder)) {
        perror("bench_queue: could not make a folder");
        return 1;
    }
    decisions();
    start();
    one_client("empty:");
    many_clients(64, "empty:");

    int64_t before = rss_bytes(), begin = clock_mono_us(), first = answers, sent = 0;
    for (; sent < jobs; sent += 1000)
        submit(1000);
    wait_for(first + jobs / 1000);
    double s = (double)(clock_mono_us() - begin) / 1e6;
    printf("%lld jobs queued in %.1f s, %.0f durable jobs/s in batches of 1,000\n", (long long)jobs,
           s, (double)jobs / s);
    double bytes = (double)(rss_bytes() - before) / (double)jobs;
    printf("memory a queued job            %8.0f bytes aim 1000    ratio %.2f\n", bytes,
           bytes / 1000);
    one_client("full:");
    many_clients(64, "full:");
    reads(jobs);
    dump();
    stop();
    s = start();
    printf("restart with all of them       %8.2f s    aim 5 s     ratio %.2f\n", s, s / 5);
    stop();
    file_remove_tree(folder, &err);
    return 0;
}
