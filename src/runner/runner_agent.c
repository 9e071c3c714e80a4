/* Processes on machines with an agent: the lines of docs/agent-protocol.md. A cluster gets the same
 * start, with what makes an object of it besides (engine/engine.h). */
#include "base/json_out.h"
#include "runner/runner.h"

#include <string.h>

static void begin(struct json_out *o, const char *type, const struct runner_attempt *a)
{
    jo_object(o, NULL);
    jo_text(o, "type", type);
    jo_int(o, "epoch", a->epoch);
    jo_text(o, "attempt", a->id);
    jo_int(o, "job", a->job);
    jo_int(o, "n", a->n);
    jo_text(o, "user", a->user);
}

static void start(const struct runner_attempt *a, struct text *out)
{
    struct json_out o = {.text = out};
    begin(&o, "start", a);
    jo_text(&o, "boot_id", a->boot_id);
    jo_text(&o, "data_id", a->data_id);
    jo_text(&o, "name", a->name);
    jo_list(&o, "devices");
    for (size_t i = 0; i < a->device_count; i++)
        jo_text(&o, NULL, a->devices[i]);
    jo_end(&o);
    jo_int(&o, "gpu_memory_mib", a->gpu_memory_mib);
    jo_int(&o, "cpu_milli", a->cpu_milli);
    jo_int(&o, "memory_mib", a->memory_mib);
    jo_int(&o, "time_limit_ms", a->time_limit_ms);
    if (a->node) {
        jo_text(&o, "node", a->node);
        jo_bool(&o, "memory_default", a->memory_is_default);
        jo_text(&o, "selector", a->selector);
        jo_text(&o, "tolerations", a->tolerations);
    }
    jo_text(&o, "job_name", a->job_name);
    jo_raw(&o, "spec", a->spec, strlen(a->spec));
    jo_end(&o);
}

static void cancel(const struct runner_attempt *a, struct text *out)
{
    struct json_out o = {.text = out};
    begin(&o, "cancel", a);
    jo_end(&o);
}

const struct runner runner_agent = {.name = "agent", .start = start, .cancel = cancel};
