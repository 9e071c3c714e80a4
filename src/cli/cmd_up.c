/* up: the whole of Reeve on one machine, in the foreground. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/json_view.h"
#include "cli/page_link.h"
#include "cli/place.h"
#include "cli/up.h"

#define AT(member) offsetof(struct up_options, member)

static const struct option_spec specs[] = {
    {"data", 'd', OPTION_TEXT, AT(data), "DIR", NULL, 0, 0,
     "folder of database, logs and admin.token (default /var/lib/reeve as root, else "
     "$XDG_STATE_HOME/reeve)"},
    {"listen", 'l', OPTION_TEXT, AT(listen), "ADDR:PORT", "127.0.0.1:8081", 0, 0,
     "where the control plane answers; port 0 takes a free one, which DIR/reeved.ports names"},
    {"agent-listen", 0, OPTION_TEXT, AT(agent_listen), "ADDR:PORT", "127.0.0.1:8080", 0, 0,
     "where the agent answers /status and /metrics"},
    {"sim", 0, OPTION_TEXT, AT(sim), "SCENARIO", NULL, 0, 0,
     "simulate GPUs by this file, or by one of the simulator's own: rtx3080, h100x8, mixed, busy, "
     "... (without a GPU here an RTX 3080 is simulated anyway)"},
    {"node", 0, OPTION_TEXT, AT(node), "NAME", NULL, 0, 0,
     "name of this machine (default: its host name)"},
    {"no-agent", 0, OPTION_FLAG, AT(no_agent), NULL, NULL, 0, 0,
     "only the control plane; nodes are elsewhere"},
    {"shared-uid", 0, OPTION_FLAG, AT(shared_uid), NULL, NULL, 0, 0,
     "without root, let jobs of different users run under this one account"},
    {"config", 0, OPTION_TEXT, AT(config), "FILE", NULL, 0, 0,
     "configuration file for the control plane"},
    {"template-dir", 0, OPTION_TEXT, AT(template_dir), "DIR", NULL, 0, 0,
     "folder of job templates for the control plane"},
    {"redis", 0, OPTION_TEXT, AT(redis), "URL", NULL, 0, 0,
     "show the queue in this Redis and take in jobs that are pushed there: "
     "redis://[user:password@]host:port/db, rediss:// for TLS, unix:/path"},
    {"redis-password-file", 0, OPTION_TEXT, AT(redis_password_file), "FILE", NULL, 0, 0,
     "file with the password of Redis"},
    {"redis-users", 0, OPTION_TEXT, AT(redis_users), "NAME,...", NULL, 0, 0,
     "take in only jobs of these users"},
    {"redis-ca", 0, OPTION_TEXT, AT(redis_ca), "FILE", NULL, 0, 0,
     "who may have signed the certificate of Redis"},
    {"redis-cert", 0, OPTION_TEXT, AT(redis_cert), "FILE", NULL, 0, 0,
     "certificate to show to Redis"},
    {"redis-key", 0, OPTION_TEXT, AT(redis_key), "FILE", NULL, 0, 0, "that certificate's key"},
    {"kube", 0, OPTION_TEXT, AT(kube), "off|auto|in-cluster|FILE", NULL, 0, 0,
     "the Kubernetes cluster whose nodes belong to the fleet, too: by this kubeconfig, or auto"},
    {"kube-context", 0, OPTION_TEXT, AT(kube_context), "NAME", NULL, 0, 0,
     "context of the kubeconfig (default: its current one)"},
    {"kube-namespace", 0, OPTION_TEXT, AT(kube_namespace), "NAME", NULL, 0, 0,
     "namespace of the jobs' pods (default: the context's)"},
    {"kube-image", 0, OPTION_TEXT, AT(kube_image), "IMAGE", NULL, 0, 0,
     "image of jobs that name none; without one they run on machines only"},
    {"kube-runner", 0, OPTION_TEXT, AT(kube_runner), "kube-pod|kube-job|argo|argo-server", NULL, 0,
     0, "how jobs run in the cluster that do not say it (default kube-pod)"},
    {"kube-settings", 0, OPTION_TEXT, AT(kube_settings), "FILE", NULL, 0, 0,
     "YAML file of what jobs' pods get: mounts, pull secrets, what is added to every pod"},
    {"tls-cert", 0, OPTION_TEXT, AT(tls_cert), "FILE", NULL, 0, 0,
     "certificate for both addresses; needed where they are not on loopback"},
    {"tls-key", 0, OPTION_TEXT, AT(tls_key), "FILE", NULL, 0, 0, "the certificate's key"},
    {"insecure", 0, OPTION_FLAG, AT(insecure), NULL, NULL, 0, 0,
     "listen beyond loopback without TLS"},
    {"demo", 0, OPTION_FLAG, AT(demo), NULL, NULL, 0, 0,
     "let three users submit six trainings and watch; data in DIR/demo, emptied first",
     .flag_only = true},
    {"once", 0, OPTION_FLAG, AT(once), NULL, NULL, 0, 0,
     "with --demo: end when all has ended, with 0 when every job completed", .flag_only = true},
};

enum {
    LINK_MS = 595000, /* a link's time, less a little */
    LOOK_MS = 2000,   /* how often we look whether it was used */
};

/* On a line of its own, alike on every kind of output: other programs look for it. */
static void print_link(struct up *u)
{
    struct page_link link = {0};
    struct err e = {0};
    if (page_link_make(u->client, NULL, &link, &e) < 0) {
        u->link = 0;
        log_warn("no link to the page", F_ERR(&e));
        return;
    }
    u->link = link.id;
    u->link_until_ms = clock_mono_ms() + LINK_MS;
    printf("page: %s\n", link.url);
    fflush(stdout);
    page_link_done(&link);
}

