/* One object: what is to be done next about it. */
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "core/access/access.h"
#include "operator/internal.h"

#include <inttypes.h>

enum { DENIED_PAUSE_MS = 30000, MOST_PAUSE_MS = 60000, CONFLICT_PAUSE_MS = 100 };

int64_t reconciler_mono(void)
{
    return clock_mono_ms();
}

/* ---- the tables ---- */

static uint32_t hash_uid(const char *uid)
{
    uint32_t h = 2166136261u;
    for (; *uid; uid++)
        h = (h ^ (unsigned char)*uid) * 16777619u;
    return h % WISH_BUCKETS;
}

struct wish *wish_find(const struct reconciler *o, const char *uid)
{
    struct wish *w = o->by_uid[hash_uid(uid)];
    while (w && strcmp(w->uid, uid) != 0)
        w = w->next_by_uid;
    return w;
}

struct wish *wish_of_job(const struct reconciler *o, int64_t job)
{
    struct wish *w = o->by_job[(uint64_t)job % WISH_BUCKETS];
    while (w && w->job != job)
        w = w->next_by_job;
    return w;
}

struct wish *wish_new(struct kind_watch *of, const struct kube_head *head)
{
    struct reconciler *o = of->reconciler;
    struct wish *w = mem_new(struct wish), **bucket = &o->by_uid[hash_uid(head->uid)];
    w->of = of;
    w->ns = mem_strdup(head->ns);
    w->name = mem_strdup(head->name);
    w->uid = mem_strdup(head->uid);
    w->next_by_uid = *bucket;
    *bucket = w;
    o->wish_count++;
    return w;
}

#define UNLINK(head, w, link)                                                                      \
    do {                                                                                           \
        struct wish **p_ = &(head);                                                                \
        while (*p_ && *p_ != (w))                                                                  \
            p_ = &(*p_)->link;                                                                     \
        if (*p_)                                                                                   \
            *p_ = (w)->link;                                                                       \
    } while (0)

static void forget_job(struct wish *w)
{
    struct reconciler *o = w->of->reconciler;
    if (w->job)
        UNLINK(o->by_job[(uint64_t)w->job % WISH_BUCKETS], w, next_by_job);
    w->job = 0;
}

void wish_set_job(struct wish *w, int64_t job)
{
    struct wish **bucket = &w->of->reconciler->by_job[(uint64_t)job % WISH_BUCKETS];
    if (w->job == job)
        return;
    forget_job(w);
    w->job = job;
    w->next_by_job = *bucket;
    *bucket = w;
}

/* Nothing of it is under way, and it is not in the list of those that are due. */
void wish_free(struct wish *w)
{
    struct reconciler *o = w->of->reconciler;
    forget_job(w);
    UNLINK(o->by_uid[hash_uid(w->uid)], w, next_by_uid);
    o->wish_count--;
    job_look_free(w->end);
    json_decref(w->told);
    free(w->cancel_why);
    free(w->ns);
    free(w->name);
    free(w->uid);
    free(w);
}

int64_t wish_pause(struct wish *w)
{
    int64_t pause = w->of->reconciler->config.ask_ms << (w->failures < 6 ? w->failures : 6);
    w->failures++;
    return reconciler_mono() + (pause < MOST_PAUSE_MS ? pause : MOST_PAUSE_MS);
}

void wish_later(struct wish *w)
{
    w->again_ms = wish_pause(w);
}

void wish_forget_end(struct wish *w)
{
    w->happened++;
    w->is_over = false;
    job_look_free(w->end);
    w->end = NULL;
}

/* ---- what its object says ---- */

const struct kube_custom *wish_object(const struct wish *w)
{
    const struct kube_head *h = kube_watch_find(w->of->watch, w->ns, w->name);
    return h && strcmp(h->uid, w->uid) == 0 ? (const struct kube_custom *)h : NULL;
}

static bool has_finalizer(const struct wish *w, const struct kube_custom *object)
{
    for (const struct kube_word *f = object->head.finalizers; f; f = f->next)
        if (strcmp(f->text, w->of->kind->finalizer) == 0)
            return true;
    return false;
}

