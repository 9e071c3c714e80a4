/* Processes on machines with an agent: the lines of docs/agent-protocol.md. */
#include "base/json_out.h"
#include "runner/runner.h"

#include <string.h>

static void begin(struct json_out *o, const char *type, const struct fleet_view *v,
                  const struct attempt *a)
{
    char id[ATTEMPT_ID_SIZE];
    attempt_id(id, v->incarnation, a->job, a->n);
    jo_object(o, NULL);
    jo_text(o, "type", type);
    jo_int(o, "epoch", v->epoch);
    jo_text(o, "attempt", id);
    jo_int(o, "job", a->job);
    jo_int(o, "n", a->n);
}

static void start(const struct runner_start *s, struct text *out)
{
    const struct fleet_view *v = s->view;
    struct json_out o = {.text = out};
    char name[ATTEMPT_NAME_SIZE];
    attempt_name(name, v->site, s->attempt->job, s->attempt->n);
    begin(&o, "start", v, s->attempt);
    jo_text(&o, "boot_id", s->attempt->boot_id);
    jo_text(&o, "data_id", s->attempt->data_id);
    jo_text(&o, "name", name);
    jo_text(&o, "user", fleet_principal(v, s->job->principal)->name);
    jo_list(&o, "devices");
    for (uint32_t p = s->attempt->first_part; p != NO_ROW; p = fleet_part_at(v, p)->next)
        jo_text(&o, NULL, fleet_device(v, fleet_part_at(v, p)->device)->uuid);
    jo_end(&o);
    jo_int(&o, "gpu_memory_mib", s->job->gpu_memory_mib);
    jo_int(&o, "cpu_milli", s->job->cpu_milli);
    jo_int(&o, "memory_mib", s->job->memory_mib);
    jo_int(&o, "time_limit_ms", (int64_t)s->job->time_limit_s * 1000);
    jo_text(&o, "job_name", s->name);
    jo_raw(&o, "spec", s->spec, strlen(s->spec));
    jo_end(&o);
}

static void cancel(const struct fleet_view *v, const struct job *j, const struct attempt *a,
                   struct text *out)
{
    struct json_out o = {.text = out};
    begin(&o, "cancel", v, a);
    jo_text(&o, "user", fleet_principal(v, j->principal)->name);
    jo_end(&o);
}

const struct runner runner_agent = {.name = "agent", .start = start, .cancel = cancel};
