#include "base/clock.h"
#include "cluster/internal.h"
#include "kube/event.h"

#include <stdarg.h>

void remark(struct track *t, bool is_warning, const char *reason, const char *fmt, ...)
{
    struct cluster *c = t->cluster;
    const struct kube_head *object = objects_find(c, t);
    char note[512], version[128];
    va_list args;
    if (!object || !t->runner || c->stopping)
        return;
    const struct kube_kind *kind = t->runner->kind;
    va_start(args, fmt);
    vsnprintf(note, sizeof note, fmt, args);
    va_end(args);
    snprintf(version, sizeof version, "%s%s%s", kind->at.group, kind->at.group[0] ? "/" : "",
             kind->at.version);
    struct kube_event ev = {.ns = object->ns,
                            .api_version = version,
                            .kind = kind->kind,
                            .name = object->name,
                            .uid = object->uid,
                            .is_warning = is_warning,
                            .reason = reason,
                            .action = reason,
                            .note = note,
                            .controller = "reeve.gpu/reeved",
                            .instance = c->site,
                            .now_ms = clock_wall_ms()};
    kube_event_send(c->client, &ev, NULL, NULL);
}
