/* TrainingJob: what POST /api/v1/jobs takes, spelled as Kubernetes does. */
#include "operator/internal.h"

/* The members of an object by their other spelling; their values as they are. */
static json_t *respell(const json_t *object)
{
    json_t *ret = json_object();
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        auto_free char *name = snake_of(key);
        json_object_set(ret, name, value);
    }
    return ret;
}

static json_t *respell_each(const json_t *list)
{
    json_t *ret = json_array();
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)list, i, item)
    {
        if (json_is_object(item))
            json_array_append_new(ret, respell(item));
        else
            json_array_append(ret, item);
    }
    return ret;
}

/* The sentences of the API name its own fields. */
static int to_job(const struct reconciler_config *c, const char *name, const json_t *spec,
                  json_t **ret, struct err *e)
{
    (void)c;
    if (!json_is_object(spec))
        return err_set(e, ERR_INVALID, "it has no spec, or one of more than 64 KiB");
    json_t *job = respell(spec);
    json_t *template = json_object_get(job, "template"), *mounts = json_object_get(job, "mounts");
    if (json_is_object(template))
        json_object_set_new(job, "template", respell(template));
    if (json_is_array(mounts))
        json_object_set_new(job, "mounts", respell_each(mounts));
    if (!json_object_get(job, "name") && strlen(name) <= JOB_NAME_MOST)
        json_object_set_new(job, "name", json_string(name));
    *ret = job;
    return 0;
}

static const char *phase(const struct job_look *look, const char *reason)
{
    if (look)
        return job_state_name(look->state);
    return strcmp(reason, "Invalid") == 0 ? "Invalid" : "Pending";
}

static void add_members(json_t *status, const json_t *spec, const struct job_look *look)
{
    (void)spec;
    if (!look || !look->device_count)
        return;
    json_t *list = json_array();
    for (size_t i = 0; i < look->device_count; i++)
        json_array_append_new(list,
                              json_pack("{s:s,s:I,s:s,s:s}", "node", look->devices[i].node, "index",
                                        (json_int_t)look->devices[i].number, "uuid",
                                        look->devices[i].uuid, "model", look->devices[i].model));
    json_object_set_new(status, "devices", list);
}

static const char *const members[] = {"devices", NULL};

#define IN(state) (1u << JOB_##state)
const struct wish_kind training_jobs = {
    .group = "reeve.gpu",
    .version = "v1alpha1",
    .resource = "trainingjobs",
    .kind = "TrainingJob",
    .finalizer = "reeve.gpu/trainingjob",
    .to_job = to_job,
    .phase = phase,
    .add_members = add_members,
    .members = members,
    .conditions = {{"Running", IN(RUNNING)},
                   {"Complete", IN(COMPLETED)},
                   {"Failed", IN(FAILED) | IN(CANCELLED)}},
};
