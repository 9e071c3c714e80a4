#include "kube/event.h"

#include "base/digest.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "kube/timestamp.h"

enum { MOST_NOTE = 1024, MOST_NAME = 230 };

/* As much of S as fits in MOST bytes, not cutting a character. */
static size_t fitting(const char *s, size_t most)
{
    size_t len = strlen(s);
    if (len <= most)
        return len;
    while (most && ((unsigned char)s[most] & 0xc0) == 0x80)
        most--;
    return most;
}

static void write_event(struct json_out *o, const struct kube_event *ev)
{
    char time[KUBE_TIME_SIZE], name[MOST_NAME + 32];
    snprintf(name, sizeof name, "%.*s.%016llx", MOST_NAME, ev->name,
             (unsigned long long)random_u64());
    jo_object(o, NULL);
    jo_text(o, "apiVersion", "events.k8s.io/v1");
    jo_text(o, "kind", "Event");
    jo_object(o, "metadata");
    jo_text(o, "name", name);
    jo_text(o, "namespace", ev->ns ? ev->ns : "default");
    jo_end(o);
    jo_text(o, "eventTime", kube_time_format(ev->now_ms, time));
    jo_text(o, "reportingController", ev->controller);
    jo_text(o, "reportingInstance", ev->instance);
    jo_text(o, "type", ev->is_warning ? "Warning" : "Normal");
    jo_text(o, "reason", ev->reason);
    jo_text(o, "action", ev->action);
    jo_bytes(o, "note", ev->note, fitting(ev->note, MOST_NOTE));
    jo_object(o, "regarding");
    jo_text(o, "apiVersion", ev->api_version);
    jo_text(o, "kind", ev->kind);
    if (ev->ns)
        jo_text(o, "namespace", ev->ns);
    jo_text(o, "name", ev->name);
    jo_text(o, "uid", ev->uid);
    jo_end(o);
    jo_end(o);
}

void kube_event_send(struct kube_client *c, const struct kube_event *ev, kube_done *on_done,
                     void *arg)
{
    auto_text struct text target = {0}, body = {0};
    struct json_out o = {.text = &body};
    kube_path(&target, &(struct kube_resource_name){"events.k8s.io", "v1", "events"},
              ev->ns ? ev->ns : "default", NULL, NULL);
    write_event(&o, ev);
    kube_send(c,
              &(struct kube_request){.method = HTTP_POST,
                                     .target = text_get(&target),
                                     .body = body.data,
                                     .len = body.len,
                                     .deadline_ms = 10000},
              on_done, arg);
}
