/* Who waits, grouped by shape: entering, leaving, and waking what may start. */
#include "core/queue/queue.h"

#include <assert.h>
#include <string.h>

/* A shape's needs packed into a key, exactly: the widths are the limits that submissions are held
 * to (memory below 2^26 MiB, CPU below 2^20 thousandths, 64 GPUs). What is said of where has no
 * room left there: such a key is hashed. */
static struct tree_key shape_key(const struct job *j)
{
    uint64_t flags = (j->flags & JOB_MEMORY_DEFAULT ? 1 : 0) |
                     (j->flags & JOB_NEEDS_CLUSTER ? UINT64_C(1) << 56 : 0) |
                     (j->flags & JOB_NEEDS_MACHINE ? UINT64_C(1) << 57 : 0);
    struct tree_key key = {
        .a = (uint64_t)j->principal << 32 | j->gpu_memory_mib,
        .b = (uint64_t)j->cpu_milli << 36 | (uint64_t)j->memory_mib << 9 | (uint64_t)j->gpus << 1 |
             flags,
    };
    if (!j->where)
        return key;
    const uint64_t all[] = {key.a, key.b, j->where};
    struct digest d = digest_of(all, sizeof all);
    memcpy(&key, d.bytes, sizeof key);
    return key;
}

static uint32_t shape_of(struct fleet *f, const struct job *j)
{
    struct tree_key key = shape_key(j);
    uint32_t row = tree_find(&f->view.shape_keys, &f->tree_nodes.view, key);
    if (row != NO_ROW)
        return row;

    row = table_add(&f->shapes);
    *(struct shape *)table_edit(&f->shapes, row) = (struct shape){
        .principal = j->principal,
        .gpu_memory_mib = j->gpu_memory_mib,
        .cpu_milli = j->cpu_milli,
        .memory_mib = j->memory_mib,
        .gpus = j->gpus,
        .flags = j->flags & JOB_NEED_FLAGS,
        .where = j->where,
        .awake = 1,
    };
    tree_put(&f->view.shape_keys, &f->tree_nodes, key, row);
    f->view.awake++;
    return row;
}

static struct tree_key due_key(const struct job *j)
{
    return (struct tree_key){(uint64_t)job_due_ms(j), j->place};
}

/* Plans see it from now on. */
static void join_shape(struct fleet *f, uint32_t row)
{
    struct job *j = table_edit(&f->jobs, row);
    j->shape = shape_of(f, j);
    ((struct shape *)table_edit(&f->shapes, j->shape))->ready++;
    tree_put(&f->view.by_shape, &f->tree_nodes, (struct tree_key){j->shape, j->place}, row);
}

static void leave_shape(struct fleet *f, uint32_t row)
{
    struct job *j = table_edit(&f->jobs, row);
    tree_remove(&f->view.by_shape, &f->tree_nodes, (struct tree_key){j->shape, j->place});

    struct shape *s = table_edit(&f->shapes, j->shape);
    bool reserved = s->reserved_node != 0;
    if (--s->ready == 0) {
        f->view.awake -= s->awake;
        tree_remove(&f->view.shape_keys, &f->tree_nodes, shape_key(j));
        table_remove(&f->shapes, j->shape);
    }
    j->shape = 0;
    /* What was put aside for it is free for those behind. */
    if (reserved)
        queue_wake_all(f);
}

void queue_enter(struct fleet *f, uint32_t row)
{
    const struct job *j = table_row(&f->jobs.view, row);
    tree_put(&f->view.waiting, &f->tree_nodes, (struct tree_key){0, j->place}, row);
    if (j->pause_ms)
        tree_put(&f->view.paused, &f->tree_nodes, due_key(j), row);
    else if (!j->hold)
        join_shape(f, row);
}

static void end_pause(struct fleet *f, uint32_t row)
{
    struct job *j = table_edit(&f->jobs, row);
    tree_remove(&f->view.paused, &f->tree_nodes, due_key(j));
    j->pause_ms = 0;
}

void queue_due(struct fleet *f, uint32_t row)
{
    end_pause(f, row);
    if (!((const struct job *)table_row(&f->jobs.view, row))->hold)
        join_shape(f, row);
}

void queue_leave(struct fleet *f, uint32_t row)
{
    const struct job *j = table_row(&f->jobs.view, row);
    tree_remove(&f->view.waiting, &f->tree_nodes, (struct tree_key){0, j->place});
    if (j->pause_ms)
        end_pause(f, row);
    else if (j->shape)
        leave_shape(f, row);
}

static void wake(struct fleet *f, uint32_t row)
{
    const struct shape *s = table_row(&f->shapes.view, row);
    if (s->ready && !s->awake) {
        ((struct shape *)table_edit(&f->shapes, row))->awake = 1;
        f->view.awake++;
    }
}

int64_t queue_pause_ms(const struct job *j, int64_t first_ms)
{
    int64_t pause = first_ms, lost = j->retries - j->retries_left;
    if (lost == 0 || !j->retries_left)
        return 0;
    for (int64_t i = 1; i < lost && pause < PAUSE_MOST_MS; i++)
        pause *= 2;
    return pause < PAUSE_MOST_MS ? pause : PAUSE_MOST_MS;
}

void queue_hold(struct fleet *f, uint32_t row)
{
    if (((const struct job *)table_row(&f->jobs.view, row))->shape)
        leave_shape(f, row);
}

void queue_release(struct fleet *f, uint32_t row)
{
    if (((const struct job *)table_row(&f->jobs.view, row))->pause_ms)
        return;
    join_shape(f, row);
    /* It may now stand in front of the job that its shape was blocked for. */
    wake(f, ((const struct job *)table_row(&f->jobs.view, row))->shape);
}

void queue_wake_all(struct fleet *f)
{
    for (uint32_t i = 1; i < f->shapes.view.count; i++)
        wake(f, i);
}

void queue_wake_node(struct fleet *f, int64_t node)
{
    const struct node *n = table_row(&f->nodes.view, (uint32_t)node);
    for (uint32_t i = 1; i < f->shapes.view.count; i++) {
        const struct shape *s = table_row(&f->shapes.view, i);
        if (s->gpus <= n->devices && s->cpu_milli <= n->cpu_milli)
            wake(f, i);
    }
}
