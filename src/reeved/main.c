/*
 * reeved: the control plane. The main thread is the engine's owner; the door has a thread of its
 * own. Here they are joined: options, files for others to find, signals, start and end.
 */
#include "api/api.h"
#include "api/job_cluster.h"
#include "api/job_in.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/file.h"
#include "base/json_out.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/addr.h"
#include "net/loop.h"
#include "net/own_cert.h"
#include "operator/reconciler.h"
#include "reeved/kube.h"
#include "reeved/options.h"
#include "reeved/redis_face.h"
#include "tsdb/tsdb.h"

#include <malloc.h>
#include <signal.h>
#include <sys/stat.h>

struct program {
    struct reeved_options options;
    int argc; /* behind the program's name */
    char **argv;
    uv_loop_t loop;
    uv_async_t door_stopped;
    uv_signal_t on_term, on_int, on_hup;
    bool stopping;
    int exit_code;

    struct template_set *templates;
    bool clusters_have_image; /* for jobs that name none */
    const struct log_store_ops *log_ops;
    struct log_store *logs;
    struct tsdb *tsdb;
    const char **hosts;
    char *unix_path, *page;
    char *jobs_ns;  /* of the cluster; NULL: there is none */
    char *own_cert; /* the file of certificate and key that we made; NULL: we did not */
    uv_timer_t cert_tick;
    uv_work_t cert_work;
    struct api *api;
    struct engine *engine;
    char *positions, *ca_pem;
    struct cluster *cluster;       /* NULL: there is none */
    struct reconciler *reconciler; /* the same */
    struct redis_face *redis;      /* the same */
};

/* ---- the end ---- */

/* On the door's thread. */
static void on_door_stopped(void *arg)
{
    struct program *p = arg;
    uv_async_send(&p->door_stopped);
}

static void on_all_stopped(uv_async_t *async)
{
    struct program *p = async->data;
    uv_stop(&p->loop);
}

static void begin_stop(struct program *p, int exit_code)
{
    if (p->stopping) { /* asked twice: no more waiting for clients */
        if (p->exit_code == 0)
            uv_stop(&p->loop);
        return;
    }
    p->stopping = true;
    p->exit_code = exit_code;
    api_stop(p->api, on_door_stopped, p);
}

static void on_stop_signal(uv_signal_t *signal, int number)
{
    (void)number;
    log_info("ending");
    begin_stop(signal->data, 0);
}

static void on_broken(void *arg, const struct err *why)
{
    struct program *p = arg;
    log_error("the store cannot be relied on any more, ending", F_ERR(why));
    if (p->api && p->engine)
        begin_stop(p, err_exit(why->code));
}

/* Its texts are O's. */
static struct engine_config engine_config(const struct reeved_options *o)
{
    struct engine_config config = {
        .store = o->store,
        .silence_ms = o->silence_ms,
        .retry_pause_ms = o->retry_pause_ms,
        .workers = (unsigned)o->workers,
        .policy = {.gate_off = !o->gate,
                   .gate_free_mib = o->gate_free_bytes >> 20,
                   .gate_gpu_pct = o->gate_gpu_pct,
                   .gate_cpu_pct = o->gate_cpu_pct,
                   .gate_memory_pct = o->gate_memory_pct,
                   .gpu_hour_micros = o->gpu_hour_micros,
                   .kwh_micros = o->kwh_micros,
                   .pue_milli = o->pue_micros / 1000,
                   .lost_after_ms = o->lost_after_ms},
    };
    snprintf(config.policy.currency, sizeof config.policy.currency, "%s", o->currency);
    return config;
}

static void on_needs_restart(void *arg, const char *name)
{
    (void)arg;
    log_warn("an option has changed that only a restart takes over", F_TEXT("option", name));
}

