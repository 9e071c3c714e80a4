#include "agent/gate.h"

#include <stdio.h>
#include <string.h>

/* How far below a limit is clearly below. */
#define MARGIN_PCT 5
#define MARGIN_MIB 256
#define CALM_LOOKS 3

/* READING is in SCALE parts of a percent. All of something is no limit. */
static bool is_over(int64_t reading, int64_t limit_pct, int64_t scale)
{
    return reading != GATE_UNKNOWN && limit_pct < 100 && reading >= limit_pct * scale;
}

bool gate_device_is_free(const struct gate_limits *l, const struct gate_device *d, int64_t need_mib,
                         char why[GATE_WHY_SIZE])
{
    if (need_mib > 0 && d->free_mib != GATE_UNKNOWN && d->free_mib < need_mib) {
        snprintf(why, GATE_WHY_SIZE, "%lld MiB free, %lld needed", (long long)d->free_mib,
                 (long long)need_mib);
        return false;
    }
    if (l->off)
        return true;
    if (d->free_mib == GATE_UNKNOWN) {
        snprintf(why, GATE_WHY_SIZE, "its free memory is not known");
        return false;
    }
    if (d->free_mib <= l->free_mib) {
        snprintf(why, GATE_WHY_SIZE, "%lld MiB free, must be more than %lld",
                 (long long)d->free_mib, (long long)l->free_mib);
        return false;
    }
    if (is_over(d->gpu_pct, l->gpu_pct, 1)) {
        snprintf(why, GATE_WHY_SIZE, "utilisation %lld %%, must be less than %lld",
                 (long long)d->gpu_pct, (long long)l->gpu_pct);
        return false;
    }
    return true;
}

bool gate_host_is_free(const struct gate_limits *l, const struct gate_host *h,
                       char why[GATE_WHY_SIZE])
{
    if (l->off)
        return true;
    if (is_over(h->cpu_milli_pct, l->cpu_pct, 1000)) {
        snprintf(why, GATE_WHY_SIZE, "others use %lld %% of the processors, must be less than %lld",
                 (long long)h->cpu_milli_pct / 1000, (long long)l->cpu_pct);
        return false;
    }
    if (is_over(h->memory_milli_pct, l->memory_pct, 1000)) {
        snprintf(why, GATE_WHY_SIZE, "others use %lld %% of the memory, must be less than %lld",
                 (long long)h->memory_milli_pct / 1000, (long long)l->memory_pct);
        return false;
    }
    return true;
}

static bool update(struct gate_busy *b, bool is_free, bool is_clear, const char *why)
{
    bool before = b->busy;
    if (!is_free) {
        b->busy = true;
        b->calm = 0;
        memcpy(b->why, why, sizeof b->why);
    } else if (b->busy && (is_clear || ++b->calm >= CALM_LOOKS)) {
        b->busy = false;
    }
    if (!b->busy)
        b->why[0] = '\0';
    return b->busy != before;
}

bool gate_busy_device(struct gate_busy *b, const struct gate_limits *l, const struct gate_device *d)
{
    char why[GATE_WHY_SIZE] = "";
    struct gate_limits clear = *l;
    clear.free_mib += MARGIN_MIB;
    clear.gpu_pct -= MARGIN_PCT;
    bool is_clear = gate_device_is_free(&clear, d, 0, why);
    return update(b, is_clear || gate_device_is_free(l, d, 0, why), is_clear, why);
}

bool gate_busy_host(struct gate_busy *b, const struct gate_limits *l, const struct gate_host *h)
{
    char why[GATE_WHY_SIZE] = "";
    struct gate_limits clear = *l;
    clear.cpu_pct -= MARGIN_PCT;
    clear.memory_pct -= MARGIN_PCT;
    bool is_clear = gate_host_is_free(&clear, h, why);
    return update(b, is_clear || gate_host_is_free(l, h, why), is_clear, why);
}
