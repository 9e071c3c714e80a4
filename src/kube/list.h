/*
 * All objects of a kind, page by page, each given as it comes in: an answer is never in memory as a
 * whole. Pages that fail are asked for again, with growing pauses; when the pages have become too
 * old to go on (410), the list begins anew, all at once.
 */
#ifndef KUBE_LIST_H
#define KUBE_LIST_H

#include "kube/client.h"
#include "kube/kind.h"

/* Which objects. Copied. */
struct kube_selection {
    const struct kube_kind *kind; /* must last */
    const char *ns;               /* NULL: of all namespaces */
    const char *labels, *fields;  /* selectors: "reeve.gpu/site=a", "spec.nodeName=n1"; NULL */
    bool by_argo_server; /* the client is one of Argo Server, which has Workflows of NS only, and
                            other words for the rest */
};

struct kube_list_ops {
    /* RECORD is the callee's. It may come twice, and the later one counts. */
    void (*on_record)(void *arg, struct kube_head *record);
    /* It begins anew: what came so far may be gone. */
    void (*on_restart)(void *arg);
    /* Over: VERSION is where a watch goes on. Or A says what went wrong, and VERSION is NULL. */
    void (*on_done)(void *arg, const char *version, const struct kube_answer *a);
};

struct kube_list;

/* PAGE: objects a page; 0: 500. OPS must last. Never NULL; gone when on_done returns, which is
 * never called from within this call. */
struct kube_list *kube_list_start(struct kube_client *c, const struct kube_selection *s,
                                  unsigned page, const struct kube_list_ops *ops, void *arg);
/* No call-back will be called. Only before on_done was; not from on_record. */
void kube_list_cancel(struct kube_list *l);

/* How many objects could not be read, and were passed over. */
size_t kube_list_unread(const struct kube_list *l);

/* "/api/v1/pods?labelSelector=..."; STREAM: of what changes, which only Argo Server has elsewhere.
 */
void kube_selection_target(struct text *out, const struct kube_selection *s, bool stream);
/* The same option as either server calls it. */
void kube_selection_query(struct text *out, const struct kube_selection *s, const char *key,
                          const char *value);

/* Bytes of one object, in a list or a stream. etcd takes 1.5 MiB unless it is told otherwise. */
#define KUBE_MOST_OBJECT (8 * 1024 * 1024)

#endif