/* A link works once: when somebody has used it, the next one is printed. One that nobody used in
 * its time is let go, or a screen would fill with them over night. */
static void renew_link(struct up *u)
{
    if (!u->link || page_link_look(u->client, u->link) != PAGE_LINK_GONE)
        return;
    bool in_time = clock_mono_ms() < u->link_until_ms;
    u->link = 0;
    if (in_time)
        print_link(u);
}

static void print_where(struct up *u)
{
    auto_free char *api = up_address(u, false), *agent = up_address(u, true);
    auto_text struct text gpus = {0};
    const char *scheme = u->o->tls_cert ? "https" : "http";
    printf("Reeve %s is up after %.1f s.\n\n", REEVE_VERSION,
           (double)(clock_mono_ms() - u->started_ms) / 1000);
    print_link(u);
    printf("      (signs a browser in as admin, once, within 10 minutes; 'reeve token link' makes "
           "another)\n\n");
    printf("  API          %s://%s/api/v1  (described by /openapi.json)\n", scheme, api);
    printf("  socket       %s  (what this command uses; no token)\n", u->socket);
    if (!u->o->no_agent) {
        up_describe_gpus(u, &gpus);
        printf("  this node    %s://%s/status, /metrics\n", scheme, agent);
        printf("  GPUs         %s\n", text_get(&gpus));
    }
    printf("  admin token  %s/admin.token\n", u->data);
    printf("  data         %s\n", u->data);
    if (u->log_folder)
        printf("  logs         %s\n", u->log_folder);
    if (u->shared_uid)
        printf("  jobs         of all users run under this one account (--shared-uid)\n");
    fflush(stdout);
}

/* "reeve", or the path by which it was called when it is not on the PATH: what we print can be
 * copied and works. */
static const char *program_name(void)
{
    static char path[4096];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
    const char *paths = getenv("PATH");
    if (len <= 0)
        return "reeve";
    path[len] = '\0';
    for (const char *p = paths ? paths : ""; *p;) {
        size_t n = strcspn(p, ":");
        auto_free char *candidate = mem_printf("%.*s/reeve", (int)n, p);
        auto_free char *real = realpath(candidate, NULL);
        if (real && strcmp(real, path) == 0)
            return "reeve";
        p += n + (p[n] == ':');
    }
    return path;
}

static void print_next(struct up *u)
{
    auto_free char *api = up_address(u, false);
    const char *reeve = program_name(), *scheme = u->o->tls_cert ? "https" : "http";
    auto_free char *usual = place_socket(), *flag = NULL;
    /* Another data folder than the usual ones is not found by itself. */
    if (!usual || strcmp(usual, u->socket) != 0)
        flag = mem_printf(" --server unix:%s", u->socket);
    const char *f = flag ? flag : "";
    printf("\nTry in another terminal:\n"
           "  %s submit%s --logs -- sh -c 'echo on $CUDA_VISIBLE_DEVICES; sleep 3'\n"
           "  %s top%s\n"
           "  %s list%s -o wide\n"
           "  %s status%s\n"
           "  curl -H \"Authorization: Bearer $(awk 'END{print $NF}' %s/admin.token)\" "
           "%s://%s/api/v1/queue\n"
           "Ctrl-C ends it; running jobs go on and are found again.\n",
           reeve, f, reeve, f, reeve, f, reeve, f, u->data, scheme, api);
    fflush(stdout);
}

static int stay(struct up *u, struct err *e)
{
    for (;;) {
        int rc = supervise_step(u->children, u->link ? LOOK_MS : 60000, e);
        if (rc != SUPERVISE_ON)
            return rc == SUPERVISE_ENDED ? 0 : -1;
        renew_link(u);
    }
}

static int run_service(struct up *u, struct err *e)
{
    if (up_start(u, e) < 0)
        return e->code ? -1 : 0;
    print_where(u);
    print_next(u);
    return stay(u, e);
}

static int run_demo(struct up *u, struct cli *c, struct err *e)
{
    if (demo_prepare(u, e) < 0 || up_start(u, e) < 0)
        return e->code ? -1 : 0;
    print_where(u);
    int code = demo_run(u, c, e);
    if (code >= 0 && !u->o->once) {
        print_next(u);
        code = stay(u, e);
    }
    demo_cancel(u);
    return code < 0 && !e->code ? 0 : code;
}

static int run_up(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    struct up_options *o = own;
    struct up u = {.o = o, .reeved = -1, .agent = -1, .shared_uid = o->shared_uid};
    if (argc)
        return err_set(e, ERR_INVALID, "'%.64s' is too much", argv[0]);
    if (o->once && !o->demo)
        return err_set(e, ERR_INVALID, "--once belongs to --demo");
    if (o->demo && o->no_agent)
        return err_set(e, ERR_INVALID, "the demo needs an agent");
    if (log_setup("reeve", "auto", "info", e) < 0)
        return -1;
    int code = o->demo ? run_demo(&u, c, e) : run_service(&u, e);
    up_stop(&u);
    if (o->demo)
        demo_remove(&u);
    up_done(&u);
    return code;
}

const struct command cmd_up = {
    .name = "up",
    .summary = "run the whole of Reeve on this machine: control plane and agent",
    .operands = "",
    .specs = specs,
    .count = COUNT_OF(specs),
    .size = sizeof(struct up_options),
    .run = run_up,
    .text =
        ".Pp\nStays in the foreground and ends on TERM or INT; a\nprogram of its own that dies is "
        "started\nagain.\nJobs outlive it and are found at the next start.\n",
    .examples = "  # see it at work: three users, six trainings, one GPU\n"
                "  reeve up --demo\n"
                "  # eight simulated H100, and data somewhere else\n"
                "  reeve up --sim h100x8 --data /tmp/reeve\n",
};
