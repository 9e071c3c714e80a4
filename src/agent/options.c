#include "agent/options.h"

#include "agent/plugin_grant.h"
#include "base/mem.h"
#include "net/addr.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AT(member) offsetof(struct agent_options, member)

/* clang-format off */
static const struct option_spec specs[] = {
    {"server", 's', OPTION_TEXT, AT(server), "URL", NULL, 0, 0,
     "The control plane: http://ADDR:PORT, https://NAME:PORT or unix:PATH; without it the agent only measures"},
    {"token-file", 0, OPTION_TEXT, AT(token_file), "FILE", NULL, 0, 0,
     "File whose last word is a one-time token, or a pod's token for the audience reeve; used when the node has no key yet"},
    {"data", 'd', OPTION_TEXT, AT(data), "DIR", NULL, 0, 0,
     "Folder of the node's key and of running jobs (/var/lib/reeve-agent as root, else $XDG_STATE_HOME/reeve-agent)"},
    {"results", 0, OPTION_TEXT, AT(results), "DIR", NULL, 0, 0,
     "Folder under which every attempt gets a folder for its results (DATA/results)"},
    {"listen", 'l', OPTION_TEXT, AT(listen), "ADDR:PORT", "127.0.0.1:8080", 0, 0,
     "Where /status and /metrics are served; port 0 takes a free one, which DATA/agent.ports names"},
    {"host", 0, OPTION_LIST, AT(hosts), "NAME", NULL, 0, 0,
     "A further name that this agent may be asked by, besides the node's; * for any"},
    {"node", 'n', OPTION_TEXT, AT(node), "NAME", NULL, 0, 0,
     "Name of this node (its host name)"},
    {"sample", 0, OPTION_DURATION, AT(sample_ms), "TIME", NULL, 1000, 60000,
     "How often to measure, from 1s to 60s (as the control plane says, else 5s)"},
    {"gpu", 0, OPTION_TEXT, AT(gpu), "HOW", "auto", 0, 0,
     "How to learn about GPUs: auto, nvml, nvidia-smi or none"},
    {"gpu-library", 0, OPTION_TEXT, AT(gpu_library), "FILE", NULL, 0, 0,
     "The NVML library to open (libnvidia-ml.so.1)"},
    {"grace", 0, OPTION_DURATION, AT(grace_ms), "TIME", "30s", 0, 3600000,
     "How long a job that is to end has between SIGTERM and SIGKILL"},
    {"cgroup", 0, OPTION_TEXT, AT(cgroup), "GROUP", NULL, 0, 0,
     "Control group under which jobs get theirs, such as /reeve (found by itself)"},
    {"shared-uid", 0, OPTION_FLAG, AT(shared_uid), NULL, NULL, 0, 0,
     "Without root, let jobs of different users run under this one account"},
    {"allow-root-jobs", 0, OPTION_FLAG, AT(allow_root_jobs), NULL, NULL, 0, 0,
     "Let a user named root run jobs as root"},
    {"device-plugin", 0, OPTION_TEXT, AT(device_plugin), "WHEN", "off", 0, 0,
     "Offer the GPUs to this machine's kubelet: off, on, or auto: on unless another plugin does"},
    {"kubelet-dir", 0, OPTION_TEXT, AT(kubelet_dir), "DIR", "/var/lib/kubelet", 0, 0,
     "kubelet's folder, where its sockets are"},
    {"pod-logs", 0, OPTION_TEXT, AT(pod_logs), "DIR", "/var/log/pods", 0, 0,
     "kubelet's folder of pods' logs, whose names tell what a pod is called"},
    {"plugin-resource", 0, OPTION_TEXT, AT(plugin_resource), "NAME", "nvidia.com/gpu", 0, 0,
     "What the GPUs are called as a resource of the cluster"},
    {"plugin-mount", 0, OPTION_LIST, AT(plugin_mounts), "OUTSIDE[:INSIDE[:rw]]", NULL, 0, 0,
     "Mount this into containers with a GPU, such as the driver's libraries"},
    {"plugin-env", 0, OPTION_LIST, AT(plugin_envs), "NAME=VALUE", NULL, 0, 0,
     "Set this variable in containers with a GPU"},
    {"plugin-cdi", 0, OPTION_TEXT, AT(plugin_cdi), "KIND", NULL, 0, 0,
     "Name the GPUs to the container runtime as CDI devices of this kind, such as nvidia.com/gpu, instead of passing device nodes"},
    {"tls-cert", 0, OPTION_TEXT, AT(tls_cert), "FILE", NULL, 0, 0,
     "Certificate (PEM) for --listen; read again when it changes"},
    {"tls-key", 0, OPTION_TEXT, AT(tls_key), "FILE", NULL, 0, 0,
     "Its key (PEM)"},
    {"tls-ca", 0, OPTION_TEXT, AT(tls_ca), "FILE", NULL, 0, 0,
     "Certificates (PEM) to trust for the control plane instead of the system's"},
    {"insecure", 0, OPTION_FLAG, AT(insecure), NULL, NULL, 0, 0,
     "Allow to listen, and to call the control plane, without TLS on other addresses than loopback"},
    {"log-format", 0, OPTION_TEXT, AT(log_format), "FORM", "auto", 0, 0,
     "human, json, or auto: human on a terminal"},
    {"log-level", 0, OPTION_TEXT, AT(log_level), "LEVEL", "info", 0, 0,
     "debug, info, warn or error"},
    {"config", 0, OPTION_TEXT, AT(config), "FILE", NULL, 0, 0,
     "YAML file with these options", true},
    {"version", 0, OPTION_FLAG, AT(version), NULL, NULL, 0, 0,
     "Print the version and end", true},
};
/* clang-format on */

