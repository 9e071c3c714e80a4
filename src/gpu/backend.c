#include "gpu/backend.h"

#include <string.h>

void gpu_pulse_beat(struct gpu_pulse *pulse, int device, const char *call)
{
    if (!pulse)
        return;
    strncpy(pulse->call, call, sizeof pulse->call - 1);
    atomic_store_explicit(&pulse->device, device, memory_order_relaxed);
    atomic_fetch_add_explicit(&pulse->beat, 1, memory_order_release);
}

const struct gpu_backend *const gpu_backends[] = {&gpu_backend_nvml, &gpu_backend_nvidia_smi, NULL};
