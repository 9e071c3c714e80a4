/*
 * The door: what the outside may ask of the control plane, over HTTP. It turns bytes into commands
 * for the engine and snapshots of the engine into bytes, on a thread of its own; whatever needs the
 * store, the logs or the samples is read and rendered by the engine's workers.
 */
#ifndef API_API_H
#define API_API_H

#include "api/template.h"
#include "engine/engine.h"
#include "logs/log_store.h"

struct api;
struct tsdb;

/* Says on which node an agent is by what it shows, where that is no token of ours but one of a pod.
 */
struct api_voucher {
    /* Any thread; what it needs of TOKEN it copies. ON_DONE is called once, on any thread, within
     * some seconds: with NODE, or with NULL and WHY. False: it asks about too many, and ON_DONE
     * will not be called. NULL: nobody vouches for anybody. */
    bool (*ask)(void *arg, const char *token,
                void (*on_done)(void *own, const char *node, const struct err *why), void *own);
    void *arg;
};

/* What runs beside the door and has something to say where the whole is shown. METRICS NULL: there
 * is none. Both on the door's thread, after api_open(). */
struct api_neighbour {
    void (*metrics)(void *arg, struct text *out);
    /* One member; DETAILS: for who may operate. */
    void (*status)(void *arg, struct json_out *o, bool details);
    void *arg;
};

/* All of it stays with the caller, who keeps it until api_free(). */
struct api_config {
    const char *listen;            /* "127.0.0.1:8081" */
    const char *unix_path;         /* NULL: no unix socket */
    const char *certificate, *key; /* PEM files; both or none */
    bool insecure;                 /* not loopback without TLS is wanted */
    const char *const *hosts;      /* further names we are called by; ends with NULL */

    const char *page; /* folder of the page's files; NULL: there is no page */
    /* Where browsers find Argo's own page, and the namespace of our Workflows there; NULL: nowhere.
     */
    const char *argo_url, *argo_ns;

    bool mask_users;   /* hides whose jobs the others' jobs are */
    bool source_open;  /* /submit, /queue and /jobs/{id} need no token on loopback */
    int64_t sample_ms; /* how often agents sample; they are told */
    const struct template_set *templates;
    const char *allow_tolerations; /* that jobs may have: "key,key=value:Effect", "*"; NULL: none */

    const struct log_store_ops *log_ops;
    struct log_store *logs;
    struct tsdb *tsdb;

    struct api_neighbour redis;
    struct api_voucher voucher; /* is asked only after api_open() */
};

/* Listens and answers 503 to everything but health until api_open(). RET_PORT: the real one. */
int api_start(const struct api_config *config, struct api **ret, uint16_t *ret_port, struct err *e);

/* From now on requests are served. On the owner's thread, before its loop runs. */
void api_open(struct api *a, struct engine *engine);

/* Any thread: so far has attempt N of the job come, by its own word. */
void api_set_progress(struct api *a, int64_t job, int64_t n, int64_t done, int64_t total);

/* Any thread: reads certificate, key and page again. A failure is logged, the old ones stay in use.
 */
void api_reload(struct api *a);

/*
 * Stops accepting, ends streams, waits for what is under way, then calls ON_STOPPED on the door's
 * thread. The engine must keep running until then, and be stopped before api_free(), which joins
 * the thread: late answers of the engine still find their mailbox.
 */
void api_stop(struct api *a, void (*on_stopped)(void *arg), void *arg);
void api_free(struct api *a);

#endif