/* The options once more, as at the start: what is wrong changes nothing. */
static void reload_options(struct program *p)
{
    struct err e = {0};
    struct reeved_options now;
    if (reeved_options_read(p->argc, p->argv, &now, &e) < 0) {
        log_error("could not read the options again, keeping them as they are", F_ERR(&e));
        option_done(&reeved_option_table, &now);
        return;
    }
    struct engine_config config = engine_config(&now);
    reeved_options_compare(&p->options, &now, on_needs_restart, NULL);
    bool changed = engine_reload(p->engine, &config);
    log_info(changed ? "certificate, page and options loaded again; the policy has changed"
                     : "certificate, page and options loaded again");
    option_done(&reeved_option_table, &now);
}

static void on_hup(uv_signal_t *signal, int number)
{
    struct program *p = signal->data;
    (void)number;
    api_reload(p->api);
    reload_options(p);
}

/* ---- files for others ---- */

static int write_ports(struct program *p, uint16_t port, struct err *e)
{
    auto_free char *path = mem_printf("%s/reeved.ports", p->options.data);
    auto_text struct text t = {0}, listen = {0};
    struct net_addr addr;
    if (net_addr_parse(p->options.listen, &addr, e) < 0)
        return -1;
    bool is_v6 = strchr(addr.host, ':') != NULL;
    const char *host = addr.host[0] ? addr.host : "0.0.0.0";
    text_addf(&listen, is_v6 ? "[%s]:%u" : "%s:%u", host, port);
    struct json_out o = {.text = &t};
    jo_object(&o, NULL);
    jo_text(&o, "listen", text_get(&listen));
    jo_text(&o, "address", host);
    jo_int(&o, "port", port);
    jo_int(&o, "api", port);
    jo_bool(&o, "tls", p->options.tls_cert || p->own_cert);
    jo_end(&o);
    text_add_char(&t, '\n');
    return file_replace(path, text_get(&t), t.len, 0644, e);
}

/* The store is new. Only the token's hash is in it, so if this fails nobody has the token; the unix
 * socket still lets this account in, to make another one. */
static int write_admin_token(struct program *p, const char *token, struct err *e)
{
    auto_free char *path = mem_printf("%s/admin.token", p->options.data);
    auto_text struct text t = {0};
    if (FAILPOINT("reeved.admin-token"))
        return err_set(e, ERR_INTERNAL, "failpoint reeved.admin-token");
    text_addf(&t, "# the token of user admin, sent as \"Authorization: Bearer TOKEN\"\n%s\n",
              token);
    if (file_replace(path, text_get(&t), t.len, 0600, e) < 0)
        return -1;
    if (isatty(STDOUT_FILENO))
        printf("admin token: %s\n", token);
    log_info("the store is new; wrote the administrator's token", F_TEXT("file", path));
    return 0;
}

/* ---- the start ---- */

static int prepare_data(struct program *p, struct err *e)
{
    /* Jobs' folders may be below it, and jobs are other users: they pass through, but do not list.
     */
    if (file_make_folder(p->options.data, 0711, e) < 0)
        return -1;
    umask(077);
    auto_free char *logs = mem_printf("%s/logs", p->options.data);
    auto_free char *address = mem_printf("directory:%s", logs);
    struct log_limits limits = {.attempt_bytes = p->options.log_bytes};
    if (file_make_folder(logs, 0700, e) < 0)
        return -1;
    return log_store_open(address, &limits, &p->log_ops, &p->logs, e);
}

static int load_templates(struct program *p, struct err *e)
{
    static const char *const folders[] = {"../share/reeve/examples", "../../examples"};
    auto_free char *examples = NULL;
    for (size_t i = 0; i < COUNT_OF(folders) && !examples; i++) {
        auto_free char *path = mem_printf("%s/%s", file_program_folder(), folders[i]);
        examples = realpath(path, NULL);
    }
    struct cluster_config config;
    if (template_set_load(p->options.template_dir, examples ? examples : "/usr/share/reeve",
                          &p->templates, e) < 0 ||
        kube_read_options(&p->options, &config, e) < 0)
        return -1;
    const char *argo = config.kube ? config.settings.template : NULL;
    p->clusters_have_image = config.kube && config.settings.image;
    if (config.kube)
        p->jobs_ns = mem_strdup(config.settings.ns ? config.settings.ns : config.kube->ns);
    int rc = argo ? template_set_use_argo(p->templates, argo, e) : 0;
    kube_options_done(&config);
    return rc;
}

