#include "reeved/options.h"

#include "base/mem.h"

#define AT(member) offsetof(struct reeved_options, member)
#define GIB        (INT64_C(1) << 30)
#define DAY_MS     INT64_C(86400000)

/* clang-format off */
static const struct option_spec specs[] = {
    {"config", 'c', OPTION_TEXT, AT(config), "FILE", NULL, 0, 0,
     "YAML file with these options as keys; prices, gate, silence, lost-after and retry-pause are "
     "taken over at SIGHUP", .flag_only = true},
    {"data", 'd', OPTION_TEXT, AT(data), "DIR", NULL, 0, 0,
     "folder of database, logs, socket and admin.token (default /var/lib/reeve as root, else "
     "$XDG_STATE_HOME/reeve)"},
    {"store", 0, OPTION_TEXT, AT(store), "ADDRESS", NULL, 0, 0,
     "where the rows are kept: sqlite:PATH or memory: (default sqlite:DIR/reeve.db)"},

    {"listen", 'l', OPTION_TEXT, AT(listen), "ADDR:PORT", "127.0.0.1:8081", 0, 0,
     "where the API answers; port 0 takes a free one, which DIR/reeved.ports names"},
    {"tls-cert", 0, OPTION_TEXT, AT(tls_cert), "FILE", NULL, 0, 0,
     "certificate (PEM), needed where the address is not on loopback; read again when it changes "
     "and at SIGHUP"},
    {"tls-key", 0, OPTION_TEXT, AT(tls_key), "FILE", NULL, 0, 0, "the certificate's key"},
    {"tls-auto", 0, OPTION_FLAG, AT(tls_auto), NULL, NULL, 0, 0,
     "make the certificate, and the authority that signs it, for localhost and the names of --host; "
     "clients trust DIR/tls/ca.pem"},
    {"insecure", 0, OPTION_FLAG, AT(insecure), NULL, NULL, 0, 0,
     "listen beyond loopback without TLS: tokens can be read on the way"},
    {"host", 0, OPTION_LIST, AT(hosts), "NAME", NULL, 0, 0,
     "a further name that clients may call this server by; * for any"},
    {"source-api", 0, OPTION_TEXT, AT(source_api), "open|token", "token", 0, 0,
     "open: /submit, /queue and /jobs/ID need no token; only on loopback"},
    {"mask-users", 0, OPTION_FLAG, AT(mask_users), NULL, NULL, 0, 0,
     "do not show users whose the others' jobs are"},
    {"template-dir", 0, OPTION_TEXT, AT(template_dir), "DIR", NULL, 0, 0,
     "folder of job templates, NAME.yaml; proto-gcn.yaml is what /submit runs"},
    {"allow-tolerations", 0, OPTION_TEXT, AT(allow_tolerations), "LIST", NULL, 0, 0,
     "taints besides those of GPUs that jobs may tolerate: key,key=value:Effect,...; * for any"},

    {"web", 0, OPTION_TEXT, AT(web), "DIR", NULL, 0, 0,
     "folder of the page's files (default: the one installed with this program); \"\" for no page"},
    {"argo-url", 0, OPTION_TEXT, AT(argo_url), "URL", NULL, 0, 0,
     "where browsers find Argo's own page (https://HOST:2746): jobs that are Workflows lead to it"},

    {"price-gpu-hour", 0, OPTION_MICROS, AT(gpu_hour_micros), "AMOUNT", "0.30", 0, 0,
     "price of an hour of a GPU, without electricity"},
    {"price-kwh", 0, OPTION_MICROS, AT(kwh_micros), "AMOUNT", "0.15", 0, 0,
     "price of a kilowatt hour"},
    {"pue", 0, OPTION_MICROS, AT(pue_micros), "FACTOR", "1.0", 1000000, 10000000,
     "energy of the whole site per energy of its machines"},
    {"currency", 0, OPTION_TEXT, AT(currency), "CODE", "USD", 0, 0, "currency of these prices"},

    {"gate", 0, OPTION_FLAG, AT(gate), NULL, "true", 0, 0,
     "start jobs only where the machine and the GPU are not busy with other things"},
    {"gate-free-memory", 0, OPTION_BYTES, AT(gate_free_bytes), "BYTES", "2GiB", 0, 1024 * GIB,
     "a GPU with less free memory is busy"},
    {"gate-gpu", 0, OPTION_INT, AT(gate_gpu_pct), "PERCENT", "80", 1, 100,
     "a GPU used so much is busy; 100 is no limit"},
    {"gate-cpu", 0, OPTION_INT, AT(gate_cpu_pct), "PERCENT", "90", 1, 100,
     "a machine whose CPU others use so much is busy; 100 is no limit"},
    {"gate-memory", 0, OPTION_INT, AT(gate_memory_pct), "PERCENT", "85", 1, 100,
     "a machine whose memory others use so much is busy; 100 is no limit"},
    {"silence", 0, OPTION_DURATION, AT(silence_ms), "TIME", "15s", 1000, DAY_MS,
     "a node not heard for so long is unknown: its GPUs are not given out"},
    {"lost-after", 0, OPTION_DURATION, AT(lost_after_ms), "TIME", "5m", 1000, 30 * DAY_MS,
     "after this long jobs of an unknown node are tried elsewhere, unless they are exclusive"},
    {"retry-pause", 0, OPTION_DURATION, AT(retry_pause_ms), "TIME", "1s", 0, 60000,
     "a job whose second attempt was lost waits so long, and each time twice as long, at most 60s; "
     "0: it never does"},
    {"sample", 0, OPTION_DURATION, AT(sample_ms), "TIME", "5s", 1000, 3600000,
     "how often agents measure"},

    {"kube", 0, OPTION_TEXT, AT(kube), "off|auto|in-cluster|FILE", "off", 0, 0,
     "the Kubernetes cluster whose nodes belong to the fleet: by this kubeconfig, or as the pod that "
     "this is; auto: as a pod, else by $KUBECONFIG or ~/.kube/config where there is one"},
    {"kube-context", 0, OPTION_TEXT, AT(kube_context), "NAME", NULL, 0, 0,
     "context of the kubeconfig (default: its current one)"},
    {"kube-name", 0, OPTION_TEXT, AT(kube_name), "NAME", "kubernetes", 0, 0,
     "what the cluster is called here; its nodes show it"},
    {"kube-namespace", 0, OPTION_TEXT, AT(kube_namespace), "NAME", NULL, 0, 0,
     "namespace of the jobs' pods (default: as --kube-settings say, else the context's)"},
    {"kube-image", 0, OPTION_TEXT, AT(kube_image), "IMAGE", NULL, 0, 0,
     "image of jobs that name none; without one they run on machines only"},
    {"kube-runner", 0, OPTION_TEXT, AT(kube_runner), "kube-pod|kube-job|argo|argo-server", NULL, 0,
     0, "how jobs run that do not say it (default kube-pod)"},
    {"kube-settings", 0, OPTION_TEXT, AT(kube_settings), "FILE", NULL, 0, 0,
     "YAML file of what jobs' pods get: mounts, pull secrets, service account, what is added to "
     "every pod"},
    {"kube-operator", 0, OPTION_TEXT, AT(kube_operator), "on|off", "on", 0, 0,
     "whether TrainingJobs and GPUAllocations of the cluster become jobs: of namespaces that an "
     "administrator gave a user (annotation reeve.gpu/user)"},
    {"kube-hold-image", 0, OPTION_TEXT, AT(kube_hold_image), "IMAGE", NULL, 0, 0,
     "image of the agent, in whose pods GPUAllocations hold their GPU (default: --kube-image, which "
     "must have sh and sleep)"},
    {"kube-start-limit", 0, OPTION_DURATION, AT(kube_start_limit_ms), "TIME", "10m", 10000, DAY_MS,
     "a pod that has not started after so long is given up: an image that cannot be pulled, say"},
    {"kube-keep", 0, OPTION_DURATION, AT(kube_keep_ms), "TIME", "10m", 0, 30 * DAY_MS,
     "how long pods and other objects of jobs stay after their end"},
    {"kube-agents", 0, OPTION_TEXT, AT(kube_agents), "NAMESPACE/NAME", NULL, 0, 0,
     "service account of agents that run as pods: they need no one-time tokens"},
    {"kube-ca", 0, OPTION_TEXT, AT(kube_ca), "NAMESPACE/NAME", NULL, 0, 0,
     "ConfigMap that gets the authority of --tls-auto, for agents that run as pods"},

    {"redis", 0, OPTION_TEXT, AT(redis), "URL", NULL, 0, 0,
     "show the queue in this Redis and take in jobs that are pushed there: "
     "redis://[user:password@]host:port/db, rediss:// for TLS, unix:/path; a password is safer in a "
     "file, or in REEVE_REDIS, than on the command line"},
    {"redis-password-file", 0, OPTION_TEXT, AT(redis_password_file), "FILE", NULL, 0, 0,
     "file with the password of Redis, read at each connect"},
    {"redis-users", 0, OPTION_LIST, AT(redis_users), "NAME,...", NULL, 0, 0,
     "take in only jobs of these users (default: of every user that exists)"},
    {"redis-ca", 0, OPTION_TEXT, AT(redis_ca), "FILE", NULL, 0, 0,
     "who may have signed the certificate of Redis (PEM; default: the system's)"},
    {"redis-cert", 0, OPTION_TEXT, AT(redis_cert), "FILE", NULL, 0, 0,
     "certificate to show to Redis (PEM)"},
    {"redis-key", 0, OPTION_TEXT, AT(redis_key), "FILE", NULL, 0, 0, "that certificate's key"},

    {"log-bytes", 0, OPTION_BYTES, AT(log_bytes), "BYTES", "64MiB", 1 << 16, 64 * GIB,
     "output kept of one attempt: its first and its last half"},
    {"sample-retention", 0, OPTION_DURATION, AT(sample_retention_ms), "TIME", "1h", 60000,
     7 * DAY_MS, "how long samples are kept"},
    {"sample-bytes", 0, OPTION_BYTES, AT(sample_bytes), "BYTES", "64MiB", 1 << 20, 64 * GIB,
     "memory for samples; the oldest go first"},
    {"workers", 0, OPTION_INT, AT(workers), "N", "2", 1, 64,
     "threads that read the store for answers"},
    {"log-format", 0, OPTION_TEXT, AT(log_format), "FORMAT", "auto", 0, 0,
     "our own log: auto, human or json"},
    {"log-level", 0, OPTION_TEXT, AT(log_level), "LEVEL", "info", 0, 0,
     "our own log: debug, info, warn or error"},
};
/* clang-format on */

