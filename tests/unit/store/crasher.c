/*
 * A program to be killed. It commits batch after batch, and says on standard output, 8 bytes each,
 * which ones were reported durable. What batch N holds is a function of N alone (crash_jobs()), so
 * whoever looks afterwards knows what must be there.
 *
 *     crasher ADDRESS BATCHES
 */
#include "crash_jobs.h"

#include "base/file.h"
#include "base/mem.h"
#include "store/writer.h"

#include <stdatomic.h>

static atomic_llong durable;
static struct err err;

static void on_durable(void *arg, int64_t seq)
{
    (void)arg;
    if (file_write_all(STDOUT_FILENO, &seq, sizeof seq, &err) < 0)
        _exit(4);
    atomic_store(&durable, seq);
}

static void on_full(void *arg, bool full, const struct err *why)
{
    (void)arg, (void)full, (void)why;
}

static void on_broken(void *arg, const struct err *why)
{
    (void)arg;
    fprintf(stderr, "crasher: %s\n", why->text);
    _exit(3);
}

int main(int argc, char **argv)
{
    const struct store_ops *ops;
    struct store *s;
    struct ledger_tail tail;
    struct writer *w;
    struct writer_callbacks on = {on_durable, on_full, on_broken, NULL, 1};
    int64_t epoch, seq, batches = argc > 2 ? atoll(argv[2]) : 0;
    if (batches < 1 || store_open(argv[1], &ops, &s, &err) < 0 ||
        ops->claim(s, &epoch, &seq, &err) < 0 || ledger_read_tail(ops, s, &tail, &err) < 0 ||
        writer_start(ops, s, seq, &tail, &on, &w, &err) < 0) {
        fprintf(stderr, "crasher: %s\n", err.text);
        return 2;
    }
    int64_t ledger = tail.seq;
    for (int64_t last = seq + batches; seq < last;) {
        struct batch *b = batch_new();
        b->epoch = epoch;
        b->seq = ++seq;
        crash_jobs_fill(b, &ledger);
        while (!writer_has_room(w))
            usleep(50);
        writer_commit(w, b);
    }
    writer_stop(w);
    ops->close(s);
    return 0;
}
