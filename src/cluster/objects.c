/* Objects of ours that are no pods themselves, and which pods belong to which attempt. */
#include "base/log.h"
#include "base/mem.h"
#include "cluster/internal.h"

/* ---- whose is it ---- */

static bool read_number(const char *text, int64_t *ret)
{
    return text && text_to_int(text, 1, INT64_MAX, "", ret, NULL) == 0;
}

/* "reeve-SITE-JOB-N", as attempt_name() makes it. */
static bool read_name(const struct cluster *c, const char *name, int64_t *ret_job, int64_t *ret_n)
{
    char job[24], n[24], more;
    size_t len = strlen(c->site);
    if (strncmp(name, "reeve-", 6) != 0 || strncmp(name + 6, c->site, len) != 0 ||
        name[6 + len] != '-')
        return false;
    return sscanf(name + 7 + len, "%20[0-9]-%20[0-9]%c", job, n, &more) == 2 &&
           read_number(job, ret_job) && read_number(n, ret_n);
}

static bool read_marks(const struct cluster *c, const struct kube_head *h, int64_t *ret_job,
                       int64_t *ret_n)
{
    const char *site = kube_pair_find(h->labels, KUBE_LABEL_SITE);
    return site && strcmp(site, c->site) == 0 &&
           read_number(kube_pair_find(h->labels, KUBE_LABEL_JOB), ret_job) &&
           read_number(kube_pair_find(h->labels, KUBE_LABEL_ATTEMPT), ret_n);
}

/* Pods that Argo or the Job controller made for an object of ours carry our labels, or at least the
 * name of that object. */
static bool read_pod(const struct cluster *c, const struct kube_pod *pod, int64_t *ret_job,
                     int64_t *ret_n)
{
    static const char *const owners[] = {"workflows.argoproj.io/workflow",
                                         "batch.kubernetes.io/job-name"};
    if (read_marks(c, &pod->head, ret_job, ret_n) ||
        read_name(c, pod->head.owner_name, ret_job, ret_n))
        return true;
    for (size_t i = 0; i < COUNT_OF(owners); i++) {
        const char *name = kube_pair_find(pod->head.labels, owners[i]);
        if (name && read_name(c, name, ret_job, ret_n))
            return true;
    }
    return false;
}

struct track *objects_owner_of_pod(struct cluster *c, const struct kube_pod *pod, bool *ret_ours)
{
    int64_t job, n;
    *ret_ours = read_pod(c, pod, &job, &n);
    return *ret_ours ? track_find(c, job, n) : NULL;
}

/* ---- found ---- */

/* The runner of an object: as it says itself, where that fits how it was found. */
static const struct kube_runner *runner_of(const struct kube_head *h,
                                           const struct kube_runner *found_by)
{
    const char *name = kube_pair_find(h->annotations, KUBE_ANNOTATION_RUNNER);
    const struct kube_runner *said = name ? kube_runner_find(name) : NULL;
    return said && said->kind == found_by->kind ? said : found_by;
}

static int64_t age_ms(int64_t unix_ms, int64_t now_ms)
{
    return unix_ms && now_ms > unix_ms ? now_ms - unix_ms : 0;
}

/* Of an earlier life of ours, or made by a request that nobody knew the end of. */
static struct track *adopt(struct cluster *c, const struct kube_head *h,
                           const struct kube_runner *runner, int64_t job, int64_t n)
{
    const char *id = kube_pair_find(h->annotations, KUBE_ANNOTATION_ID);
    const char *node = kube_pair_find(h->annotations, KUBE_ANNOTATION_NODE);
    const char *limit = kube_pair_find(h->annotations, KUBE_ANNOTATION_LIMIT);
    unsigned char bits[16];
    struct member *m = node ? member_get(c, node) : NULL;
    if (!m || !id || !hex_read(bits, sizeof bits, id))
        return NULL;
    struct track *t = track_new(c, m, job, n, id, h->name);
    t->runner = runner;
    t->phase = TRACK_THERE;
    t->since_ms = cluster_now() - age_ms(h->created_ms, engine_now_ms(c->engine));
    if (limit)
        read_number(limit, &t->time_limit_ms);
    return t;
}

static void on_object(struct cluster *c, const struct kube_head *h,
                      const struct kube_runner *found_by)
{
    int64_t job, n;
    const struct kube_runner *runner = runner_of(h, found_by);
    if (runner->transport != found_by->transport || strcmp(h->ns, c->config.settings.ns) != 0 ||
        !read_marks(c, h, &job, &n))
        return;
    struct track *t = track_find(c, job, n);
    if (!t)
        t = adopt(c, h, runner, job, n);
    if (t && t->runner == runner && strcmp(t->name, h->name) == 0)
        track_look(t, h);
}

static void on_object_gone(struct cluster *c, const struct kube_head *h)
{
    int64_t job, n;
    struct track *t = read_marks(c, h, &job, &n) ? track_find(c, job, n) : NULL;
    if (t && strcmp(t->name, h->name) == 0 && objects_is_of(h, t))
        track_on_gone(t, h);
}

/* ---- pods ---- */

