#include "cli/up.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/json_view.h"
#include "cli/place.h"
#include "cli/width.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/wait.h>

extern char **environ;

enum { READY_MS = 60000, GRACE_MS = 20000 };

/* ---- preparing ---- */

int up_data_folder(const struct up_options *o, char **ret, struct err *e)
{
    auto_free char *base = NULL;
    if (o->data && *o->data)
        base = o->data[0] == '/' ? mem_strdup(o->data) : NULL;
    else if (place_data(&base, e) < 0)
        return -1;
    if (!base) {
        auto_free char *cwd = getcwd(NULL, 0);
        if (!cwd)
            return err_sys(e, errno, "could not find out the current folder");
        base = mem_printf("%s/%s", cwd, o->data);
    }
    *ret = o->demo ? mem_printf("%s/demo", base) : TAKE(base);
    return 0;
}

/* Whether NVIDIA's library finds a GPU. Never returns; a driver that hangs takes only this child.
 */
static void probe_gpu(void)
{
    alarm(10);
    void *library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    int (*init)(void);
    int (*count)(unsigned *);
    unsigned found = 0;
    if (!library)
        _exit(1);
    *(void **)&init = dlsym(library, "nvmlInit_v2");
    *(void **)&count = dlsym(library, "nvmlDeviceGetCount_v2");
    _exit(init && count && init() == 0 && count(&found) == 0 && found ? 0 : 1);
}

