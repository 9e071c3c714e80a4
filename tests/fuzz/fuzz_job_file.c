/* A job file that somebody else wrote: read, and put under options. */
#include "base/mem.h"
#include "cli/job_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_json json_t *jobs = NULL;
    struct err e = {0};
    char *pairs[] = {(char *)"K=V", (char *)"EMPTY="};
    const struct job_options o = {.gpus = (char *)"2",
                                  .memory = (char *)"8GiB",
                                  .labels = {pairs, 2},
                                  .env = {pairs, 2},
                                  .exclusive = true};
    if (job_file_parse((const char *)data, size, "/here", "/there", &jobs, &e) < 0)
        return 0;
    size_t i;
    json_t *job;
    json_array_foreach(jobs, i, job)
    {
        if (job_options_apply(&o, job, &e) < 0)
            __builtin_trap();
        free(json_write(job));
    }
    return 0;
}
