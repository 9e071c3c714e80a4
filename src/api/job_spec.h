/*
 * What is only shown of a job, never decided from: its command, environment, labels and paths. It
 * is kept as one JSON text, written by job_in.c; here its parts are found without making a tree.
 */
#ifndef API_JOB_SPEC_H
#define API_JOB_SPEC_H

#include "base/json_scan.h"

/* Parts of the text, borrowed. Of kind JSON_PART_NONE where the job has none. */
struct job_spec {
    struct json_part command, env, labels, work_dir, config_file, progress;
    struct json_part image, runner, template, mounts; /* for clusters */
};

/* TEXT may be NULL: nothing is known. Text that cannot be read counts as that. */
void job_spec_read(const char *text, struct job_spec *ret);

/* Whether the labels hold this name with this value. */
bool job_spec_has_label(const struct job_spec *spec, const char *name, const char *value);

#endif