static bool has_gpu(void)
{
    int status;
    if (access("/dev/nvidiactl", F_OK) < 0)
        return false;
    pid_t pid = fork();
    if (pid == 0)
        probe_gpu();
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

/* A scenario is a file, or the name of one that comes with the simulator. */
static int choose_gpu(struct up *u, struct err *e)
{
    u->simulated = u->o->sim || !has_gpu();
    if (!u->o->sim || !strchr(u->o->sim, '/')) {
        u->scenario = u->o->sim ? mem_strdup(u->o->sim) : NULL;
        return 0;
    }
    u->scenario = realpath(u->o->sim, NULL);
    if (!u->scenario)
        return err_sys(e, errno, "scenario '%s'", u->o->sim);
    return 0;
}

/* What of our environment the children may see: not what is meant for the command line, and not
 * what they get by options. */
static char **child_environment(const char *more)
{
    static const char *const ours[] = {
        "REEVE_SERVER=",     "REEVE_TOKEN=",        "REEVE_TOKEN_FILE=",   "REEVE_OUTPUT=",
        "REEVE_COLOR=",      "REEVE_TIMEOUT=",      "REEVE_TLS_CA=",       "REEVE_TLS_INSECURE=",
        "REEVE_CLI_CONFIG=", "REEVE_DATA=",         "REEVE_LISTEN=",       "REEVE_CONFIG=",
        "REEVE_NODE=",       "REEVE_SIM_SCENARIO=", "REEVE_DEMO=",         "REEVE_SIM=",
        "REEVE_TLS_CERT=",   "REEVE_TLS_KEY=",      "REEVE_TEMPLATE_DIR=", "REEVE_INSECURE=",
        "REEVE_SHARED_UID=", "REEVE_REDIS=",
    };
    size_t n = 0, count = 0;
    while (environ[count])
        count++;
    char **list = mem_new_array(char *, count + 2);
    for (size_t i = 0; i < count; i++) {
        bool skip = false;
        for (size_t k = 0; k < COUNT_OF(ours); k++)
            skip = skip || text_starts_with(environ[i], ours[k]);
        if (!skip)
            list[n++] = environ[i];
    }
    if (more)
        list[n++] = (char *)more;
    return list;
}

/* A command line that grows; the words are borrowed. */
struct words {
    const char *list[64];
    size_t count;
};

static void add_word(struct words *w, const char *word)
{
    w->list[w->count++] = word;
}

static void add_option(struct words *w, const char *name, const char *value)
{
    if (!value || !*value)
        return;
    add_word(w, name);
    add_word(w, value);
}

static int start_child(struct up *u, const char *name, const struct words *w, const char *env,
                       void (*before_restart)(void *up), int *ret_child, struct err *e)
{
    auto_free char **list = child_environment(env);
    auto_free char *log = u->log_folder ? mem_printf("%s/%s.log", u->log_folder, name) : NULL;
    struct child_spec spec = {.name = name,
                              .argv = w->list,
                              .env = (const char *const *)list,
                              .log_file = log,
                              .before_restart = before_restart,
                              .arg = u};
    return supervisor_start(u->children, &spec, ret_child, e);
}

/* ---- the control plane ---- */

static int start_reeved(struct up *u, struct err *e)
{
    auto_free char *program = NULL;
    if (place_program("reeved", &program, e) < 0)
        return -1;
    struct words w = {0};
    add_word(&w, program);
    add_option(&w, "--data", u->data);
    add_option(&w, "--listen", u->o->listen);
    add_option(&w, "--tls-cert", u->o->tls_cert);
    add_option(&w, "--tls-key", u->o->tls_key);
    add_option(&w, "--config", u->o->config);
    add_option(&w, "--template-dir", u->o->template_dir);
    add_option(&w, "--redis-password-file", u->o->redis_password_file);
    add_option(&w, "--redis-users", u->o->redis_users);
    add_option(&w, "--redis-ca", u->o->redis_ca);
    add_option(&w, "--redis-cert", u->o->redis_cert);
    add_option(&w, "--redis-key", u->o->redis_key);
    add_option(&w, "--kube", u->o->kube);
    add_option(&w, "--kube-context", u->o->kube_context);
    add_option(&w, "--kube-namespace", u->o->kube_namespace);
    add_option(&w, "--kube-image", u->o->kube_image);
    add_option(&w, "--kube-runner", u->o->kube_runner);
    add_option(&w, "--kube-settings", u->o->kube_settings);
    if (u->o->demo) {
        add_option(&w, "--sample", "1s");    /* there is somebody looking */
        add_option(&w, "--gate-cpu", "100"); /* and other work beside it is no reason to wait */
    }
    if (u->o->insecure)
        add_word(&w, "--insecure");
    /* It may have a password in it, and command lines can be read by anybody. */
    auto_free char *redis = u->o->redis ? mem_printf("REEVE_REDIS=%s", u->o->redis) : NULL;
    return start_child(u, "reeved", &w, redis, NULL, &u->reeved, e);
}

/* Steps the supervisor until READY says so. */
static int wait_until(struct up *u, bool (*ready)(struct up *u), const char *what, struct err *e)
{
    int64_t until_ms = clock_mono_ms() + READY_MS;
    while (!ready(u)) {
        int rc = supervise_step(u->children, 10, e);
        if (rc != SUPERVISE_ON)
            return -1;
        if (clock_mono_ms() > until_ms)
            return err_set(e, ERR_TIMEOUT, "%s is not ready after %d s", what, READY_MS / 1000);
    }
    return 0;
}

static bool reeved_is_ready(struct up *u)
{
    auto_json json_t *answer = NULL;
    if (!place_socket_answers(u->socket))
        return false;
    if (!u->client)
        u->client = client_open_socket(u->socket, NULL);
    return client_get(u->client, "/readyz", &answer, NULL) == 0;
}

/* ---- the agent ---- */

static char *token_file(const struct up *u)
{
    return mem_printf("%s/agent.token", u->data);
}

/* A one-time token for our own agent, unless it has a key from an earlier start. */
static int prepare_enrolment(struct up *u, struct err *e)
{
    auto_free char *key = mem_printf("%s/node.key", u->agent_data), *file = token_file(u);
    auto_json json_t *body = json_object(), *answer = NULL;
    if (access(key, F_OK) == 0)
        return 0;
    json_object_set_new(body, "expires_in", json_string("1h"));
    if (client_send(u->client, HTTP_POST, "/api/v1/enrolments", body, &answer, e) < 0)
        return err_wrap(e, "could not make a token for the agent");
    if (FAILPOINT("up.token"))
        return err_set(e, ERR_UNAVAILABLE, "failpoint up.token");
    auto_free char *line = mem_printf("%s\n", view_text(answer, "token"));
    return file_replace(file, line, strlen(line), 0600, e);
}

/* An agent that died between its enrolment and the keeping of its key has used up its token. When
 * the control plane is away as well, the agent is restarted without, and tries the old one. */
static void enrol_again(void *arg)
{
    struct err e = {0};
    if (prepare_enrolment(arg, &e) < 0)
        log_warn("no new token for the agent", F_ERR(&e));
}

static int start_agent(struct up *u, struct err *e)
{
    auto_free char *program = NULL, *library = NULL, *scenario = NULL;
    const char *folder = u->agent_data;
    auto_free char *token = token_file(u);
    auto_free char *server = mem_printf("unix:%s", u->socket);
    if (place_program("reeve-agent", &program, e) < 0 || file_make_folder(folder, 0711, e) < 0 ||
        prepare_enrolment(u, e) < 0)
        return -1;
    struct words w = {0};
    add_word(&w, program);
    add_option(&w, "--server", server);
    add_option(&w, "--token-file", token);
    add_option(&w, "--data", folder);
    add_option(&w, "--listen", u->o->agent_listen);
    add_option(&w, "--node", u->o->node);
    add_option(&w, "--tls-cert", u->o->tls_cert);
    add_option(&w, "--tls-key", u->o->tls_key);
    if (u->shared_uid)
        add_word(&w, "--shared-uid");
    if (u->o->insecure)
        add_word(&w, "--insecure");
    if (u->simulated) {
        library = place_simulator();
        if (!library)
            return err_set(e, ERR_NOT_FOUND,
                           "there is no NVIDIA GPU here, and no simulator beside '%s' either",
                           file_program_folder());
        add_option(&w, "--gpu-library", library);
        scenario = u->scenario ? mem_printf("REEVE_SIM_SCENARIO=%s", u->scenario) : NULL;
    }
    return start_child(u, "reeve-agent", &w, scenario, enrol_again, &u->agent, e);
}

/* Ready when the control plane has heard of its GPUs, or of the node where it has none. */
static bool agent_is_ready(struct up *u)
{
    auto_json json_t *nodes = NULL;
    size_t i;
    json_t *node;
    if (client_get(u->client, "/api/v1/nodes?limit=1000", &nodes, NULL) < 0)
        return false;
    json_array_foreach(view_items(nodes), i, node)
    {
        if (strcmp(view_text(node, "state"), "ready") == 0)
            return true;
    }
    return false;
}

/* ---- both ---- */

static int prepare_data(struct up *u, struct err *e)
{
    if (!u->data && up_data_folder(u->o, &u->data, e) < 0)
        return -1;
    u->socket = mem_printf("%s/reeved.sock", u->data);
    if (!u->agent_data)
        u->agent_data = mem_printf("%s/agent", u->data);
    if (strlen(u->socket) > 100)
        return err_set(e, ERR_INVALID, "data folder '%s' has too long a path for a unix socket",
                       u->data);
    if (place_socket_answers(u->socket))
        return err_set(e, ERR_CONFLICT, "reeved runs already with '%s'", u->data);
    /* Jobs' folders are below it, and jobs are other users: they pass through, but do not list. */
    return file_make_folder(u->data, 0711, e);
}

int up_start(struct up *u, struct err *e)
{
    u->started_ms = clock_mono_ms();
    u->reeved = u->agent = -1;
    if (prepare_data(u, e) < 0 || choose_gpu(u, e) < 0)
        return -1;
    if (u->log_folder && file_make_folder(u->log_folder, 0700, e) < 0)
        return -1;

    u->children = supervisor_new();
    if (start_reeved(u, e) < 0 || wait_until(u, reeved_is_ready, "reeved", e) < 0)
        return -1;
    supervisor_proven(u->children, u->reeved);
    if (u->o->no_agent)
        return 0;
    if (start_agent(u, e) < 0 || wait_until(u, agent_is_ready, "reeve-agent", e) < 0)
        return -1;
    supervisor_proven(u->children, u->agent);
    return 0;
}

void up_stop(struct up *u)
{
    if (u->children && u->agent >= 0)
        supervisor_stop(u->children, u->agent, GRACE_MS);
    if (u->children && u->reeved >= 0)
        supervisor_stop(u->children, u->reeved, GRACE_MS);
}

void up_done(struct up *u)
{
    supervisor_free(u->children);
    client_close(u->client);
    free(u->data);
    free(u->agent_data);
    free(u->socket);
    free(u->log_folder);
    free(u->scenario);
    *u = (struct up){.o = u->o, .reeved = -1, .agent = -1};
}

char *up_address(const struct up *u, bool of_agent)
{
    auto_free char *path = of_agent ? mem_printf("%s/agent.ports", u->agent_data)
                                    : mem_printf("%s/reeved.ports", u->data);
    auto_free char *text = NULL;
    size_t len;
    auto_json json_t *ports = NULL;
    const char *asked = of_agent ? u->o->agent_listen : u->o->listen;
    if (file_read(path, 65536, &text, &len, NULL) == 0 &&
        json_parse(text, len, &ports, NULL) == 0) {
        const char *listen = view_text(ports, "listen"), *colon = strrchr(listen, ':');
        if (colon && view_int(ports, "port", 0))
            return mem_printf("%.*s:%" PRId64, (int)(colon - listen), listen,
                              view_int(ports, "port", 0));
    }
    return mem_strdup(asked ? asked : "");
}

/* "2 NVIDIA A100, 1 Tesla T4". Devices that are not there any more stay known, and are left out. */
void up_describe_gpus(struct up *u, struct text *out)
{
    auto_json json_t *devices = NULL, *counts = json_object();
    size_t i;
    json_t *device, *count;
    const char *model, *comma = "";
    if (client_get(u->client, "/api/v1/devices?limit=1000", &devices, NULL) < 0)
        return;
    json_array_foreach(view_items(devices), i, device)
    {
        model = view_text(device, "model");
        if (strcmp(view_text(device, "state"), "unknown") != 0)
            json_object_set_new(
                counts, model,
                json_integer(json_integer_value(json_object_get(counts, model)) + 1));
    }
    json_object_foreach(counts, model, count)
    {
        text_addf(out, "%s%lld%s ", comma, (long long)json_integer_value(count),
                  u->simulated ? " simulated" : "");
        text_add_printable(out, model);
        comma = ", ";
    }
    if (!out->len)
        text_add(out, "none");
}
