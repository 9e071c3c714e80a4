#include "kube/job.h"

/* ---- batch/v1 Job ---- */

#define J(member) offsetof(struct kube_job, member)
static const struct kube_field job_spec[] = {
    {"suspend", KUBE_BOOL, J(is_suspended)},
    {"parallelism", KUBE_INT, J(parallelism)},
    {"completions", KUBE_INT, J(completions)},
    {0},
};
static const struct kube_field job_status[] = {
    {"active", KUBE_INT, J(active)},
    {"ready", KUBE_INT, J(ready)},
    {"succeeded", KUBE_INT, J(succeeded)},
    {"failed", KUBE_INT, J(failed)},
    {"terminating", KUBE_INT, J(terminating)},
    {"startTime", KUBE_TIME, J(started_ms)},
    {"completionTime", KUBE_TIME, J(completed_ms)},
    {"conditions", KUBE_LIST, J(conditions), .most = 16, .fields = kube_condition_fields,
     .size = sizeof(struct kube_condition)},
    {0},
};
static const struct kube_field job_fields[] = {
    {"spec", KUBE_OBJECT, .fields = job_spec},
    {"status", KUBE_OBJECT, .fields = job_status},
    {0},
};

static const char *const ours[] = {"reeve.gpu/", NULL};

const struct kube_kind kube_jobs = {.at = {"batch", "v1", "jobs"},
                                    .kind = "Job",
                                    .size = sizeof(struct kube_job),
                                    .fields = job_fields,
                                    .labels = ours,
                                    .annotations = ours};

const struct kube_condition *kube_job_end(const struct kube_job *j)
{
    for (const struct kube_condition *c = j->conditions; c; c = c->next)
        if (strcmp(c->status, "True") == 0 &&
            (strcmp(c->type, "Complete") == 0 || strcmp(c->type, "Failed") == 0))
            return c;
    return NULL;
}

/* ---- argoproj.io Workflow ---- */

struct step {
    struct kube_workflow_step kept; /* first, as what leads to it is a pointer to it */
    const char *type;
};

#define S(member) offsetof(struct step, kept.member)
static const struct kube_field outputs_fields[] = {
    {"exitCode", KUBE_TEXT, S(exit_code), .most = 16},
    {0},
};
static const struct kube_field step_fields[] = {
    {"type", KUBE_TEXT, offsetof(struct step, type), .most = 32},
    {"id", KUBE_TEXT, S(id)},
    {"displayName", KUBE_TEXT, S(name)},
    {"templateName", KUBE_TEXT, S(template)},
    {"phase", KUBE_TEXT, S(phase), .most = 32},
    {"message", KUBE_TEXT, S(message), .most = 256},
    {"hostNodeName", KUBE_TEXT, S(host)},
    {"progress", KUBE_TEXT, S(progress), .most = 32},
    {"startedAt", KUBE_TIME, S(started_ms)},
    {"finishedAt", KUBE_TIME, S(finished_ms)},
    {"outputs", KUBE_OBJECT, .fields = outputs_fields},
    {0},
};

/* An object by id. What groups others is passed over, but it has been read into the record by then,
 * so the limit is on what is looked at. */
static void read_steps(struct kube_build *b, struct json_scan *s, void *into)
{
    struct kube_workflow *w = into;
    struct json_part part;
    void *slot = &w->steps;
    size_t looked_at = 0;
    w->steps = NULL;
    if (json_scan_next(s) != JSON_PART_OBJECT) {
        json_scan_pass(s, &part);
        return;
    }
    for (json_scan_object(s); json_scan_member(s, &part);) {
        struct step *step = looked_at++ < 128 ? kube_build_more(b, sizeof *step) : NULL;
        if (!step) {
            json_scan_pass(s, &part);
            continue;
        }
        kube_build_empty_texts(step_fields, step);
        kube_build_read(b, s, step_fields, step);
        if (strcmp(step->type, "Pod") != 0 && strcmp(step->type, "Container") != 0)
            continue;
        kube_build_link(b, slot, &step->kept);
        slot = &step->kept;
    }
}

static void note_packed(struct kube_build *b, struct json_scan *s, void *into)
{
    struct json_part part;
    (void)b;
    json_scan_pass(s, &part);
    if (part.kind == JSON_PART_TEXT && part.len)
        *(bool *)into = true;
}

#define W(member) offsetof(struct kube_workflow, member)
static const struct kube_field workflow_spec[] = {
    {"shutdown", KUBE_TEXT, W(shutdown), .most = 32},
    {"suspend", KUBE_BOOL, W(is_suspended)},
    {0},
};
static const struct kube_field workflow_status[] = {
    {"phase", KUBE_TEXT, W(phase), .most = 32},
    {"message", KUBE_TEXT, W(message), .most = 1024},
    {"progress", KUBE_TEXT, W(progress), .most = 32},
    {"startedAt", KUBE_TIME, W(started_ms)},
    {"finishedAt", KUBE_TIME, W(finished_ms)},
    {"nodes", KUBE_CALL, .call = read_steps},
    {"compressedNodes", KUBE_CALL, W(is_packed), .call = note_packed},
    {"offloadNodeStatusVersion", KUBE_CALL, W(is_packed), .call = note_packed},
    {0},
};
static const struct kube_field workflow_fields[] = {
    {"spec", KUBE_OBJECT, .fields = workflow_spec},
    {"status", KUBE_OBJECT, .fields = workflow_status},
    {0},
};

const struct kube_kind kube_workflows = {.at = {"argoproj.io", "v1alpha1", "workflows"},
                                         .kind = "Workflow",
                                         .size = sizeof(struct kube_workflow),
                                         .fields = workflow_fields,
                                         .labels = ours,
                                         .annotations = ours};

bool kube_workflow_is_over(const struct kube_workflow *w)
{
    return strcmp(w->phase, "Succeeded") == 0 || strcmp(w->phase, "Failed") == 0 ||
           strcmp(w->phase, "Error") == 0;
}
