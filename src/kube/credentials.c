#include "kube/credentials.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "kube/exec_plugin.h"

#include <assert.h>

#define REREAD_MS        60000
#define EXEC_LIMIT_MS    60000
#define EARLY_MS         30000 /* before it runs out */
#define LEAST_BETWEEN_MS 2000  /* two looks that nothing came of */
#define MOST_BYTES       (1024 * 1024)

/* One look at the files: made on the loop's thread, filled on another, taken back on the first. */
struct look {
    uv_work_t work;
    struct kube_credentials *credentials; /* NULL: they are gone */
    char *paths[4], *texts[4];            /* by enum part */
    struct err why[4];
};

enum part { CA, CERT, KEY, TOKEN };

struct kube_credentials {
    uv_loop_t *loop;
    const struct kube_config *config;
    struct kube_credentials_options options;
    struct kube_material *material; /* NULL: none yet */
    struct look *look;              /* under way */
    struct kube_exec_run *run;      /* under way, after the look */
    struct look *looked;            /* its findings, while RUN is under way */
    bool rejected;                  /* the material, since the look under way began */
    struct err why;                 /* of the last try that failed */
    int64_t tried_ms;               /* steady; when the last try ended */
    uv_timer_t timer;
};

static void forget(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

void kube_material_drop(struct kube_material *m)
{
    if (!m || --m->held)
        return;
    free((char *)m->tls.ca);
    free((char *)m->tls.cert);
    forget((char *)m->tls.key);
    forget(m->bearer);
    free(m);
}

static void look_free(struct look *l)
{
    for (int i = 0; l && i < 4; i++) {
        free(l->paths[i]);
        forget(l->texts[i]);
    }
    free(l);
}

/* ---- making a new one of what was found ---- */

/* TOKEN's bytes as they go into a header. */
static int make_bearer(const char *token, char **ret, struct err *e)
{
    size_t skip = strspn(token, " \t\r\n"), len = strlen(token);
    while (len > skip && strchr(" \t\r\n", token[len - 1]))
        len--;
    if (len == skip)
        return err_set(e, ERR_UNAUTHENTICATED, "the token is empty");
    for (size_t i = skip; i < len; i++)
        if ((unsigned char)token[i] <= ' ' || (unsigned char)token[i] >= 0x7f)
            return err_set(e, ERR_UNAUTHENTICATED, "the token holds what cannot be in one");
    *ret = mem_printf("Bearer %.*s", (int)(len - skip), token + skip);
    return 0;
}

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static char *copy(const char *s)
{
    return s ? mem_strdup(s) : NULL;
}

/* A new material becomes the current one, unless it is the same as that. */
static void adopt(struct kube_credentials *c, struct kube_material *m)
{
    struct kube_material *old = c->material;
    c->why = (struct err){0};
    if (old && same(old->tls.ca, m->tls.ca) && same(old->tls.cert, m->tls.cert) &&
        same(old->tls.key, m->tls.key) && same(old->bearer, m->bearer)) {
        old->expires_ms = m->expires_ms;
        kube_material_drop(m);
        return;
    }
    c->material = m;
    kube_material_drop(old);
}

/* What the look and the program found, in their order of worth. */
static int combine(struct kube_credentials *c, const struct look *l,
                   const struct kube_exec_answer *a, struct err *e)
{
    const struct kube_config *k = c->config;
    const char *cert = a && a->cert ? a->cert : k->cert ? k->cert : l->texts[CERT];
    const char *key = a && a->cert ? a->key : k->key ? k->key : l->texts[KEY];
    const char *token = l->texts[TOKEN] ? l->texts[TOKEN] : k->token;
    if (a && a->token)
        token = a->token;
    for (int i = CA; i <= TOKEN; i++)
        if (l->why[i].code && (i != TOKEN || !token)) {
            *e = l->why[i];
            return -1;
        }
    char *bearer = NULL;
    if (token && make_bearer(token, &bearer, e) < 0)
        return -1;
    struct kube_material *m = mem_new(struct kube_material);
    m->held = 1;
    m->tls.ca = copy(k->ca ? k->ca : l->texts[CA]);
    m->tls.cert = copy(cert);
    m->tls.key = copy(key);
    m->bearer = bearer;
    m->expires_ms = a ? a->expires_ms : 0;
    adopt(c, m);
    return 0;
}

/* ---- looking ---- */

static void begin(struct kube_credentials *c);

static bool is_expired(const struct kube_material *m)
{
    return m->expires_ms && clock_wall_ms() >= m->expires_ms;
}

static void on_timer(uv_timer_t *timer)
{
    begin(timer->data);
}

/* When to look next, after a look. */
static void plan_next(struct kube_credentials *c)
{
    const struct kube_config *k = c->config;
    bool has_files = k->ca_file || k->cert_file || k->key_file || k->token_file;
    int64_t wait_ms = has_files ? c->options.reread_ms : 0;
    if (c->material && c->material->expires_ms) {
        int64_t left_ms = c->material->expires_ms - EARLY_MS - clock_wall_ms();
        if (left_ms < LEAST_BETWEEN_MS)
            left_ms = LEAST_BETWEEN_MS;
        wait_ms = left_ms;
    }
    /* A program is run for nothing but its end: it may ask a person's phone each time. */
    if (k->exec && c->material && !c->material->expires_ms)
        wait_ms = 0;
    if (wait_ms)
        uv_timer_start(&c->timer, on_timer, (uint64_t)wait_ms, 0);
}

static void look_is_over(struct kube_credentials *c, struct look *l,
                         const struct kube_exec_answer *a, const struct err *why)
{
    struct err e = {0};
    if (why)
        e = *why;
    else if (combine(c, l, a, &e) == 0)
        e = (struct err){0};
    if (e.code) {
        err_wrap(&e, "could not learn who we are to the cluster");
        c->why = e;
    }
    look_free(l);
    c->rejected = false;
    c->tried_ms = clock_mono_ms();
    plan_next(c);
    c->options.on_change(c->options.arg);
}

static void on_exec_done(void *arg, struct kube_exec_answer *a, const struct err *why)
{
    struct kube_credentials *c = arg;
    c->run = NULL;
    look_is_over(c, TAKE(c->looked), a, why);
}

static void read_files(uv_work_t *work)
{
    struct look *l = work->data;
    for (int i = CA; i <= TOKEN; i++) {
        size_t len;
        if (!l->paths[i] || file_read(l->paths[i], MOST_BYTES, &l->texts[i], &len, &l->why[i]) < 0)
            continue;
        if (memchr(l->texts[i], '\0', len)) {
            err_set(&l->why[i], ERR_INVALID, "file '%.200s' is no text", l->paths[i]);
            free(TAKE(l->texts[i]));
        }
    }
}

static void on_files_read(uv_work_t *work, int status)
{
    struct look *l = work->data;
    struct kube_credentials *c = l->credentials;
    (void)status;
    if (!c) {
        look_free(l);
        return;
    }
    c->look = NULL;
    if (!c->config->exec) {
        look_is_over(c, l, NULL, NULL);
        return;
    }
    c->looked = l;
    c->run = kube_exec_start(c->loop, c->config->exec, c->options.exec_limit_ms, on_exec_done, c);
}

static void begin(struct kube_credentials *c)
{
    const struct kube_config *k = c->config;
    if (c->look || c->run)
        return;
    uv_timer_stop(&c->timer);
    struct look *l = c->look = mem_new(struct look);
    l->credentials = c;
    l->work.data = l;
    l->paths[CA] = copy(k->ca_file);
    l->paths[CERT] = copy(k->cert_file);
    l->paths[KEY] = copy(k->key_file);
    l->paths[TOKEN] = copy(k->token_file);
    int rc = uv_queue_work(c->loop, &l->work, read_files, on_files_read);
    assert(rc == 0);
}

/* ---- for the client ---- */

struct kube_credentials *kube_credentials_new(uv_loop_t *loop, const struct kube_config *config,
                                              const struct kube_credentials_options *o)
{
    struct kube_credentials *c = mem_new(struct kube_credentials);
    c->loop = loop;
    c->config = config;
    c->options = *o;
    if (!c->options.reread_ms)
        c->options.reread_ms = REREAD_MS;
    if (!c->options.exec_limit_ms)
        c->options.exec_limit_ms = EXEC_LIMIT_MS;
    uv_timer_init(loop, &c->timer);
    c->timer.data = c;
    begin(c);
    return c;
}

struct kube_material *kube_credentials_hold(struct kube_credentials *c, struct err *e)
{
    struct err none = {0};
    *e = none;
    if (c->material && !is_expired(c->material) && !c->rejected) {
        c->material->held++;
        return c->material;
    }
    if (c->look || c->run)
        return NULL;
    if (clock_mono_ms() - c->tried_ms < LEAST_BETWEEN_MS && c->tried_ms) {
        if (c->why.code)
            *e = c->why;
        else
            err_set(e, ERR_UNAUTHENTICATED, "who we are to the cluster has run out");
        return NULL;
    }
    begin(c);
    return NULL;
}

bool kube_credentials_reject(struct kube_credentials *c, const struct kube_material *m)
{
    const struct kube_config *k = c->config;
    if (c->material && c->material != m && !is_expired(c->material))
        return true; /* another one came meanwhile */
    if (!k->exec && !k->token_file && !k->cert_file)
        return false;
    begin(c);
    c->rejected = true;
    return true;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void kube_credentials_free(struct kube_credentials *c)
{
    if (!c)
        return;
    if (c->look)
        c->look->credentials = NULL;
    if (c->run)
        kube_exec_cancel(c->run);
    look_free(c->looked);
    kube_material_drop(c->material);
    uv_close((uv_handle_t *)&c->timer, on_closed);
}