static void note_pod(struct track *t, const struct kube_pod *pod)
{
    for (size_t i = 0; i < t->pod_count; i++)
        if (strcmp(t->pods[i], pod->head.name) == 0)
            return;
    if (t->pod_count == 64)
        return;
    t->pods = mem_resize_array(t->pods, t->pod_count + 1);
    t->pods[t->pod_count++] = mem_strdup(pod->head.name);
}

void objects_on_pod(struct cluster *c, const struct kube_pod *pod)
{
    bool ours;
    if (kube_pair_find(pod->head.annotations, KUBE_ANNOTATION_RUNNER) && !pod->head.owner_name[0]) {
        on_object(c, &pod->head, &kube_runner_pod);
        return;
    }
    struct track *t = objects_owner_of_pod(c, pod, &ours);
    if (!t || !t->runner || t->runner->is_pod || strcmp(pod->head.ns, c->config.settings.ns) != 0)
        return;
    note_pod(t, pod);
    track_look(t, objects_find(c, t));
}

void objects_on_pod_gone(struct cluster *c, const struct kube_pod *last)
{
    bool ours;
    struct track *t = objects_owner_of_pod(c, last, &ours);
    if (!t || !t->runner)
        return;
    if (t->runner->is_pod) {
        on_object_gone(c, &last->head);
        return;
    }
    for (size_t i = 0; i < t->pod_count; i++)
        if (strcmp(t->pods[i], last->head.name) == 0) {
            free((char *)t->pods[i]);
            t->pods[i] = t->pods[--t->pod_count];
            break;
        }
    track_look(t, objects_find(c, t));
}

/* ---- other kinds, watched ---- */

static void on_changed(void *arg, const struct kube_head *before, const struct kube_head *now)
{
    struct objects *o = arg;
    (void)before;
    on_object(o->cluster, now, o->runner);
}

static void on_gone(void *arg, const struct kube_head *last)
{
    struct objects *o = arg;
    on_object_gone(o->cluster, last);
}

static void on_synced(void *arg)
{
    struct objects *o = arg;
    o->is_synced = true;
    o->is_absent = o->is_denied = false;
    o->cluster->flush_due = true;
}

static void on_trouble(void *arg, const struct err *why)
{
    struct objects *o = arg;
    bool absent = why->code == ERR_NOT_FOUND, denied = why->code == ERR_DENIED;
    if (denied && !o->is_denied)
        log_warn("jobs cannot run in this way here: its objects may not be watched",
                 F_TEXT("runner", o->runner->name), F_ERR(why));
    o->is_absent = absent || denied;
    o->is_denied = denied;
    if (o->is_absent)
        o->is_synced = false;
    o->cluster->flush_due = true;
}

static const struct kube_watch_ops watch_ops = {on_changed, on_gone, on_synced, on_trouble};

static void start_watch(struct objects *o)
{
    struct cluster *c = o->cluster;
    bool by_argo = o->runner->transport == KUBE_BY_ARGO_SERVER;
    auto_free char *labels = mem_printf("%s=%s", KUBE_LABEL_SITE, c->site);
    struct kube_selection s = {.kind = o->runner->kind,
                               .ns = c->config.settings.ns,
                               .labels = labels,
                               .by_argo_server = by_argo};
    o->watch = kube_watch_start(by_argo ? c->argo : c->client, &s, &watch_ops, o);
}

/* ---- all of them ---- */

struct objects *objects_of(struct cluster *c, const struct kube_runner *r)
{
    for (size_t i = 0; i < c->object_count; i++)
        if (c->objects[i].runner->kind == r->kind &&
            c->objects[i].runner->transport == r->transport)
            return &c->objects[i];
    return NULL;
}

bool objects_is_of(const struct kube_head *h, const struct track *t)
{
    const char *id = kube_pair_find(h->annotations, KUBE_ANNOTATION_ID);
    return id && strcmp(id, t->id) == 0;
}

/* An object of its name may be somebody else's. */
const struct kube_head *objects_find(struct cluster *c, const struct track *t)
{
    const struct kube_watch *w = c->pods;
    if (!t->runner)
        return NULL;
    if (!t->runner->is_pod) {
        const struct objects *o = objects_of(c, t->runner);
        w = o ? o->watch : NULL;
    }
    const struct kube_head *h = w ? kube_watch_find(w, c->config.settings.ns, t->name) : NULL;
    return h && objects_is_of(h, t) ? h : NULL;
}

void objects_start(struct cluster *c)
{
    for (size_t i = 0; kube_runners[i] && c->object_count < KINDS_MOST; i++) {
        const struct kube_runner *r = kube_runners[i];
        if (r->is_pod || (r->transport == KUBE_BY_ARGO_SERVER && !c->argo) || objects_of(c, r))
            continue;
        struct objects *o = &c->objects[c->object_count++];
        *o = (struct objects){.cluster = c, .runner = r};
        start_watch(o);
    }
}

void objects_stop(struct cluster *c)
{
    for (size_t i = 0; i < c->object_count; i++)
        kube_watch_stop(c->objects[i].watch);
    c->object_count = 0;
}