/* Where the page's files are: what --web says, else beside us; without one there is no page. */
static char *find_page(const struct reeved_options *o)
{
    static const char *const folders[] = {"../share/reeve/web", "../../web/page"};
    if (o->web)
        return *o->web ? mem_strdup(o->web) : NULL;
    for (size_t i = 0; i < COUNT_OF(folders); i++) {
        auto_free char *path = mem_printf("%s/%s", file_program_folder(), folders[i]);
        auto_free char *index = mem_printf("%s/index.html", path);
        if (access(index, R_OK) == 0)
            return realpath(path, NULL);
    }
    return NULL;
}

static int check_exposure(const struct reeved_options *o, struct err *e)
{
    struct net_addr addr;
    if (net_addr_parse(o->listen, &addr, e) < 0)
        return err_wrap(e, "option --listen");
    bool loopback = net_host_is_loopback(addr.host);
    if (!loopback && strcmp(o->source_api, "open") == 0)
        return err_set(e, ERR_DENIED, "--source-api open is for loopback only, not for '%s'",
                       o->listen);
    if (!loopback && !o->tls_cert && !o->tls_auto && o->insecure)
        log_warn("listening without TLS: whoever sees the traffic has the tokens",
                 F_TEXT("listen", o->listen));
    return 0;
}

/* ---- a certificate of our own ---- */

static int make_cert(struct program *p, struct err *e)
{
    auto_free char *folder = mem_printf("%s/tls", p->options.data);
    return own_cert_ensure(folder, p->hosts, clock_wall_ms(), NULL, e);
}

/* On a thread of libuv's. */
static void renew_cert(uv_work_t *work)
{
    struct err e = {0};
    if (make_cert(work->data, &e) < 0)
        log_error("could not renew the certificate, trying again tomorrow", F_ERR(&e));
}

static void on_cert_tick(uv_timer_t *timer)
{
    struct program *p = timer->data;
    uv_queue_work(&p->loop, &p->cert_work, renew_cert, NULL); /* the door sees the new file */
}

static int start_cert(struct program *p, struct err *e)
{
    enum { DAY_MS = 86400000 };
    if (!p->options.tls_auto)
        return 0;
    if (make_cert(p, e) < 0)
        return -1;
    p->own_cert = mem_printf("%s/tls/server.pem", p->options.data);
    p->cert_work.data = p->cert_tick.data = p;
    uv_timer_init(&p->loop, &p->cert_tick);
    uv_timer_start(&p->cert_tick, on_cert_tick, DAY_MS, DAY_MS);
    uv_unref((uv_handle_t *)&p->cert_tick);
    return 0;
}

static void read_hosts(struct program *p)
{
    const struct option_list *hosts = &p->options.hosts;
    p->hosts = mem_new_array(const char *, hosts->count + 1);
    for (size_t i = 0; i < hosts->count; i++)
        p->hosts[i] = hosts->items[i];
}

/* Agents that are pods show a token of the cluster's. On the door's thread. */
static bool vouch(void *arg, const char *token,
                  void (*on_done)(void *own, const char *node, const struct err *why), void *own)
{
    const struct program *p = arg;
    return cluster_vouch(p->cluster, token, on_done, own);
}

