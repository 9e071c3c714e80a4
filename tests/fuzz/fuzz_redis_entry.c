/* What anybody may push into the queue in Redis, the ids beside it, and what is kept of it. */
#include "redis/entry.h"
#include "redis/line.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int read_job(void *arg, const json_t *object, struct submission *ret, char user[FLEET_NAME],
                    struct err *e)
{
    (void)arg, (void)ret;
    snprintf(user, FLEET_NAME, "x");
    return json_object_get(object, "work_dir") ? 0 : err_set(e, ERR_INVALID, "no work_dir");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct redis_config config = {.read_job = read_job};
    auto_free char *text = malloc(size + 1);
    auto_text struct text dead = {0};
    struct entry_job job;
    struct err e = {0};
    int64_t number;
    size_t cut;
    memcpy(text, data, size);
    text[size] = '\0';

    if (entry_read(text, size, &config, &job, &e) < 0)
        assert(e.code);
    entry_write_dead(text, text, size, size, &e, 0, &dead);
    assert(text_is_utf8(dead.data, dead.len));
    entry_id_read(text, &number, &cut);
    line_is_ours(text, &number);
    auto_free char *paths = line_read_paths(text);
    assert(paths);
    return 0;
}