const struct option_table reeved_option_table = {
    .program = "reeved",
    .summary = "Reeve's control plane: queue, scheduler, ledger, API",
    .operands = "",
    .specs = specs,
    .count = COUNT_OF(specs),
};

static char *default_data(void)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    if (geteuid() == 0)
        return mem_strdup("/var/lib/reeve");
    if (state && state[0] == '/')
        return mem_printf("%s/reeve", state);
    return home && home[0] == '/' ? mem_printf("%s/.local/state/reeve", home) : NULL;
}

static int check(const struct reeved_options *o, struct err *e)
{
    if (strcmp(o->source_api, "open") != 0 && strcmp(o->source_api, "token") != 0)
        return err_set(e, ERR_INVALID, "option --source-api is '%.20s', but must be open or token",
                       o->source_api);
    if (!o->tls_cert != !o->tls_key)
        return err_set(e, ERR_INVALID, "options --tls-cert and --tls-key go together");
    if (o->tls_auto && o->tls_cert)
        return err_set(e, ERR_INVALID, "options --tls-auto and --tls-cert exclude each other");
    if (strcmp(o->kube_operator, "on") != 0 && strcmp(o->kube_operator, "off") != 0)
        return err_set(e, ERR_INVALID, "option --kube-operator is '%.20s', but must be on or off",
                       o->kube_operator);
    if (o->argo_url && !text_starts_with(o->argo_url, "https://") &&
        !text_starts_with(o->argo_url, "http://"))
        return err_set(e, ERR_INVALID, "option --argo-url must begin with https:// or http://");
    if (strlen(o->currency) > 7 || !text_is_name(o->currency, 7))
        return err_set(e, ERR_INVALID, "option --currency is '%.20s', which is no currency's code",
                       o->currency);
    if (!o->data)
        return err_set(e, ERR_INVALID, "there is no home folder: give --data");
    return 0;
}

