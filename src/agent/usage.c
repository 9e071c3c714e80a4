/* What attempts of ours use of this machine, so that the gate can leave it out. */
#include "agent/agent.h"
#include "base/mem.h"

#include <string.h>

/* Where there are no control groups one look at all processes serves every attempt. */
struct look {
    struct process_list all;
    bool is_taken;
};

static void read_one(struct attempt *a, struct look *look)
{
    struct attempt_usage u = {-1, -1};
    if (!a->has_status) {
        if (attempt_state(a->folder, &a->status, NULL) < 0)
            return;
        a->has_status = true;
    }
    attempt_usage_read(&a->status, a->name, NULL, &u);
    if (u.cpu_us < 0 || u.memory_bytes < 0) {
        if (!look->is_taken)
            process_scan(&look->all);
        look->is_taken = true;
        attempt_usage_read(&a->status, a->name, &look->all, &u);
    }
    if (u.cpu_us > a->cpu_us)
        a->cpu_us = u.cpu_us;
    a->memory_bytes = u.memory_bytes > 0 ? u.memory_bytes : 0;
}

void usage_read(struct agent *agent, int64_t *ret_cpu_us, int64_t *ret_memory_bytes)
{
    int64_t cpu_us = agent->ended_cpu_us, memory = 0;
    struct look look = {0};
    for (struct attempt *a = agent->attempts; a; a = a->next) {
        if (a->phase != PHASE_RUNNING)
            continue;
        read_one(a, &look);
        cpu_us += a->cpu_us;
        memory += a->memory_bytes;
    }
    process_list_done(&look.all);
    *ret_cpu_us = cpu_us;
    *ret_memory_bytes = memory;
}

void usage_keep(struct attempt *a, int64_t total_cpu_us)
{
    a->agent->ended_cpu_us += total_cpu_us > a->cpu_us ? total_cpu_us : a->cpu_us;
    a->cpu_us = a->memory_bytes = 0;
}
