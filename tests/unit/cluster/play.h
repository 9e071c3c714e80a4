/*
 * A cluster that is played: an API server on loopback which keeps nodes, pods, Jobs and Workflows,
 * tells watches of changes, and does what it is told to pods. It has no kubelets: the test says how
 * pods go.
 */
#ifndef UNIT_CLUSTER_PLAY_H
#define UNIT_CLUSTER_PLAY_H

#include "base/json.h"
#include "fake_api.h"

enum { PLAY_EVENTS_MOST = 4096 };

struct play_event {
    char *collection; /* "pods" */
    char *line;
};

struct play {
    struct fake_api f;
    pthread_mutex_t lock; /* guards all below */
    json_t *objects;      /* "pods/NS/NAME" -> object */
    struct play_event events[PLAY_EVENTS_MOST];
    size_t event_count;
    int64_t version;
    bool is_away;       /* every connection is cut, old ones too */
    bool has_workflows; /* else the kind is not known */
    int refuse;         /* creating fails with this status; 0: it does not */
    const char *refuse_reason, *refuse_message;
    bool loses_answers;   /* what is created is, and nobody hears of it */
    bool ignores_creates; /* ... and is not, either: the connection is cut before */
    bool refuse_patches;  /* changing fails with 503 */
    const char *absent;   /* a collection that is not known (yet); NULL */
    const char *log;      /* of any container, "TIME text\n"...; NULL: 404 */
    int created;
};

/* A member, by any thread. */
#define PLAY_SET(p, member, value)                                                                 \
    (pthread_mutex_lock(&(p)->lock), (p)->member = (value), pthread_mutex_unlock(&(p)->lock))
#define PLAY_GET(p, member)                                                                        \
    ({                                                                                             \
        pthread_mutex_lock(&(p)->lock);                                                            \
        __typeof__((p)->member) value_ = (p)->member;                                              \
        pthread_mutex_unlock(&(p)->lock);                                                          \
        value_;                                                                                    \
    })

void play_open(struct play *p);
void play_close(struct play *p);

/* OBJECT, JSON text with metadata.name, is there, in place of what was. NS NULL: none. */
void play_put(struct play *p, const char *collection, const char *ns, const char *object);
/* One with a GPU or so, ready. */
void play_node(struct play *p, const char *name, int gpus, const char *boot_id);
/* The status of a pod of namespace "jobs", as kubelet writes it. */
void play_status(struct play *p, const char *pod, const char *status);
void play_running(struct play *p, const char *pod);
void play_ended(struct play *p, const char *pod, int exit_code);
/* As kubectl does: a merge patch; deletion, for which finalizers are waited for. */
void play_edit(struct play *p, const char *collection, const char *ns, const char *name,
               const char *patch);
bool play_delete(struct play *p, const char *collection, const char *ns, const char *name);
/* Gone, whatever its finalizers say. */
void play_drop(struct play *p, const char *collection, const char *ns, const char *name);
/* A copy of it, NULL: not there. */
json_t *play_get(struct play *p, const char *collection, const char *ns, const char *name);
bool play_has(struct play *p, const char *pod);
int play_count(struct play *p, const char *collection);

#endif
