/*
 * What the store does in a second, beside what the disk below it can do, in the same run:
 *
 *     bench_store [FOLDER] [JOBS]
 *
 * A submission is two rows, the job and its ledger row. "64 outstanding" is 64 clients that each
 * wait for their submission to be durable before the next, so they share a batch.
 */
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "store/writer.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

enum { SECONDS = 2, ROW = 400 };

static char folder[256];
static struct err err;

static void must(int rc)
{
    if (rc == 0)
        return;
    fprintf(stderr, "bench_store: %s\n", err.text);
    exit(1);
}

/* Appends of N rows and a fdatasync, over and over: rows a second. */
static double plain_appends(int n)
{
    auto_free char *path = mem_printf("%s/plain", folder);
    auto_free char *bytes = mem_alloc((size_t)n, ROW);
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    int64_t start = clock_mono_us(), end = start, rows = 0;
    for (; end - start < SECONDS * 1000000; end = clock_mono_us()) {
        must(file_write_all(fd, bytes, (size_t)n * ROW, &err));
        must(fdatasync(fd));
        rows += n;
    }
    close(fd);
    unlink(path);
    return (double)rows * 1e6 / (double)(end - start);
}

/* ------------------------------------------------------------------ the store */

struct bench {
    const struct store_ops *ops;
    struct store *store;
    struct writer *writer;
    int64_t epoch, seq, job, ledger;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int64_t durable;
};

static void on_durable(void *arg, int64_t seq)
{
    struct bench *b = arg;
    pthread_mutex_lock(&b->lock);
    b->durable = seq;
    pthread_cond_signal(&b->changed);
    pthread_mutex_unlock(&b->lock);
}

static void on_full(void *arg, bool full, const struct err *why)
{
    (void)arg;
    fprintf(stderr, "bench_store: full %d: %s\n", full, why ? why->text : "");
}

static void on_broken(void *arg, const struct err *why)
{
    (void)arg;
    fprintf(stderr, "bench_store: %s\n", why->text);
    exit(1);
}

static void submit(struct bench *b, struct batch *batch)
{
    static const char spec[] =
        "{\"command\":[\"python3\",\"train.py\",\"--lr\",\"0.1\"],\"env\":{\"EPOCHS\":\"40\"},"
        "\"work_dir\":\"/data/alice/run\"}";
    struct job_row job = {.id = ++b->job,
                          .principal = 1 + b->job % 50,
                          .submitter = 3,
                          .team = "vision",
                          .submitted_ms = 1700000000000 + b->job,
                          .place = b->job,
                          .gpus = 1,
                          .gpu_memory_mib = 8192,
                          .cpu_milli = 4000,
                          .memory_mib = 16384,
                          .time_limit_ms = 3600000,
                          .retries = 1,
                          .name = "train-resnet",
                          .spec = spec};
    struct ledger_row row = {.seq = ++b->ledger,
                             .batch = batch->seq,
                             .time_ms = 1700000000000 + b->job / 100,
                             .kind = 1,
                             .subject = b->job,
                             .actor = job.principal,
                             .body = "{\"gpus\":1,\"place\":1}"};
    batch_put(batch, TABLE_ID_JOB, &job);
    batch_put(batch, TABLE_ID_LEDGER, &row);
}

