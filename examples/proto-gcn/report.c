#include "report.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void progress_open(struct progress *p)
{
    const char *path = getenv("REEVE_PROGRESS_FILE");
    if (!path || !*path)
        path = getenv("ARGO_PROGRESS_FILE");
    p->percent = -1;
    p->fd = path && *path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
    if (path && *path && p->fd < 0)
        fprintf(stderr, "could not open progress file '%s', going on without\n", path);
}

void progress_set(struct progress *p, const struct training *t)
{
    int64_t steps = training_steps_per_epoch(t);
    int64_t done = t->epoch * steps + t->step, all = t->config.epochs * steps;
    if (p->fd < 0 || done * 100 / all == p->percent)
        return;
    p->percent = done * 100 / all;
    char text[48];
    int len = snprintf(text, sizeof text, "%lld/%lld\n", (long long)done, (long long)all);
    /* One write that never gets shorter, since DONE only grows: a reader sees the old or the new.
     */
    if (pwrite(p->fd, text, (size_t)len, 0) < 0)
        progress_close(p);
}

void progress_close(struct progress *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
}

void report_start(const struct training *t)
{
    const struct config *c = &t->config;
    const char *device = getenv("CUDA_VISIBLE_DEVICES");
    printf("proto-gcn %s: %lld classes, %lld + %lld + %lld samples of %lld frames x %lld joints, "
           "%zu weights\n",
           c->name, (long long)c->classes, (long long)c->train_samples, (long long)c->val_samples,
           (long long)c->test_samples, (long long)c->frames, (long long)c->joints,
           model_size(t->model));
    printf("computes on one CPU core; device given: %s\n", device && *device ? device : "none");
}

void report_epoch(const struct training *t)
{
    const struct epoch_row *row = &t->history[t->epoch - 1];
    printf("epoch %lld/%lld loss %.4f train_acc %.3f val_acc %.3f lr %.4g %.0f ms\n",
           (long long)t->epoch, (long long)t->config.epochs, row->loss, row->train_acc,
           row->val_acc, row->lr, row->ms);
}

void report_test(const struct training *t, const struct score *test)
{
    printf("held-back data: accuracy %.3f, loss %.4f (%lld samples of people never seen; chance "
           "%.3f)\n",
           score_accuracy(test), test->loss, (long long)t->config.test_samples,
           1.0 / (double)t->config.classes);
    for (int k = 0; k < t->config.classes; k++)
        printf("  %-10s %lld of %lld\n", action_names[k], (long long)test->right[k],
               (long long)test->all[k]);
}

/* Ends STREAM, which wrote into *TEXT, and makes that the file DIR/NAME. */
static int publish(FILE *stream, char **text, const size_t *len, const char *dir, const char *name,
                   struct why *w)
{
    char path[4096];
    if (fclose(stream) != 0)
        return why_set(w, "not enough memory for '%s'", name);
    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
        return why_set(w, "file name '%.40s...' is too long", dir);
    return file_replace(path, *text, *len, w);
}

int report_metrics(const struct training *t, const char *dir, struct why *w)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return why_set(w, "not enough memory for metrics");
    fprintf(out, "epoch,loss,train_acc,val_acc,lr,ms\n");
    for (int64_t i = 0; i < t->epoch; i++) {
        const struct epoch_row *row = &t->history[i];
        fprintf(out, "%lld,%.6f,%.4f,%.4f,%.6g,%.1f\n", (long long)i + 1, row->loss, row->train_acc,
                row->val_acc, row->lr, row->ms);
    }
    int rc = publish(out, &text, &len, dir, "metrics.csv", w);
    free(text);
    return rc;
}

int report_result(const struct training *t, const struct score *test, double seconds, bool resumed,
                  const char *dir, struct why *w)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return why_set(w, "not enough memory for the result");
    const struct epoch_row *last = &t->history[t->epoch - 1];
    fprintf(out, "{\n  \"program\": \"proto-gcn\",\n  \"config\": {\n");
    config_json(&t->config, out, 4);
    fprintf(out,
            "  },\n  \"weights\": %zu,\n  \"epochs\": %lld,\n  \"resumed\": %s,\n"
            "  \"seconds\": %.3f,\n  \"train_loss\": %.6f,\n  \"train_accuracy\": %.4f,\n"
            "  \"val_accuracy\": %.4f,\n  \"test_loss\": %.6f,\n  \"test_accuracy\": %.4f,\n"
            "  \"chance\": %.4f,\n  \"test_accuracy_by_class\": {\n",
            model_size(t->model), (long long)t->epoch, resumed ? "true" : "false", seconds,
            last->loss, last->train_acc, last->val_acc, test->loss, score_accuracy(test),
            1.0 / (double)t->config.classes);
    for (int k = 0; k < t->config.classes; k++) {
        double all = test->all[k] ? (double)test->all[k] : 1;
        fprintf(out, "    \"%s\": %.4f%s\n", action_names[k], (double)test->right[k] / all,
                k + 1 < t->config.classes ? "," : "");
    }
    fprintf(out, "  }\n}\n");
    int rc = publish(out, &text, &len, dir, "result.json", w);
    free(text);
    return rc;
}
