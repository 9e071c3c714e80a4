/* What is known of a job, wherever it is now. */
#include "core/explain/explain.h"
#include "operator/internal.h"

struct job_look *job_look_new(void)
{
    return mem_new(struct job_look);
}

void job_look_free(struct job_look *l)
{
    if (!l)
        return;
    text_done(&l->message);
    free(l);
}

static void add_device(const struct fleet_view *v, const struct device *d, struct job_look *ret)
{
    if (!d || ret->device_count == JOB_GPUS_MOST)
        return;
    const struct node *n = fleet_node(v, d->node);
    __typeof__(ret->devices[0]) *to = &ret->devices[ret->device_count++];
    snprintf(to->uuid, sizeof to->uuid, "%s", d->uuid);
    snprintf(to->model, sizeof to->model, "%s", d->model);
    snprintf(to->node, sizeof to->node, "%s", n ? n->name : "");
    to->number = d->number;
    to->is_counted = device_is_counted(d);
}

static void set_node(const struct fleet_view *v, int64_t id, struct job_look *ret)
{
    const struct node *n = id ? fleet_node(v, id) : NULL;
    snprintf(ret->node, sizeof ret->node, "%s", n ? n->name : "");
}

static void look_at_attempt(const struct fleet_view *v, const struct attempt *a,
                            struct job_look *ret)
{
    set_node(v, a->node, ret);
    for (uint32_t p = a->first_part; p != NO_ROW; p = fleet_part_at(v, p)->next)
        add_device(v, fleet_device(v, fleet_part_at(v, p)->device), ret);
    if (a->cancel_ms) {
        snprintf(ret->reason, sizeof ret->reason, "cancelling");
        text_add(&ret->message, "it is being ended");
    } else if (a->why[0] && ret->state == JOB_SCHEDULED) {
        snprintf(ret->reason, sizeof ret->reason, "starting");
        text_add(&ret->message, a->why);
    }
}

enum job_sight job_look_open(const struct fleet_view *v, int64_t id, struct job_look *ret)
{
    static const struct explain_reader reader = {.language = LANGUAGE_EN};
    const struct job *j = fleet_job(v, id);
    if (!j)
        return id < v->next_job ? JOB_ENDED : JOB_NOT_YET;
    const struct attempt *a = fleet_job_attempt(v, j);
    ret->id = id;
    ret->principal = j->principal;
    ret->attempts = j->attempts;
    ret->state = (enum job_state)j->state;
    ret->started_ms = j->state == JOB_RUNNING ? j->started_ms : 0;
    if (ret->state == JOB_QUEUED) {
        ret->position = fleet_position(v, j);
        const char *word = explain_wait(v, j, &reader, &ret->message);
        snprintf(ret->reason, sizeof ret->reason, "%s", word);
    }
    if (a)
        look_at_attempt(v, a, ret);
    return JOB_OPEN;
}

void job_look_ended(const struct fleet_view *v, const struct job_history_row *h,
                    struct job_look *ret)
{
    ret->id = h->id;
    ret->principal = h->principal;
    ret->attempts = h->attempts;
    ret->state = (enum job_state)h->state;
    ret->started_ms = h->started_ms;
    ret->ended_ms = h->ended_ms;
    ret->has_ended = true;
    ret->has_exit_code = h->reason == OUTCOME_COMPLETED || h->reason == OUTCOME_FAILED;
    ret->exit_code = h->exit_code;
    snprintf(ret->reason, sizeof ret->reason, "%s", outcome_name((enum attempt_outcome)h->reason));
    text_add(&ret->message, h->reason_text ? h->reason_text : "");
    set_node(v, h->node, ret);
    for (const char *at = h->devices; at && *at;) {
        char *end;
        int64_t id = strtoll(at, &end, 10);
        if (id > 0 && id <= v->device_count)
            add_device(v, fleet_device(v, id), ret);
        at = end + (*end == ',');
        if (end == at)
            break;
    }
}
