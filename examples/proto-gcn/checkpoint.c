#include "checkpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct header {
    char magic[8];
    uint64_t shape; /* config_shape() */
    uint64_t real_size, weights, history_rows;
    int64_t epoch, step, optimizer_steps, right, seen;
    double loss_sum, ms;
};

static const char magic[8] = "PGCN-01";

static uint64_t checksum(const unsigned char *data, size_t len)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ data[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static size_t file_size(const struct header *h)
{
    return sizeof *h + h->history_rows * sizeof(struct epoch_row) + 3 * h->weights * sizeof(real) +
           sizeof(uint64_t);
}

/* The arrays of a checkpoint in the order of the file. */
struct array {
    void *data;
    size_t bytes;
};
enum { ARRAYS = 4 };

static void arrays_of(const struct training *t, const struct header *h, struct array out[ARRAYS])
{
    size_t bytes = h->weights * sizeof(real);
    out[0] = (struct array){t->history, h->history_rows * sizeof(struct epoch_row)};
    out[1] = (struct array){model_weights(t->model), bytes};
    out[2] = (struct array){t->optimizer.first, bytes};
    out[3] = (struct array){t->optimizer.second, bytes};
}

int checkpoint_save(const struct training *t, const char *path, struct why *w)
{
    struct header h = {
        .shape = config_shape(&t->config),
        .real_size = sizeof(real),
        .weights = model_size(t->model),
        .history_rows = (uint64_t)t->epoch,
        .epoch = t->epoch,
        .step = t->step,
        .optimizer_steps = t->optimizer.steps,
        .right = t->right,
        .seen = t->seen,
        .loss_sum = t->loss_sum,
        .ms = t->ms,
    };
    memcpy(h.magic, magic, sizeof magic);

    size_t size = file_size(&h);
    unsigned char *file = room_for(size, 1), *at = file;
    memcpy(at, &h, sizeof h);
    at += sizeof h;
    struct array arrays[ARRAYS];
    arrays_of(t, &h, arrays);
    for (int i = 0; i < ARRAYS; i++) {
        memcpy(at, arrays[i].data, arrays[i].bytes);
        at += arrays[i].bytes;
    }
    uint64_t sum = checksum(file, size - sizeof sum);
    memcpy(at, &sum, sizeof sum);
    int rc = file_replace(path, file, size, w);
    free(file);
    return rc;
}

static int check_header(const struct training *t, const struct header *h, const char *path,
                        struct why *w)
{
    if (memcmp(h->magic, magic, sizeof magic) != 0)
        return why_set(w, "file '%s' is not a checkpoint of this program", path);
    if (h->real_size != sizeof(real) || h->shape != config_shape(&t->config) ||
        h->weights != model_size(t->model))
        return why_set(w, "checkpoint '%s' belongs to a run with other settings", path);
    if (h->epoch < 0 || (uint64_t)h->epoch != h->history_rows || h->epoch > t->config.epochs)
        return why_set(w, "checkpoint '%s' is at epoch %lld, beyond the %lld asked for", path,
                       (long long)h->epoch, (long long)t->config.epochs);
    if (h->step < 0 || h->step >= training_steps_per_epoch(t))
        return why_set(w, "checkpoint '%s' is damaged", path);
    return 0;
}

static int read_whole(struct training *t, FILE *f, const char *path, struct why *w)
{
    struct header h;
    if (fread(&h, sizeof h, 1, f) != 1)
        return why_set(w, "checkpoint '%s' is cut off", path);
    if (check_header(t, &h, path, w) < 0)
        return -1;

    /* Weights and rows are bounded by what T has, so the size is too. */
    size_t size = file_size(&h);
    unsigned char *file = room_for(size + 1, 1);
    memcpy(file, &h, sizeof h);
    size_t got = sizeof h + fread(file + sizeof h, 1, size + 1 - sizeof h, f);
    uint64_t sum;
    memcpy(&sum, file + size - sizeof sum, sizeof sum);
    if (got != size || sum != checksum(file, size - sizeof sum)) {
        free(file);
        return why_set(w, "checkpoint '%s' is damaged", path);
    }

    struct array arrays[ARRAYS];
    arrays_of(t, &h, arrays);
    unsigned char *at = file + sizeof h;
    for (int i = 0; i < ARRAYS; i++) {
        memcpy(arrays[i].data, at, arrays[i].bytes);
        at += arrays[i].bytes;
    }
    free(file);
    t->epoch = h.epoch;
    t->step = h.step;
    t->optimizer.steps = h.optimizer_steps;
    t->right = h.right;
    t->seen = h.seen;
    t->loss_sum = h.loss_sum;
    t->ms = h.ms;
    return 0;
}

int checkpoint_load(struct training *t, const char *path, bool *ret_there, struct why *w)
{
    FILE *f = fopen(path, "re");
    *ret_there = f != NULL;
    if (!f && errno == ENOENT)
        return 0;
    if (!f)
        return why_set(w, "could not open checkpoint '%s': %s", path, strerror(errno));
    int rc = read_whole(t, f, path, w);
    fclose(f);
    return rc;
}
