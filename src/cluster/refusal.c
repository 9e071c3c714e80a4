/*
 * Why a controller makes no pod for an object of ours: the Job controller says so in events and
 * nowhere else. Asked for now and then while there is no pod.
 */
#include "base/json.h"
#include "base/mem.h"
#include "cluster/internal.h"
#include "kube/job.h"

enum {
    PATIENCE_MS = 2000, /* a controller that is well has made it by then */
    PAUSE_MS = 10000,
    EVENTS_MOST = 50,
};

/* Without what is another one each time: the pod's name. */
static const char *essence(const char *message)
{
    static const char mark[] = " is forbidden: ";
    const char *at = strstr(message, mark);
    return at ? at + strlen(mark) : message;
}

static const char *newest_message(const json_t *list)
{
    const char *found = NULL, *found_at = "";
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(list, "items"), i, item)
    {
        const char *reason = json_string_value(json_object_get(item, "reason"));
        const char *message = json_string_value(json_object_get(item, "message"));
        const char *at = json_string_value(json_object_get(item, "lastTimestamp"));
        if (!reason || !message || strcmp(reason, "FailedCreate") != 0)
            continue;
        if (!found || strcmp(at ? at : "", found_at) >= 0) {
            found = message;
            found_at = at ? at : "";
        }
    }
    return found;
}

static void on_events(void *arg, const struct kube_answer *a)
{
    struct track *t = arg;
    auto_json json_t *list = NULL;
    t->events_call = NULL;
    if (a->err.code || json_parse(a->body, a->len, &list, NULL) < 0)
        return; /* it waits, and nobody knows for what */
    const char *message = newest_message(list);
    if (!message)
        return;
    snprintf(t->refusal, sizeof t->refusal, "%s", essence(message));
    track_look(t, objects_find(t->cluster, t));
}

void refusal_look(struct track *t, int64_t now)
{
    static const struct kube_resource_name events = {"", "v1", "events"};
    const struct kube_head *object = objects_find(t->cluster, t);
    if (!object || t->runner->kind != &kube_jobs || t->pod_count || t->events_call ||
        t->view.state != RUNNER_WAITING || now - t->since_ms < PATIENCE_MS || now < t->events_ms)
        return;
    auto_text struct text target = {0};
    auto_free char *fields = mem_printf("involvedObject.uid=%s,type=Warning", object->uid);
    t->events_ms = now + PAUSE_MS;
    kube_path(&target, &events, object->ns, NULL, NULL);
    kube_query(&target, "fieldSelector", fields);
    kube_query_int(&target, "limit", EVENTS_MOST);
    t->events_call = kube_send(
        t->cluster->client, &(struct kube_request){.target = text_get(&target), .only_once = true},
        on_events, t);
}

void refusal_tell(const struct track *t, struct runner_view *v)
{
    if (v->state != RUNNER_WAITING || t->pod_count || !t->refusal[0])
        return;
    v->is_crowded = strstr(t->refusal, "exceeded quota");
    v->is_hopeless = !v->is_crowded;
    runner_view_say(v, "the cluster makes no pod for it", t->refusal);
}
