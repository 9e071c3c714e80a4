/* What reeved may be told: one table, from which come the reading, the help and the man page. */
#ifndef REEVED_OPTIONS_H
#define REEVED_OPTIONS_H

#include "base/option.h"

struct reeved_options {
    char *config, *data, *store, *listen;
    char *tls_cert, *tls_key;
    bool tls_auto, insecure;
    struct option_list hosts;
    char *source_api;
    bool mask_users;
    char *template_dir, *web, *argo_url, *allow_tolerations;

    int64_t gpu_hour_micros, kwh_micros, pue_micros;
    char *currency;

    bool gate;
    int64_t gate_free_bytes, gate_gpu_pct, gate_cpu_pct, gate_memory_pct;
    int64_t silence_ms, lost_after_ms, retry_pause_ms, sample_ms;

    char *kube, *kube_context, *kube_name, *kube_namespace, *kube_image, *kube_runner;
    char *kube_settings, *kube_agents, *kube_ca, *kube_operator, *kube_hold_image;
    int64_t kube_start_limit_ms, kube_keep_ms;

    char *redis, *redis_password_file, *redis_ca, *redis_cert, *redis_key;
    struct option_list redis_users;

    int64_t log_bytes, sample_retention_ms, sample_bytes, workers;
    char *log_format, *log_level;
};

extern const struct option_table reeved_option_table;

/* Reads flags, environment and the file that --config names, and fills in the data folder. */
int reeved_options_read(int argc, char **argv, struct reeved_options *ret, struct err *e);

/* Calls ON_CHANGED for each option that differs and is only taken over by a restart. */
void reeved_options_compare(const struct reeved_options *before, const struct reeved_options *now,
                            void (*on_changed)(void *arg, const char *name), void *arg);

#endif
