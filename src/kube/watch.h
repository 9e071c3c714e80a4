/*
 * What is in the cluster, kept up to date: all objects of a selection, first as a list, then by the
 * server's stream of changes, for ever. Cut streams go on where they ended; what the server has
 * forgotten meanwhile is listed anew, and what went unseen is told as gone. Servers that send the
 * list as part of the stream are asked for that, others (told by their refusal) page by page.
 */
#ifndef KUBE_WATCH_H
#define KUBE_WATCH_H

#include "kube/list.h"

struct kube_watch;

/* All records are the watch's, good until the call-back returns (BEFORE, LAST) or until the next
 * change of the same object (NOW). Call-backs come from the loop, never from within a call. */
struct kube_watch_ops {
    /* It is new (BEFORE is NULL) or has changed. */
    void (*on_changed)(void *arg, const struct kube_head *before, const struct kube_head *now);
    /* It is gone. LAST: as it was last seen, its end included where that was seen. */
    void (*on_gone)(void *arg, const struct kube_head *last);
    /* All that is there is known: after the first list, and after each one anew. */
    void (*on_synced)(void *arg);
    /* It does not go on just now; it is tried again by itself. May be NULL. */
    void (*on_trouble)(void *arg, const struct err *why);
};

/* OPS must last. Never NULL. */
struct kube_watch *kube_watch_start(struct kube_client *c, const struct kube_selection *s,
                                    const struct kube_watch_ops *ops, void *arg);
/* Not from its call-backs; before its client is freed. NULL is fine. */
void kube_watch_stop(struct kube_watch *w);

/* Borrowed; NULL: not there. NS "" for what is in no namespace. */
const struct kube_head *kube_watch_find(const struct kube_watch *w, const char *ns,
                                        const char *name);
/* One after the other, in no order: *AT begins as 0. NULL: no more. */
const struct kube_head *kube_watch_next(const struct kube_watch *w, size_t *at);

struct kube_watch_stats {
    size_t count, bytes; /* records */
    bool is_synced;
    int64_t heard_ms; /* steady clock, of the last word from the server; 0: none yet */
    uint64_t events, lists, unread; /* since its start; the last: objects that could not be read */
};
void kube_watch_stats(const struct kube_watch *w, struct kube_watch_stats *ret);

/* Lists anew, now: when something else says that we missed something. */
void kube_watch_relist(struct kube_watch *w);

#endif
