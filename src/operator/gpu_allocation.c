/*
 * GPUAllocation: a GPU that nobody else is given while the object is there. Its job does nothing
 * but hold it, so that quota, account, explanations and loss are those of any job.
 */
#include "core/fleet/where.h"
#include "operator/internal.h"

#include <ctype.h>

enum { HOLD_MEMORY_MIB = 64, GB_MOST = 65536 };

struct allocation {
    const char *workload, *model;
    int64_t memory_gb;
};

static int read_spec(const json_t *spec, struct allocation *ret, struct err *e)
{
#define AT(member) offsetof(struct allocation, member)
    static const struct json_field fields[] = {
        {"workloadType", JSON_FIELD_TEXT, AT(workload), .most = 63},
        {"requiredMemoryGb", JSON_FIELD_INT, AT(memory_gb), .least = 0, .most = GB_MOST},
        {"preferredModel", JSON_FIELD_TEXT, AT(model), .most = FLEET_NAME - 1},
    };
#undef AT
    *ret = (struct allocation){0};
    return spec ? json_read_fields(spec, fields, COUNT_OF(fields), false, ret, e) : 0;
}

/* Memory of GPUs is sold in units of 10^9 bytes: "24 GB" has 23034 MiB, or more. */
static int64_t mib_of_gb(int64_t gb)
{
    return (gb * 1000000000 + (1 << 20) - 1) >> 20;
}

static void add_command(json_t *job, const struct reconciler_config *c)
{
    if (c->hold_image)
        json_object_set_new(job, "command", json_pack("[s,s]", "reeve-agent", "--hold"));
    else
        json_object_set_new(
            job, "command",
            json_pack("[s,s,s]", "sh", "-c", "trap 'exit 143' TERM; sleep infinity & wait"));
    json_object_set_new(job, "image",
                        json_string(c->hold_image ? c->hold_image : c->fallback_image));
}

static int to_job(const struct reconciler_config *c, const char *name, const json_t *spec,
                  json_t **ret, struct err *e)
{
    struct allocation in;
    char model[FLEET_NAME];
    if (read_spec(spec, &in, e) < 0)
        return -1;
    if (!c->hold_image && !c->fallback_image)
        return err_set(e, ERR_INVALID,
                       "no image was named for what holds GPUs (--kube-hold-image)");
    json_t *job = json_pack("{s:i,s:i,s:i}", "gpus", 1, "memory", HOLD_MEMORY_MIB, "retries",
                            JOB_RETRIES_MOST);
    auto_free char *job_name = mem_printf("allocation %.100s", name);
    json_object_set_new(job, "name", json_string(job_name));
    add_command(job, c);
    if (in.memory_gb)
        json_object_set_new(job, "gpu_memory", json_integer(mib_of_gb(in.memory_gb)));
    if (in.workload && *in.workload)
        json_object_set_new(job, "labels", json_pack("{s:s}", "workload-type", in.workload));
    if (in.model && model_word(model, sizeof model, in.model))
        json_object_set_new(job, "node_selector", json_pack("{s:s}", WHERE_PREFERS_MODEL, model));
    *ret = job;
    return 0;
}

static const char *phase(const struct job_look *look, const char *reason)
{
    if (!look)
        return strcmp(reason, "Invalid") == 0 ? "Failed" : "Pending";
    switch (look->state) {
    case JOB_RUNNING:
        return "Allocated";
    case JOB_FAILED:
        return "Failed";
    case JOB_COMPLETED:
    case JOB_CANCELLED:
        return "Released";
    default:
        return "Pending";
    }
}

static void say_fallback(json_t *status, const struct allocation *in, const char *model)
{
    char wanted[FLEET_NAME];
    if (!in->model || !model_word(wanted, sizeof wanted, in->model) || model_is_like(model, wanted))
        return;
    auto_free char *text =
        mem_printf("no GPU like '%s' was free that fits; this one is a %s", in->model,
                   *model ? model : "GPU of a model that nobody tells");
    json_object_set_new(status, "message", json_string(text));
}

static void add_members(json_t *status, const json_t *spec, const struct job_look *look)
{
    struct allocation in;
    if (!look || look->state != JOB_RUNNING || !look->device_count ||
        read_spec(spec, &in, NULL) < 0)
        return;
    auto_free char *place =
        mem_printf("%s/%lld", look->devices[0].node, (long long)look->devices[0].number);
    const char *uuid = look->devices[0].uuid, *model = look->devices[0].model;
    json_object_set_new(status, "allocatedDevice",
                        json_string(look->devices[0].is_counted ? place : uuid));
    json_object_set(status, "allocationTime", json_object_get(status, "startTime"));
    if (*model)
        json_object_set_new(status, "model", json_string(model));
    say_fallback(status, &in, model);
}

static const char *const members[] = {"allocatedDevice", "allocationTime", "model", NULL};

#define IN(state) (1u << JOB_##state)
const struct wish_kind gpu_allocations = {
    .group = "gpu.k8s.io",
    .version = "v1",
    .resource = "gpuallocations",
    .kind = "GPUAllocation",
    .finalizer = "reeve.gpu/gpuallocation",
    .to_job = to_job,
    .phase = phase,
    .add_members = add_members,
    .members = members,
    .conditions = {{"Allocated", IN(RUNNING)},
                   {"Released", IN(COMPLETED) | IN(CANCELLED)},
                   {"Failed", IN(FAILED)}},
};