static int start_door(struct program *p, struct err *e)
{
    const struct reeved_options *o = &p->options;
    p->unix_path = mem_printf("%s/reeved.sock", o->data);
    p->page = find_page(o);
    read_hosts(p);
    if (start_cert(p, e) < 0)
        return -1;
    struct api_config config = {
        .listen = o->listen,
        .unix_path = p->unix_path,
        .certificate = p->own_cert ? p->own_cert : o->tls_cert,
        .key = p->own_cert ? p->own_cert : o->tls_key,
        .insecure = o->insecure,
        .hosts = p->hosts,
        .page = p->page,
        .mask_users = o->mask_users,
        .source_open = strcmp(o->source_api, "open") == 0,
        .sample_ms = o->sample_ms,
        .argo_url = o->argo_url,
        .argo_ns = p->jobs_ns,
        .templates = p->templates,
        .allow_tolerations = o->allow_tolerations,
        .log_ops = p->log_ops,
        .logs = p->logs,
        .tsdb = p->tsdb,
        .redis = {.metrics = p->redis ? redis_face_metrics : NULL,
                  .status = redis_face_status,
                  .arg = p->redis},
        .voucher = {.ask = o->kube_agents && strcmp(o->kube, "off") != 0 ? vouch : NULL, .arg = p},
    };
    uint16_t port;
    if (api_start(&config, &p->api, &port, e) < 0 || write_ports(p, port, e) < 0)
        return -1;
    log_info("listening", F_TEXT("address", o->listen), F_INT("port", port));
    return 0;
}

static int start_engine(struct program *p, struct err *e)
{
    struct engine_config config = engine_config(&p->options);
    config.clusters_have_image = p->clusters_have_image;
    struct engine_hooks hooks = {.on_broken = on_broken, .arg = p};
    auto_free char *token = NULL;
    if (engine_start(&p->loop, &config, &hooks, &p->engine, &token, e) < 0)
        return -1;
    return token ? write_admin_token(p, token, e) : 0;
}

/* On the cluster's thread. */
static void on_progress(void *arg, int64_t job, int64_t n, int64_t done, int64_t total)
{
    struct program *p = arg;
    api_set_progress(p->api, job, n, done, total);
}

/* ---- custom resources, on the cluster's thread ---- */

static int read_job(void *arg, const json_t *job, struct submission *ret, struct err *e)
{
    const struct program *p = arg;
    const char *user;
    if (job_in_read(job, ret, &user, e) < 0 ||
        job_cluster_check_leave(ret, p->options.allow_tolerations, e) < 0)
        return -1;
    if (!user)
        return 0;
    err_set(e, ERR_DENIED, "field 'user' is not for custom resources: they act as their namespace");
    return err_blame(e, "user");
}

static void start_guest(void *arg, struct engine *g, struct kube_client *client,
                        struct mailbox *box)
{
    reconciler_start(arg, g, client, box);
}

static void stop_guest(void *arg)
{
    reconciler_stop(arg);
}

static void prepare_operator(struct program *p, struct cluster_config *config)
{
    struct reconciler_config c = {.read_job = read_job,
                                  .arg = p,
                                  .hold_image = p->options.kube_hold_image,
                                  .fallback_image = config->settings.image};
    if (strcmp(p->options.kube_operator, "on") != 0)
        return;
    p->reconciler = reconciler_new(&c);
    config->guest = (struct cluster_guest){start_guest, stop_guest, p->reconciler};
}

static int start_cluster(struct program *p, struct err *e)
{
    struct cluster_config config;
    if (kube_read_options(&p->options, &config, e) < 0)
        return -1;
    if (!config.kube) {
        kube_options_done(&config);
        return 0;
    }
    p->positions = mem_printf("%s/cluster-output.json", p->options.data);
    config.positions = p->positions;
    config.log_ops = p->log_ops;
    config.logs = p->logs;
    config.on_progress = on_progress;
    config.arg = p;
    if (config.ca_map && p->options.tls_auto) {
        auto_free char *path = mem_printf("%s/tls/ca.pem", p->options.data);
        if (file_read(path, 1 << 20, &p->ca_pem, &(size_t){0}, e) < 0) {
            kube_options_done(&config);
            return -1;
        }
        config.ca_pem = p->ca_pem;
    }
    prepare_operator(p, &config);
    return cluster_start(p->engine, &config, &p->cluster, e);
}