int reeved_options_read(int argc, char **argv, struct reeved_options *ret, struct err *e)
{
    const char *file = option_peek(argc, argv, "config");
    int operands = 0;
    *ret = (struct reeved_options){0};
    if (option_read(&reeved_option_table, argc, argv, file, file != NULL, ret, &operands, e) < 0)
        return -1;
    if (operands < argc)
        return err_set(e, ERR_INVALID, "'%.64s' is no option; try --help", argv[operands]);
    if (!ret->data)
        ret->data = default_data();
    if (check(ret, e) < 0)
        return -1;
    if (!ret->store)
        ret->store = mem_printf("sqlite:%s/reeve.db", ret->data);
    return 0;
}

/* What SIGHUP takes over: the policy, and what the engine reads again each time. */
static bool is_live(const char *name)
{
    static const char *const live[] = {
        "price-gpu-hour", "price-kwh", "pue",         "currency", "gate",       "gate-free-memory",
        "gate-gpu",       "gate-cpu",  "gate-memory", "silence",  "lost-after", "retry-pause",
    };
    for (size_t i = 0; i < COUNT_OF(live); i++)
        if (strcmp(live[i], name) == 0)
            return true;
    return false;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_value(const struct option_spec *s, const void *a, const void *b)
{
    const void *x = (const char *)a + s->offset, *y = (const char *)b + s->offset;
    const struct option_list *p = x, *q = y;
    switch (s->type) {
    case OPTION_FLAG:
        return *(const bool *)x == *(const bool *)y;
    case OPTION_TEXT:
        return same_text(*(char *const *)x, *(char *const *)y);
    case OPTION_LIST:
        if (p->count != q->count)
            return false;
        for (size_t i = 0; i < p->count; i++)
            if (!same_text(p->items[i], q->items[i]))
                return false;
        return true;
    default:
        return *(const int64_t *)x == *(const int64_t *)y;
    }
}

void reeved_options_compare(const struct reeved_options *before, const struct reeved_options *now,
                            void (*on_changed)(void *arg, const char *name), void *arg)
{
    for (size_t i = 0; i < COUNT_OF(specs); i++)
        if (!is_live(specs[i].name) && !same_value(&specs[i], before, now))
            on_changed(arg, specs[i].name);
}
