/* Events: remarks about an object, for people who ask kubectl. Best effort, never to be waited
 * for; the server drops them after an hour. */
#ifndef KUBE_EVENT_H
#define KUBE_EVENT_H

#include "kube/object.h"

struct kube_event {
    const char *ns;                              /* of the object; NULL for what is in none */
    const char *api_version, *kind, *name, *uid; /* of the object: "v1", "Pod", ... */
    bool is_warning;
    const char *reason;                /* one word: "Started" */
    const char *action;                /* what was done or tried, one word */
    const char *note;                  /* a sentence; cut at 1 kB */
    const char *controller, *instance; /* who says it: "reeve.gpu/operator", which of them */
    int64_t now_ms;                    /* Unix time */
};

/* ON_DONE may be NULL: nobody wants to know. */
void kube_event_send(struct kube_client *c, const struct kube_event *ev, kube_done *on_done,
                     void *arg);

#endif
