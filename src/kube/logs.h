/*
 * What a container prints, as it comes, across cut connections: each byte once. The server is asked
 * for lines from a second on, and those that were there already are counted off, so a position can
 * be kept and gone on from after a restart, too. Lines that kubelet has thrown away are not waited
 * for.
 */
#ifndef KUBE_LOGS_H
#define KUBE_LOGS_H

#include "kube/client.h"

/* All zero: from the beginning. Plain data, to be kept as it is. */
struct kube_log_position {
    int64_t second;   /* Unix time of the newest line's second; 0: no line yet */
    uint64_t lines;   /* of that second, whole ones */
    uint64_t in_line; /* bytes of the line behind them, without its time */
};

struct kube_log_request {
    const char *ns, *pod;
    const char *container; /* NULL: the only one */
    bool follow;           /* until the container ends; else what is there */
    bool previous;         /* of the run before this one */
    int64_t limit_bytes;   /* the server ends it there; 0: none. As the server counts: with times */
    struct kube_log_position from;
};

struct kube_log;

struct kube_log_ops {
    /* LEN bytes, without the times. POSITION is behind them. False: no more; on_end is called. */
    bool (*on_bytes)(void *arg, const char *bytes, size_t len,
                     const struct kube_log_position *position);
    /* The log has ended (A has no error), or cannot be had. A server that is restarted ends it,
     * too: whether the container runs is its pod's to say. ERR_NOT_FOUND: there is no such pod any
     * more. ERR_INVALID: its container has not begun; ask later. */
    void (*on_end)(void *arg, const struct kube_log_position *position,
                   const struct kube_answer *a);
};

/* OPS must last. Never NULL; gone when on_end returns. Cut connections and servers that are away
 * are tried again, with growing pauses. */
struct kube_log *kube_log_start(struct kube_client *c, const struct kube_log_request *r,
                                const struct kube_log_ops *ops, void *arg);
/* No call-back will be called. Only before on_end was; not from on_bytes (return false there). */
void kube_log_stop(struct kube_log *l);

#endif