/* Whether it is taken: RET_MS since when. RET_OTHER: by another Reeve. */
static bool is_marked(const struct reconciler *o, const struct kube_custom *object, int64_t *ret_ms,
                      bool *ret_other)
{
    const char *mark = kube_pair_find(object->head.annotations, MARK_TAKEN);
    size_t len = mark ? strcspn(mark, " ") : 0;
    *ret_ms = 0;
    *ret_other = len && (strlen(o->site) != len || memcmp(mark, o->site, len) != 0);
    return len && !*ret_other && mark[len] &&
           text_to_int(mark + len + 1, 0, INT64_MAX, "", ret_ms, NULL) == 0;
}

static json_t *read_raw(const char *json)
{
    json_t *tree = NULL;
    return json && json_parse(json, strlen(json), &tree, NULL) == 0 ? tree : NULL;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* ---- what is sent about it ---- */

static void remark_change(const struct wish *w)
{
    const char *phase = text_of(w->told, "phase"), *message = text_of(w->told, "message");
    const char *node = text_of(w->told, "node");
    json_int_t job = json_integer_value(json_object_get(w->told, "jobId"));
    bool is_bad = strcmp(phase, "Failed") == 0 || strcmp(phase, "Invalid") == 0 || !job;
    if (strcmp(phase, w->old_phase) == 0)
        return;
    if (!job)
        reconciler_remark(w, is_bad, phase, "%s", message);
    else
        reconciler_remark(w, is_bad, phase, "job %" PRId64 "%s%s%s%s", (int64_t)job,
                          *node ? " on " : "", node, *message ? ": " : "", message);
}

static void on_patched(void *arg, const struct kube_answer *a)
{
    struct wish *w = arg;
    struct reconciler *o = w->of->reconciler;
    enum wish_errand errand = w->errand;
    w->call = NULL;
    w->errand = ERRAND_NONE;
    o->calls--;
    if (a->err.code == ERR_NONE) {
        w->failures = 0;
        if (errand == ERRAND_TAKE) {
            w->is_taken = true;
            w->is_let_go = false;
            if (FAILPOINT("operator.taken"))
                return;
        } else if (errand == ERRAND_TELL) {
            remark_change(w);
            if (w->is_missed)
                reconciler_due(w);
            reconciler_pump(o); /* the watch will show it, and its new version with it */
            return;
        } else {
            w->is_let_go = true;
            w->is_taken = false;
        }
    } else {
        if (errand == ERRAND_TELL) {
            json_decref(w->told);
            w->told = NULL;
        }
        if (a->err.code == ERR_CONFLICT) /* the watch shows what has changed soon */
            w->again_ms = reconciler_mono() + CONFLICT_PAUSE_MS;
        else
            wish_later(w);
        if (a->err.code == ERR_DENIED)
            w->again_ms = reconciler_mono() + DENIED_PAUSE_MS;
        if (a->err.code != ERR_CONFLICT && a->err.code != ERR_NOT_FOUND)
            log_warn("a custom resource could not be changed, trying again",
                     F_TEXT("kind", w->of->kind->kind), F_TEXT("namespace", w->ns),
                     F_TEXT("name", w->name), F_ERR(&a->err));
    }
    reconciler_due(w);
    reconciler_pump(o);
}

static void patch(struct wish *w, enum wish_errand errand, const char *sub, const char *json)
{
    struct reconciler *o = w->of->reconciler;
    const struct kube_object object = {&w->of->record, w->ns, w->name, sub};
    w->errand = errand;
    o->calls++;
    w->call = kube_patch(o->client, &object, json, strlen(json), on_patched, w);
}

/* Finalizers are a list, which a patch replaces: only in the version that we have seen. */
static json_t *head_patch(const struct wish *w, const struct kube_custom *object, bool with_ours)
{
    json_t *list = json_array();
    for (const struct kube_word *f = object->head.finalizers; f; f = f->next)
        if (strcmp(f->text, w->of->kind->finalizer) != 0)
            json_array_append_new(list, json_string(f->text));
    if (with_ours)
        json_array_append_new(list, json_string(w->of->kind->finalizer));
    return json_pack("{s:{s:s,s:s,s:o}}", "metadata", "uid", object->head.uid, "resourceVersion",
                     object->head.version, "finalizers", list);
}

static void take(struct wish *w, const struct kube_custom *object)
{
    struct reconciler *o = w->of->reconciler;
    if (FAILPOINT("operator.take"))
        return;
    w->taken_ms = engine_now_ms(o->engine);
    auto_free char *mark = mem_printf("%s %" PRId64, o->site, w->taken_ms);
    auto_json json_t *tree = head_patch(w, object, true);
    json_object_set_new(json_object_get(tree, "metadata"), "annotations",
                        json_pack("{s:s}", MARK_TAKEN, mark));
    auto_free char *json = json_write(tree);
    patch(w, ERRAND_TAKE, NULL, json);
}

/* CLEAN: nothing was handed in, so whoever looks next may begin anew. */
static void let_go(struct wish *w, const struct kube_custom *object, bool clean)
{
    if (FAILPOINT("operator.let-go"))
        return;
    auto_json json_t *tree = head_patch(w, object, false);
    if (clean)
        json_object_set_new(json_object_get(tree, "metadata"), "annotations",
                            json_pack("{s:n}", MARK_TAKEN));
    auto_free char *json = json_write(tree);
    patch(w, ERRAND_LET_GO, NULL, json);
}

/* LOOK NULL: there is no job, for the reason in WHY. True: something was sent, or is to wait. */
static bool tell(struct wish *w, const struct kube_custom *object, const struct job_look *look,
                 const char *user, const struct verdict *why)
{
    struct reconciler *o = w->of->reconciler;
    auto_json json_t *spec = read_raw(object->spec), *before = read_raw(object->status);
    const struct status_facts f = {.kind = w->of->kind,
                                   .spec = spec,
                                   .before = w->told ? w->told : before,
                                   .generation = object->head.generation,
                                   .now_ms = engine_now_ms(o->engine),
                                   .site = o->site,
                                   .user = user,
                                   .look = look,
                                   .verdict = why};
    auto_json json_t *status = status_make(&f);
    int64_t now = reconciler_mono();
    if (json_equal(status, before) || (w->told && json_equal(status, w->told)))
        return false;
    if (w->told_ms && now - w->told_ms < o->config.refresh_ms &&
        status_is_small_change(status, w->told ? w->told : before)) {
        w->refresh_ms = w->told_ms + o->config.refresh_ms;
        return true;
    }
    w->refresh_ms = 0;
    if (FAILPOINT("operator.tell"))
        return true;
    snprintf(w->old_phase, sizeof w->old_phase, "%s", text_of(before, "phase"));
    json_decref(w->told);
    w->told = json_incref(status);
    w->told_ms = now;
    auto_free char *json = status_patch(w->of->kind, status);
    patch(w, ERRAND_TELL, "status", json);
    return true;
}

/* ---- without a job ---- */

const struct principal *reconciler_user(const struct reconciler *o, const struct fleet_view *v,
                                        const char *ns, struct verdict *why)
{
    const struct kube_head *h = kube_watch_find(o->namespace_watch, "", ns);
    const char *name = h ? kube_pair_find(h->annotations, MARK_USER) : NULL;
    const struct principal *p = name ? fleet_principal_named(v, name) : NULL;
    if (!name || !*name)
        verdict_set(why, "NoUser",
                    "nobody has said whom namespace '%s' acts as: an administrator does, by "
                    "kubectl annotate namespace %s " MARK_USER "=USER",
                    ns, ns);
    else if (!p || p->disabled_ms)
        verdict_set(why, "NoUser", "user '%.64s', whom namespace '%s' acts as, is %s", name, ns,
                    p ? "disabled" : "not known to Reeve");
    else if (access_scope(p->role, PERMISSION_SUBMIT) == SCOPE_NOTHING)
        verdict_set(why, "NoUser", "user '%s', whom namespace '%s' acts as, may not submit jobs",
                    name, ns);
    else
        return p;
    return NULL;
}

/* Its message names a field as the API does. */
static void respell(struct err *e)
{
    char field[sizeof e->field], text[sizeof e->text];
    strcpy(field, e->field);
    strcpy(text, e->text);
    const char *at = field[0] ? strstr(text, field) : NULL;
    auto_free char *camel = camel_of(field);
    if (at)
        snprintf(e->text, sizeof e->text, "%.*s%s%s", (int)(at - text), text, camel,
                 at + strlen(field));
}

static int make_job(const struct wish *w, const struct kube_custom *object, struct submission *ret,
                    struct verdict *why)
{
    const struct reconciler_config *c = &w->of->reconciler->config;
    auto_json json_t *spec = read_raw(object->spec), *job = NULL;
    struct err e = {0};
    if (w->of->kind->to_job(c, w->name, spec, &job, &e) < 0 ||
        c->read_job(c->arg, job, ret, &e) < 0) {
        respell(&e);
        return verdict_set(why, "Invalid", "%s", e.text);
    }
    return 0;
}

/* It stays as it is until somebody changes it, or its namespace. */
static void refuse(struct wish *w, const struct kube_custom *object, const struct verdict *why)
{
    bool is_sure = strcmp(why->reason, "Unsure") != 0;
    if (!tell(w, object, NULL, "", why) && is_sure && has_finalizer(w, object) && !w->is_let_go)
        let_go(w, object, true);
}

static bool may_be_handed_in(const struct wish *w, int64_t marked_ms, struct verdict *why)
{
    int64_t now = engine_now_ms(w->of->reconciler->engine);
    if (w->is_refused || w->is_taken || !marked_ms || now - marked_ms < SURE_MS)
        return true;
    verdict_set(why, "Unsure",
                "it was being handed in when Reeve ended, too long ago to know whether a job came "
                "of it; delete it and make it anew");
    return false;
}

static void step_new(struct wish *w, const struct kube_custom *object)
{
    struct reconciler *o = w->of->reconciler;
    struct verdict why = {0};
    struct submission s = {0};
    int64_t marked_ms;
    bool other, marked = is_marked(o, object, &marked_ms, &other);
    if (other)
        return;
    const struct engine_view *v = engine_view_get(o->engine);
    const struct principal *user = reconciler_user(o, &v->fleet, w->ns, &why);
    bool is_on = w->is_taken || (marked && has_finalizer(w, object) && !w->is_let_go);
    bool waits = w->why.reason && w->why_generation == object->head.generation &&
                 reconciler_mono() < w->submit_ms;
    if (waits)
        refuse(w, object, &w->why);
    else if (!user || make_job(w, object, &s, &why) < 0 ||
             !may_be_handed_in(w, marked ? marked_ms : 0, &why))
        refuse(w, object, &why);
    else if (!is_on)
        take(w, object);
    else
        ask_submit(w, object, user, &s);
    engine_view_release(o->engine, v);
    free(s.spec);
}

/* ---- with a job ---- */

/* The job is the user's of this namespace: nobody gets at others' by writing a number down. */
static bool is_ours(const struct principal *user, const struct job_look *look)
{
    return look->is_deleted || (user && user->id == look->principal);
}

static void step_open(struct wish *w, const struct kube_custom *object, const struct job_look *look,
                      const char *user)
{
    static const struct verdict none;
    if (w->end || w->is_over)
        wish_forget_end(w); /* it was tried again */
    if (!has_finalizer(w, object) && !w->is_taken)
        take(w, object);
    else
        tell(w, object, look, user, &none);
}

static void step_ended(struct wish *w, const struct kube_custom *object, const char *user)
{
    static const struct verdict none;
    auto_json json_t *before = read_raw(object->status);
    bool is_told = w->end->is_deleted && json_object_get(before, "completionTime");
    if (!is_told && tell(w, object, w->end, user, &none))
        return;
    if (has_finalizer(w, object) && !w->is_let_go)
        let_go(w, object, false);
    else
        w->is_over = true;
}

/* Its end was told, by an earlier life of ours perhaps. */
static bool is_settled(const struct wish *w, const struct kube_custom *object)
{
    auto_json json_t *status = read_raw(object->status);
    return !has_finalizer(w, object) && json_object_get(status, "completionTime");
}

static void step_job(struct wish *w, const struct kube_custom *object)
{
    struct reconciler *o = w->of->reconciler;
    struct verdict why = {0};
    auto_job_look struct job_look *look = job_look_new();
    const struct engine_view *v = engine_view_get(o->engine);
    enum job_sight sight = job_look_open(&v->fleet, w->job, look);
    const struct principal *user = reconciler_user(o, &v->fleet, w->ns, &why);
    const struct job_look *is = sight == JOB_OPEN ? look : w->end;
    w->looked_ms = reconciler_mono();
    if (sight == JOB_NOT_YET)
        w->again_ms = w->looked_ms + o->config.tick_ms;
    else if (sight == JOB_ENDED && !w->end && !w->told && !w->happened && is_settled(w, object))
        w->is_over = true;
    else if (sight == JOB_ENDED && !w->end)
        ask_end(w);
    else if (!is_ours(user, is))
        verdict_set(&w->why, "NoUser", "its job is not of the user of its namespace any more");
    else if (sight == JOB_OPEN)
        step_open(w, object, look, user->name);
    else
        step_ended(w, object, user ? user->name : "");
    engine_view_release(o->engine, v);
}

/* ---- deleted, or gone ---- */

/* True: there is nothing to wait for. */
static bool has_no_job(struct wish *w, const struct kube_custom *object)
{
    struct reconciler *o = w->of->reconciler;
    struct verdict why = {0};
    struct job_look *look = NULL;
    int64_t ms;
    bool other, done = true;
    const struct engine_view *v = engine_view_get(o->engine);
    const struct principal *user = reconciler_user(o, &v->fleet, w->ns, &why);
    if (!w->job) {
        bool marked = w->is_taken || (object && is_marked(o, object, &ms, &other));
        done = w->is_looked_for || w->is_refused || !marked || !user;
        if (!done)
            ask_for_job(w, user);
    } else if (!w->is_cancelled) {
        look = job_look_new();
        enum job_sight sight = job_look_open(&v->fleet, w->job, look);
        done = sight == JOB_ENDED;
        if (sight == JOB_NOT_YET) {
            w->again_ms = reconciler_mono() + o->config.tick_ms;
        } else if (sight == JOB_OPEN && is_ours(user, look)) {
            ask_cancel(w, user->id);
        } else if (sight == JOB_OPEN) {
            log_warn("the job of an object that was deleted goes on: it is not of its namespace's "
                     "user",
                     F_TEXT("namespace", w->ns), F_TEXT("name", w->name), F_INT("job", w->job));
            done = w->is_cancelled = true;
        }
    }
    job_look_free(look);
    engine_view_release(o->engine, v);
    return done;
}

static void step_deleted(struct wish *w, const struct kube_custom *object)
{
    int64_t ms;
    bool other;
    is_marked(w->of->reconciler, object, &ms, &other);
    if (!has_finalizer(w, object) || w->is_let_go || other)
        return;
    if (has_no_job(w, object))
        let_go(w, object, false);
}

/* ---- the whole ---- */

/* Where an earlier life of ours wrote it down. */
static void read_job(struct wish *w, const struct kube_custom *object)
{
    auto_json json_t *status = read_raw(object->status);
    json_int_t job = json_integer_value(json_object_get(status, "jobId"));
    if (job > 0 && strcmp(text_of(status, "site"), w->of->reconciler->site) == 0)
        wish_set_job(w, job);
}

static bool is_of_another(const struct wish *w, const struct kube_custom *object)
{
    auto_json json_t *status = read_raw(object->status);
    const char *site = text_of(status, "site");
    return json_object_get(status, "jobId") && strcmp(site, w->of->reconciler->site) != 0;
}

void wish_step(struct wish *w)
{
    const struct kube_custom *object = wish_object(w);
    w->is_missed = w->call || w->is_asking;
    if (w->is_missed)
        return;
    if (!object) {
        /* Somebody took our finalizer off. */
        if (reconciler_mono() >= w->again_ms && has_no_job(w, NULL))
            wish_free(w);
        return;
    }
    if (!w->job)
        read_job(w, object);
    if (reconciler_mono() < w->again_ms)
        return;
    w->again_ms = 0;
    if (object->head.deleted_ms)
        step_deleted(w, object);
    else if (w->job)
        step_job(w, object);
    else if (!is_of_another(w, object))
        step_new(w, object);
}
