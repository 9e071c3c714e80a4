/* What reeve-agent can be told: one table for flags, environment, file, help and reference. */
#ifndef AGENT_OPTIONS_H
#define AGENT_OPTIONS_H

#include "base/option.h"

struct agent_options {
    char *config, *server, *token_file, *data, *listen, *tls_cert, *tls_key, *tls_ca, *gpu,
        *gpu_library, *node, *results, *cgroup, *log_format, *log_level, *device_plugin,
        *kubelet_dir, *pod_logs, *plugin_resource, *plugin_cdi;
    struct option_list hosts, plugin_mounts, plugin_envs;
    bool shared_uid, allow_root_jobs, insecure, version;
    int64_t sample_ms; /* 0: what the control plane says */
    int64_t grace_ms;
};

extern const struct option_table agent_option_table;

/* Reads ARGV (without the program's name), the environment and the file, fills in what has no fixed
 * default, and checks what one option alone cannot tell. option_done() frees it. */
int agent_options_read(int argc, char **argv, struct agent_options *ret, struct err *e);

#endif
