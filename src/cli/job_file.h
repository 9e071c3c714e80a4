/* Jobs as the command line and job files describe them, as the JSON that the server takes. */
#ifndef CLI_JOB_FILE_H
#define CLI_JOB_FILE_H

#include "base/json.h"
#include "base/option.h"

/* The options of `reeve submit` that describe the job. NULL and 0 are "not given". */
struct job_options {
    char *name, *gpus, *gpu_memory, *cpu, *memory, *time_limit, *retries, *team, *user, *progress,
        *config_file, *work_dir, *image, *runner, *template;
    struct option_list labels, env, parameters, mounts, node_selector, tolerations;
    bool exclusive;
};

/* Puts what was given into JOB, over what stands there. Labels are K=V; an environment variable is
 * K=V, or K for the value it has here; a mount is NAME, NAME:PATH or NAME:PATH:ro. ERR_INVALID
 * names the option. */
int job_options_apply(const struct job_options *o, json_t *job, struct err *e);

/* Whether JOB is for a cluster by what it says: then no folder of this machine means anything to
 * it. */
bool job_is_for_cluster(const json_t *job);

/*
 * The jobs in a file, JSON or YAML: one job, a list of them, or {jobs: [...]}. *RET is a list. A
 * command that is one text is run by sh. A work_dir that is not absolute counts from FOLDER, and is
 * FOLDER_ABSENT where there is none, unless the job is for a cluster.
 */
int job_file_parse(const char *text, size_t len, const char *folder, const char *folder_absent,
                   json_t **ret, struct err *e);

#endif
