#include "agent/devices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB          ((int64_t)1 << 20)
#define TELL_MIB     256 /* free memory is told again when it moved by more */
/* Utilisation is a mean over up to a second, so right after a job of ours it still shows that job.
 */
#define AFTERGLOW_MS 1200

const char *device_health_word(enum gpu_health health)
{
    switch (health) {
    case GPU_OK:
        return "ok";
    case GPU_FAILED:
    case GPU_HUNG:
        return "faulty";
    case GPU_LOST:
        return "gone";
    case GPU_UNKNOWN:
    case GPU_HEALTH_COUNT:
        break;
    }
    return "unknown";
}

struct device_view *devices_find(struct devices *d, const char *uuid)
{
    for (size_t i = 0; i < d->count; i++)
        if (strcmp(d->items[i].uuid, uuid) == 0)
            return &d->items[i];
    return NULL;
}

/* What processes on the device add up to, by owner. */
struct tally {
    int64_t ours_bytes, other_util_pct;
    uint32_t others, strangers;
    char holder[DEVICE_HOLDER_SIZE]; /* of one of the others */
};

/* BY_POD: whose pod holds the device. Where it is ours, a process that we cannot look at (it lives
 * in another pid namespace) is that pod's. */
static struct tally count_processes(const struct gpu_sample *s, const struct devices_context *c,
                                    enum owner by_pod)
{
    struct tally t = {0};
    for (uint32_t i = 0; i < s->process_count; i++) {
        const struct gpu_process *p = &s->processes[i];
        char words[DEVICE_HOLDER_SIZE] = "";
        enum owner owner = c->owner_of(c->arg, p->pid, words);
        if (owner == OWNER_UNKNOWN && by_pod == OWNER_OURS)
            owner = OWNER_OURS;
        switch (owner) {
        case OWNER_OURS:
            if (p->used_bytes != GPU_NO_READING)
                t.ours_bytes += p->used_bytes;
            continue;
        case OWNER_OTHER:
            t.others++;
            if (words[0])
                memcpy(t.holder, words, sizeof t.holder);
            break;
        case OWNER_UNKNOWN:
            t.strangers++;
            break;
        }
        if (p->sm_util_pct != GPU_NO_READING)
            t.other_util_pct += p->sm_util_pct;
    }
    return t;
}

static int64_t free_bytes(const struct gpu_sample *s)
{
    if (s->memory_free_bytes != GPU_NO_READING)
        return s->memory_free_bytes;
    if (s->memory_total_bytes == GPU_NO_READING || s->memory_used_bytes == GPU_NO_READING)
        return GPU_NO_READING;
    int64_t reserved = s->memory_reserved_bytes == GPU_NO_READING ? 0 : s->memory_reserved_bytes;
    return s->memory_total_bytes - s->memory_used_bytes - reserved;
}

static void read_use(struct device_view *v, const struct gpu_sample *s,
                     const struct devices_context *c, enum owner by_pod)
{
    struct tally t = count_processes(s, c, by_pod);
    int64_t bytes = free_bytes(s);
    v->use.free_mib = GATE_UNKNOWN;
    if (bytes != GPU_NO_READING)
        v->use.free_mib = (bytes + t.ours_bytes) / MIB;

    bool afterglow = v->ours_until_ms && s->boot_ms - v->ours_until_ms < AFTERGLOW_MS;
    v->use.gpu_pct = s->utilization_pct == GPU_NO_READING ? GATE_UNKNOWN : s->utilization_pct;
    if (v->is_ours || afterglow)
        v->use.gpu_pct = t.other_util_pct;

    /* A process that /proc does not know is just gone, unless it is there in the next look, too:
     * then it lives in a pid namespace that we do not see, and is not ours. */
    v->foreign = by_pod == OWNER_OTHER || t.others > 0 || (t.strangers > 0 && v->strangers > 0);
    if (!v->holder[0])
        memcpy(v->holder, t.holder, sizeof v->holder);
    v->strangers = t.strangers;
}

static void set_identity(struct device_view *v, const struct gpu_info *info)
{
    snprintf(v->uuid, sizeof v->uuid, "%s", info->uuid);
    snprintf(v->model, sizeof v->model, "%s", info->name);
    snprintf(v->vendor, sizeof v->vendor, "%s", info->vendor);
    v->index = info->index;
    if (info->memory_total_bytes != GPU_NO_READING)
        v->memory_mib = info->memory_total_bytes / MIB;
}

static void explain(struct device_view *v, const struct gpu_device *d)
{
    if (v->health != GPU_OK)
        snprintf(v->why, sizeof v->why, "%.127s", d->reason);
    else
        snprintf(v->why, sizeof v->why, "%s", v->holder[0] ? v->holder : v->busy.why);
}

static void note_changes(struct device_view *v)
{
    const struct device_told *was = &v->told;
    bool moved = !v->is_ours && llabs(v->use.free_mib - was->free_mib) > TELL_MIB;
    if (moved || v->busy.busy != was->busy || v->foreign != was->foreign ||
        v->health != was->health || strcmp(v->holder, was->holder) != 0)
        v->tell = true;
}

bool devices_update(struct devices *d, const struct gpu_report *report,
                    const struct devices_context *context)
{
    bool any = false;
    for (uint32_t i = 0; i < report->device_count; i++) {
        const struct gpu_device *dev = &report->devices[i];
        if (!dev->info.uuid[0])
            continue; /* nothing could be learned about it yet, not even its name */
        struct device_view *v = devices_find(d, dev->info.uuid);
        if (!v) {
            if (d->count == GPU_MAX_DEVICES)
                continue;
            v = &d->items[d->count++];
            *v = (struct device_view){.use = {GATE_UNKNOWN, GATE_UNKNOWN}};
            d->is_new_set = true;
        }
        set_identity(v, &dev->info);
        v->holder[0] = '\0';
        enum owner by_pod =
            context->pod_on ? context->pod_on(context->arg, v->uuid, v->holder) : OWNER_UNKNOWN;
        v->is_ours = by_pod == OWNER_OURS || context->is_held(context->arg, v->uuid);
        v->health = dev->health;
        v->boot_ms = report->boot_ms;
        if (dev->health == GPU_OK || dev->health == GPU_FAILED) {
            read_use(v, &dev->sample, context, by_pod);
            gate_busy_device(&v->busy, context->limits, &v->use);
        }
        explain(v, dev);
        note_changes(v);
        any |= v->tell;
    }
    d->is_known = true;
    return any || d->is_new_set;
}

void devices_hold(struct devices *d, const char *uuid, bool is_held, int64_t now_ms)
{
    struct device_view *v = devices_find(d, uuid);
    if (!v)
        return;
    v->is_ours = is_held;
    if (!is_held)
        v->ours_until_ms = now_ms;
}

bool device_may_start(const struct device_view *v, const struct gate_limits *limits,
                      int64_t need_mib, char why[GATE_WHY_SIZE])
{
    if (v->health != GPU_OK) {
        snprintf(why, GATE_WHY_SIZE, "it is %s: %.100s", gpu_health_name(v->health), v->why);
        return false;
    }
    return gate_device_is_free(limits, &v->use, need_mib, why);
}

void device_told(struct device_view *v)
{
    v->tell = false;
    v->told =
        (struct device_told){v->use.free_mib, v->health, v->busy.busy, v->foreign, v->is_ours, ""};
    memcpy(v->told.holder, v->holder, sizeof v->told.holder);
}