static void start_handles(struct program *p)
{
    const struct {
        uv_signal_t *handle;
        int number;
        void (*fn)(uv_signal_t *, int);
    } signals[] = {{&p->on_term, SIGTERM, on_stop_signal},
                   {&p->on_int, SIGINT, on_stop_signal},
                   {&p->on_hup, SIGHUP, on_hup}};
    for (size_t i = 0; i < COUNT_OF(signals); i++) {
        uv_signal_init(&p->loop, signals[i].handle);
        signals[i].handle->data = p;
        uv_signal_start(signals[i].handle, signals[i].fn, signals[i].number);
        uv_unref((uv_handle_t *)signals[i].handle);
    }
}

static int start(struct program *p, struct err *e)
{
    const struct reeved_options *o = &p->options;
    struct tsdb_limits samples = {.retention_ms = o->sample_retention_ms,
                                  .most_bytes = o->sample_bytes};
    if (log_setup("reeved", o->log_format, o->log_level, e) < 0 || check_exposure(o, e) < 0 ||
        load_templates(p, e) < 0 || redis_face_new(o, p->templates, &p->redis, e) < 0 ||
        prepare_data(p, e) < 0)
        return -1;
    p->tsdb = tsdb_new(&samples);
    if (start_door(p, e) < 0 || start_engine(p, e) < 0 || start_cluster(p, e) < 0 ||
        redis_face_start(p->redis, p->engine, e) < 0)
        return -1;
    start_handles(p);
    api_open(p->api, p->engine);
    log_info("ready", F_TEXT("version", REEVE_VERSION), F_TEXT("data", o->data));
    return 0;
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void finish(struct program *p)
{
    cluster_stop(p->cluster);
    redis_face_stop(p->redis);
    engine_stop(p->engine);
    cluster_free(p->cluster);
    reconciler_free(p->reconciler);
    redis_face_free(p->redis);
    api_free(p->api);
    if (p->logs)
        p->log_ops->close(p->logs);
    tsdb_free(p->tsdb);
    template_set_free(p->templates);
    free(p->hosts);
    free(p->unix_path);
    free(p->page);
    free(p->jobs_ns);
    free(p->positions);
    free(p->ca_pem);
    free(p->own_cert);
    uv_walk(&p->loop, close_handle, NULL);
    uv_run(&p->loop, UV_RUN_DEFAULT);
    uv_loop_close(&p->loop);
    option_done(&reeved_option_table, &p->options);
}

static bool asks_for(int argc, char **argv, const char *word)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], word) == 0)
            return true;
    return false;
}

int main(int argc, char **argv)
{
    static struct program p;
    struct err e = {0};
    if (option_wants_help(argc - 1, argv + 1)) {
        auto_text struct text help = {0};
        option_help(&reeved_option_table, &help);
        fputs(text_get(&help), stdout);
        return 0;
    }
    if (asks_for(argc, argv, "--version")) {
        printf("reeved %s\n", REEVE_VERSION);
        return 0;
    }

    /* Else the C library keeps ever larger blocks in its heap once one such was given back (a
     * packed snapshot, say), and what a queue of a million jobs leaves there costs it a third more
     * memory. */
    mallopt(M_MMAP_THRESHOLD, 128 << 10);
    signal(SIGPIPE, SIG_IGN);
    loop_raise_open_files();
    uv_loop_init(&p.loop);
    uv_async_init(&p.loop, &p.door_stopped, on_all_stopped);
    p.door_stopped.data = &p;
    p.argc = argc - 1;
    p.argv = argv + 1;
    int rc = reeved_options_read(p.argc, p.argv, &p.options, &e);
    if (rc == 0)
        rc = start(&p, &e);
    if (rc == 0)
        uv_run(&p.loop, UV_RUN_DEFAULT);
    else
        fprintf(stderr, "reeved: %s\n", e.text);
    int exit_code = rc < 0 ? err_exit(e.code) : p.exit_code;
    finish(&p);
    return exit_code;
}
