/* A submission as it comes in a body. What is taken must hold its own limits, and its spec must be
 * JSON that says the same when read again. */
#include "api/job_in.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(const struct submission *s)
{
    auto_json json_t *spec = NULL;
    if (json_parse(s->spec, strlen(s->spec), &spec, NULL) < 0)
        abort();
    /* What runs is a command, an image's own, or a template. */
    if (!json_array_size(json_object_get(spec, "command")) && !json_object_get(spec, "image") &&
        !json_object_get(spec, "template"))
        abort();
    if (!s->name[0] || !text_is_utf8(s->name, strlen(s->name)) || s->gpus < 0 ||
        s->gpus > JOB_GPUS_MOST || s->cpu_milli < 0 || s->memory_mib < 1 || s->time_limit_ms < 0 ||
        s->retries < 0 || s->retries > JOB_RETRIES_MOST)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    auto_json json_t *object = NULL;
    struct submission s = {0};
    const char *user = NULL;
    struct err e = {0};
    if (json_parse((const char *)data, len, &object, &e) < 0)
        return 0;
    if (job_in_read(object, &s, &user, &e) == 0)
        check(&s);
    else if (e.code != ERR_INVALID || !e.text[0] || s.spec)
        abort();
    free(s.spec);
    return 0;
}
