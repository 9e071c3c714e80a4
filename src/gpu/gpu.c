#include "gpu/gpu.h"

#include "base/text.h"

#include <string.h>

/* clang-format off */
const struct gpu_reading gpu_readings[GPU_READING_COUNT] = {
#define X(member, unit, help) {#member, unit, help},
    GPU_READINGS(X)
#undef X
};
/* clang-format on */

/* The readings are walked as an array: the members must lie as one. */
#define X(member, unit, help)                                                                      \
    _Static_assert(offsetof(struct gpu_sample, member) ==                                          \
                       offsetof(struct gpu_sample, readings) +                                     \
                           GPU_READING_##member * sizeof(int64_t),                                 \
                   "readings form an array");
GPU_READINGS(X)
#undef X

void gpu_sample_clear(struct gpu_sample *s)
{
    memset(s, 0, sizeof *s);
    for (int i = 0; i < GPU_READING_COUNT; i++)
        s->readings[i] = GPU_NO_READING;
}

void gpu_info_clear(struct gpu_info *info)
{
    memset(info, 0, sizeof *info);
    int64_t *const numbers[] = {
        &info->compute_major,
        &info->compute_minor,
        &info->minor_number,
        &info->numa_node,
        &info->cores,
        &info->memory_total_bytes,
        &info->power_min_mw,
        &info->power_max_mw,
        &info->power_default_mw,
        &info->mig_mode,
        &info->pcie_max_generation,
        &info->pcie_max_width,
        &info->ecc_mode,
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        *numbers[i] = GPU_NO_READING;
}

void gpu_clean_text(char *s, size_t room)
{
    s[room - 1] = '\0';
    for (size_t left = strlen(s); left;) {
        size_t len = 1;
        while (len < 4 && len < left && ((unsigned char)s[len] & 0xc0) == 0x80)
            len++;
        bool good = text_is_utf8(s, len);
        if (!good || (unsigned char)*s < ' ' || *s == 0x7f) {
            *s = '?';
            len = 1;
        }
        s += len;
        left -= len;
    }
}

void gpu_copy_text(char *to, size_t room, const char *from)
{
    size_t len = strnlen(from, room - 1);
    memmove(to, from, len);
    to[len] = '\0';
    gpu_clean_text(to, room);
}

const char *gpu_health_name(enum gpu_health health)
{
    static const char *const names[GPU_HEALTH_COUNT] = {
        [GPU_OK] = "ok",     [GPU_FAILED] = "failed",   [GPU_LOST] = "lost",
        [GPU_HUNG] = "hung", [GPU_UNKNOWN] = "unknown",
    };
    return health < GPU_HEALTH_COUNT ? names[health] : "unknown";
}
