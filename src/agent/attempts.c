/* The list of attempts. There are as many as this machine runs at once, and a few that wait to be
 * acknowledged: it is walked. */
#include "agent/after.h"
#include "agent/agent.h"
#include "base/mem.h"

#include <string.h>

struct attempt *attempt_find(struct agent *agent, const char *id)
{
    for (struct attempt *a = agent->attempts; a; a = a->next)
        if (strcmp(a->id, id) == 0)
            return a;
    return NULL;
}

struct attempt *attempt_add(struct agent *agent, const char *id, int64_t job, int64_t n,
                            const char *name)
{
    struct attempt *a = mem_new(struct attempt);
    a->agent = agent;
    memcpy(a->id, id, sizeof a->id - 1);
    a->job = job;
    a->n = n;
    a->name = name ? mem_strdup(name) : NULL;
    a->devices = mem_new_array(char *, 1);
    a->shim = SHIM_PROCESS_NONE;
    a->log.watch = -1;
    a->outcome = "";

    struct attempt **last = &agent->attempts;
    while (*last)
        last = &(*last)->next;
    *last = a;
    return a;
}

void attempt_drop(struct attempt *a)
{
    struct attempt **at = &a->agent->attempts;
    while (*at != a)
        at = &(*at)->next;
    *at = a->next;

    log_push_end(a);
    start_free(a->start);
    if (a->last_look)
        a->last_look->attempt = NULL;
    after_cancel(a->last_look_timer);
    after_cancel(a->clean_timer);
    watch_fd_stop(a->shim_watch);
    watch_fd_stop(a->news_watch);
    shim_process_done(&a->shim);
    if (a->has_status)
        attempt_status_done(&a->status);
    for (char **d = a->devices; *d; d++)
        free(*d);
    free(a->devices);
    free(a->meters);
    attempt_results_done(&a->results);
    free(a->name);
    free(a->folder);
    free(a);
}

struct attempt *attempt_holding(struct agent *agent, const char *uuid)
{
    for (struct attempt *a = agent->attempts; a; a = a->next)
        for (char **d = a->devices; attempt_is_live(a) && *d; d++)
            if (strcmp(*d, uuid) == 0)
                return a;
    return NULL;
}

struct attempt *attempt_of_shim(struct agent *agent, pid_t pid)
{
    for (struct attempt *a = agent->attempts; a; a = a->next)
        if (attempt_is_live(a) && a->shim.pid == pid)
            return a;
    return NULL;
}

void attempt_set_devices(struct attempt *a, const char *const *uuids, size_t count)
{
    a->devices = mem_resize_array(a->devices, count + 1);
    a->meters = mem_resize_array(a->meters, count);
    a->meter_count = count;
    for (size_t i = 0; i < count; i++) {
        a->devices[i] = mem_strdup(uuids[i]);
        energy_meter_init(&a->meters[i], uuids[i]);
    }
    a->devices[count] = NULL;
}

void attempt_set_device_text(struct attempt *a, const char *devices)
{
    auto_free char *copy = mem_strdup(devices ? devices : "");
    const char *uuids[GPU_MAX_DEVICES];
    size_t count = 0;
    for (char *save = NULL, *d = strtok_r(copy, ",", &save); d && count < GPU_MAX_DEVICES;
         d = strtok_r(NULL, ",", &save))
        uuids[count++] = d;
    attempt_set_devices(a, uuids, count);
}
