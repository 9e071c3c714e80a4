/* NVML: errors as events. A set remembers how far it has looked at the scenario. */
#include "api.h"

#include "base/clock.h"
#include "base/mem.h"

#include <poll.h>

enum { MOST_WAITING = 64, POLL_MS = 20, XID_OFF_THE_BUS = 79 };

struct nvml_event_set {
    int64_t looked_ms;                       /* on the scenario's clock */
    int64_t registered_ms[SIM_MOST_DEVICES]; /* -1: not in the set */
    unsigned count;
    struct nvml_event_data waiting[MOST_WAITING];
};

EXPORT int nvmlEventSetCreate(nvml_event_set *ret)
{
    SYSTEM_CALL();
    INTO(ret);
    *ret = mem_new(struct nvml_event_set);
    for (size_t i = 0; i < SIM_MOST_DEVICES; i++)
        (*ret)->registered_ms[i] = -1;
    (*ret)->looked_ms = world_t_ms(c.w);
    return NVML_SUCCESS;
}

EXPORT int nvmlEventSetFree(nvml_event_set set)
{
    INTO(set);
    free(set);
    return NVML_SUCCESS;
}

EXPORT int nvmlDeviceGetSupportedEventTypes(nvml_device d, nvml_u64 *ret)
{
    DEVICE_CALL(d);
    INTO(ret);
    *ret = c.missing >> SIM_EVENTS & 1 ? 0 : NVML_EVENT_XID;
    return NVML_SUCCESS;
}

EXPORT int nvmlDeviceRegisterEvents(nvml_device d, nvml_u64 types, nvml_event_set set)
{
    DEVICE_CALL(d);
    INTO(set);
    NEEDS(EVENTS);
    if (types & ~(nvml_u64)NVML_EVENT_XID)
        return NVML_NOT_SUPPORTED; /* and none of the bits is registered */
    if (types)
        set->registered_ms[c.index] = world_t_ms(c.w);
    return NVML_SUCCESS;
}

static void add_events(struct nvml_event_set *set, const struct scenario *s, int64_t t_ms)
{
    for (size_t i = 0; i < s->fault_count; i++) {
        const struct sim_fault *f = &s->faults[i];
        if (f->kind != SIM_FAULT_XID && f->kind != SIM_FAULT_LOST)
            continue;
        for (size_t k = 0; k < s->device_count; k++) {
            int64_t since_ms = set->registered_ms[k];
            if (since_ms < 0 || (f->device >= 0 && f->device != (int64_t)k))
                continue;
            if (since_ms < set->looked_ms)
                since_ms = set->looked_ms;
            int64_t n = sim_fault_count(f, since_ms, t_ms);
            while (n-- > 0 && set->count < MOST_WAITING)
                set->waiting[set->count++] = (struct nvml_event_data){
                    .device = api_handle(k),
                    .type = NVML_EVENT_XID,
                    .data = (nvml_u64)(f->kind == SIM_FAULT_XID ? f->code : XID_OFF_THE_BUS),
                    .gpu_instance = NVML_NO_INSTANCE,
                    .compute_instance = NVML_NO_INSTANCE,
                };
        }
    }
    set->looked_ms = t_ms;
}

/* The next event of the set; TIMEOUT: there is none yet. */
static int next_event(struct nvml_event_set *set, struct nvml_event_data *ret)
{
    SYSTEM_CALL();
    add_events(set, world_scenario(c.w), world_t_ms(c.w));
    if (!set->count)
        return NVML_TIMEOUT;
    *ret = set->waiting[0];
    set->count--;
    memmove(set->waiting, set->waiting + 1, set->count * sizeof *set->waiting);
    return NVML_SUCCESS;
}

EXPORT int nvmlEventSetWait_v2(nvml_event_set set, struct nvml_event_data *ret, unsigned timeout_ms)
{
    INTO(set);
    INTO(ret);
    int64_t deadline_ms = clock_mono_ms() + timeout_ms;
    for (;;) {
        int code = next_event(set, ret);
        if (code != NVML_TIMEOUT || clock_mono_ms() >= deadline_ms)
            return code;
        poll(NULL, 0, POLL_MS);
    }
}
