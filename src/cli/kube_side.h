/* A Kubernetes API, one question after the other, for commands that wait for each answer. */
#ifndef CLI_KUBE_SIDE_H
#define CLI_KUBE_SIDE_H

#include "base/json.h"
#include "kube/list.h"

struct kube_side;

/* WHERE: "in-cluster", or a kubeconfig's path; "auto": the pod's own, else the usual kubeconfig.
 * CONTEXT NULL: its current one. Does not call yet. */
int kube_side_open(const char *where, const char *context, struct kube_side **ret, struct err *e);
void kube_side_close(struct kube_side *s);
DEFINE_AUTO(struct kube_side, kube_side_close)
#define auto_kube_side AUTO(kube_side_closep)

/* Whether we run in a pod. */
bool kube_side_in_pod(void);

const char *kube_side_server(const struct kube_side *s);
/* The namespace of the pod, or of the context. */
const char *kube_side_namespace(const struct kube_side *s);

/* *RET is the caller's; NULL when the answer is no JSON, and it need not be. ERR_NOT_FOUND,
 * ERR_DENIED and so on with the server's own words. */
int kube_side_get(struct kube_side *s, const char *target, json_t **ret, struct err *e);
/* The first question, asked once: what its server says of its version. */
int kube_side_reach(struct kube_side *s, json_t **ret, struct err *e);
/* Only names, labels, finalizers: the metadata of the objects of a list. */
int kube_side_get_heads(struct kube_side *s, const char *target, json_t **ret, struct err *e);
/* TYPE NULL: application/json. RET may be NULL. */
int kube_side_send(struct kube_side *s, enum http_method method, const char *target,
                   const char *type, const char *body, json_t **ret, struct err *e);

/* Everything of the selection, one after the other; ON_RECORD owns what it gets. */
int kube_side_list(struct kube_side *s, const struct kube_selection *what,
                   void (*on_record)(void *arg, struct kube_head *record), void *arg,
                   struct err *e);

#endif