const struct option_table agent_option_table = {
    .program = "reeve-agent",
    .summary = "measures this machine and its GPUs, and runs jobs that the control plane sends",
    .operands = "",
    .specs = specs,
    .count = COUNT_OF(specs),
};

static char *usual_data_folder(void)
{
    if (geteuid() == 0)
        return mem_strdup("/var/lib/reeve-agent");
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    if (state && state[0] == '/')
        return mem_printf("%s/reeve-agent", state);
    return mem_printf("%s/.local/state/reeve-agent", home && home[0] == '/' ? home : "/tmp");
}

/* A host name as a name of ours: others' characters become '-'. */
static char *usual_node_name(void)
{
    char name[65] = "";
    if (gethostname(name, sizeof name - 1) < 0 || !name[0])
        strcpy(name, "localhost");
    for (char *p = name; *p; p++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", *p))
            *p = '-';
    if (!text_is_name(name, 64))
        name[0] = 'n';
    return mem_strdup(name);
}

static int check_server(const struct agent_options *o, struct err *e)
{
    const char *s = o->server;
    if (text_starts_with(s, "unix:"))
        return s[5] == '/' ? 0
                           : err_set(e, ERR_INVALID,
                                     "server '%s' must name an absolute path: unix:/run/...", s);
    if (text_starts_with(s, "https://"))
        return 0;
    if (!text_starts_with(s, "http://"))
        return err_set(e, ERR_INVALID, "server '%s' must begin with http://, https:// or unix:", s);

    auto_free char *host = mem_strndup(s + 7, strcspn(s + 7, "/"));
    struct net_addr addr;
    if (strchr(host, ':') == NULL) {
        char *with_port = mem_printf("%s:80", host);
        free(host);
        host = with_port;
    }
    if (net_addr_parse(host, &addr, e) < 0)
        return err_wrap(e, "server '%s'", s);
    if (!net_host_is_loopback(addr.host) && !o->insecure)
        return err_set(e, ERR_DENIED,
                       "server '%s' is not on loopback: use https://, or --insecure if the network "
                       "between can be trusted",
                       s);
    return 0;
}

/* "DOMAIN/WORD", as kubelet and CDI want names. */
static bool is_qualified(const char *name)
{
    const char *slash = strchr(name, '/');
    if (!slash || slash == name)
        return false;
    auto_free char *domain = mem_strndup(name, (size_t)(slash - name));
    return text_is_name(domain, 253) && text_is_name(slash + 1, 63);
}

static int check_plugin(const struct agent_options *o, struct err *e)
{
    const char *when = o->device_plugin;
    if (strcmp(when, "off") != 0 && strcmp(when, "on") != 0 && strcmp(when, "auto") != 0)
        return err_set(e, ERR_INVALID, "device-plugin '%s' must be off, auto or on", when);
    if (o->kubelet_dir[0] != '/' || strlen(o->kubelet_dir) > 60)
        return err_set(e, ERR_INVALID,
                       "kubelet-dir '%.200s' must be an absolute path of at most 60 bytes: sockets "
                       "are in it",
                       o->kubelet_dir);
    if (!is_qualified(o->plugin_resource))
        return err_set(e, ERR_INVALID, "plugin-resource '%.200s' is no name such as nvidia.com/gpu",
                       o->plugin_resource);
    if (o->plugin_cdi && !is_qualified(o->plugin_cdi))
        return err_set(e, ERR_INVALID, "plugin-cdi '%.200s' is no kind such as nvidia.com/gpu",
                       o->plugin_cdi);
    for (size_t i = 0; i < o->plugin_mounts.count; i++)
        if (grant_check_mount(o->plugin_mounts.items[i], e) < 0)
            return err_wrap(e, "plugin-mount");
    for (size_t i = 0; i < o->plugin_envs.count; i++)
        if (grant_check_env(o->plugin_envs.items[i], e) < 0)
            return err_wrap(e, "plugin-env");
    return 0;
}

int agent_options_read(int argc, char **argv, struct agent_options *ret, struct err *e)
{
    struct agent_options o = {0};
    const char *file = option_peek(argc, argv, "config");
    int operands = 0;
    if (option_read(&agent_option_table, argc, argv, file, file != NULL, &o, &operands, e) < 0) {
        option_done(&agent_option_table, &o);
        return -1;
    }
    if (!o.data)
        o.data = usual_data_folder();
    if (!o.node)
        o.node = usual_node_name();

    int rc = 0;
    if (operands < argc)
        rc = err_set(e, ERR_INVALID, "'%s' is not an option", argv[operands]);
    else if (!text_is_name(o.node, 64))
        rc = err_set(e, ERR_INVALID,
                     "node '%s' is no name: letters, digits, '.', '_' and '-', at most 64", o.node);
    else if (!o.tls_cert != !o.tls_key)
        rc = err_set(e, ERR_INVALID, "--tls-cert and --tls-key need each other");
    else if (o.server)
        rc = check_server(&o, e);
    if (rc == 0)
        rc = check_plugin(&o, e);
    if (rc < 0)
        option_done(&agent_option_table, &o);
    else
        *ret = o;
    return rc;
}