static struct batch *next_batch(struct bench *b)
{
    struct batch *batch = batch_new();
    batch->epoch = b->epoch;
    batch->seq = ++b->seq;
    return batch;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void wait_durable(struct bench *b, int64_t seq)
{
    pthread_mutex_lock(&b->lock);
    while (b->durable < seq)
        pthread_cond_wait(&b->changed, &b->lock);
    pthread_mutex_unlock(&b->lock);
}

/* CLIENTS that submit one job after the other: submissions a second, and how long one took. */
static double submissions(struct bench *b, int clients, int64_t *ret_p50_us, int64_t *ret_p99_us,
                          int64_t *ret_most_us)
{
    enum { MOST = 1 << 20 };
    int64_t *took = mem_new_array(int64_t, MOST); /* by a batch */
    int64_t count = 0, start = clock_mono_us(), now = start;
    while (now - start < SECONDS * 1000000 && count < MOST) {
        int64_t sent_us = now;
        struct batch *batch = next_batch(b);
        for (int i = 0; i < clients; i++)
            submit(b, batch);
        writer_commit(b->writer, batch);
        wait_durable(b, b->seq);
        now = clock_mono_us();
        took[count++] = now - sent_us;
    }
    qsort(took, (size_t)count, sizeof *took, by_size);
    *ret_p50_us = took[count / 2];
    *ret_p99_us = took[count * 99 / 100];
    *ret_most_us = took[count - 1];
    free(took);
    return (double)(count * clients) * 1e6 / (double)(now - start);
}

static void open_store(struct bench *b, const char *address)
{
    struct ledger_tail tail;
    must(store_open(address, &b->ops, &b->store, &err));
    must(b->ops->claim(b->store, &b->epoch, &b->seq, &err));
    must(ledger_read_tail(b->ops, b->store, &tail, &err));
    b->ledger = tail.seq;
    b->durable = b->seq;
    struct writer_callbacks on = {on_durable, on_full, on_broken, b, 0};
    must(writer_start(b->ops, b->store, b->seq, &tail, &on, &b->writer, &err));
}

static void close_store(struct bench *b)
{
    writer_stop(b->writer);
    b->ops->close(b->store);
}

static void fill(struct bench *b, int64_t jobs)
{
    while (b->job < jobs) {
        struct batch *batch = next_batch(b);
        for (int i = 0; i < 5000 && b->job < jobs; i++)
            submit(b, batch);
        while (!writer_has_room(b->writer))
            usleep(200);
        writer_commit(b->writer, batch);
    }
    wait_durable(b, b->seq);
}

static int count_row(void *arg, enum table_id table, const void *record)
{
    (void)table;
    *(int64_t *)arg += ((const struct job_row *)record)->gpus;
    return 0;
}

static void reads(struct bench *b)
{
    struct store_reader *r;
    must(b->ops->reader_open(b->store, &r, &err));
    int64_t start = clock_mono_us(), end = start, count = 0, rows = 0;
    for (uint64_t x = 1; end - start < SECONDS * 1000000; end = clock_mono_us()) {
        for (int i = 0; i < 100; i++) {
            x = x * 6364136223846793005u + 1442695040888963407u;
            struct store_query q = {
                .id = QUERY_JOB, .key = 1 + (int64_t)((x >> 20) % (uint64_t)b->job), .limit = 1};
            must(b->ops->read(r, &q, count_row, &rows, &err));
            count++;
        }
    }
    printf("point reads of a job              %10.0f /s\n",
           (double)count * 1e6 / (double)(end - start));

    rows = 0;
    start = clock_mono_us();
    struct store_query q = {.id = QUERY_JOBS, .from = b->job / 2, .upto = b->job, .limit = 1000};
    must(b->ops->read(r, &q, count_row, &rows, &err));
    printf("a page of %lld open jobs          %10.2f ms\n", (long long)rows,
           (double)(clock_mono_us() - start) / 1e3);

    struct ledger_check check;
    start = clock_mono_us();
    must(ledger_verify(b->ops, r, NULL, NULL, &check, &err));
    printf("ledger verified                   %10.0f rows/s\n",
           (double)check.rows * 1e6 / (double)(clock_mono_us() - start));
    b->ops->reader_close(r);
}

int main(int argc, char **argv)
{
    snprintf(folder, sizeof folder, "%s/bench_storeXXXXXX", argc > 1 ? argv[1] : "/tmp");
    int64_t jobs = argc > 2 ? atoll(argv[2]) : 1000000;
    if (!mkdtemp(folder))
        return perror(folder), 1;
    auto_free char *address = mem_printf("sqlite:%s/reeve.db", folder);
    struct bench b = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

    open_store(&b, address);
    static const int clients[] = {1, 64, 1000};
    for (size_t i = 0; i < COUNT_OF(clients); i++) {
        int64_t p50, p99, most;
        double plain = plain_appends(clients[i]);
        double store = submissions(&b, clients[i], &p50, &p99, &most);
        printf(
            "%4d outstanding: plain fdatasync %8.0f /s, store %8.0f submissions/s (%.0f rows/s), "
            "ratio %.2f; p50 %.2f p99 %.2f most %.2f ms\n",
            clients[i], plain, store, 2 * store, store / plain, (double)p50 / 1e3,
            (double)p99 / 1e3, (double)most / 1e3);
    }

    int64_t before = b.job, start = clock_mono_us();
    fill(&b, jobs > before ? jobs : before);
    double fill_s = (double)(clock_mono_us() - start) / 1e6;
    printf("filled with %lld more jobs at     %10.0f rows/s\n", (long long)(b.job - before),
           2 * (double)(b.job - before) / fill_s);
    struct store_stats stats;
    must(b.ops->stats(b.store, &stats, &err));
    printf("file and log                      %10.0f MiB\n", (double)stats.file_bytes / 1048576);
    close_store(&b);

    start = clock_mono_us();
    open_store(&b, address);
    printf("opened in                         %10.1f ms\n",
           (double)(clock_mono_us() - start) / 1e3);
    int64_t sum = 0;
    start = clock_mono_us();
    must(b.ops->load(b.store, TABLE_ID_JOB, count_row, &sum, &err));
    printf("%lld open jobs loaded in       %10.2f s\n", (long long)sum,
           (double)(clock_mono_us() - start) / 1e6);
    reads(&b);
    close_store(&b);
    must(file_remove_tree(folder, &err));
    return 0;
}
