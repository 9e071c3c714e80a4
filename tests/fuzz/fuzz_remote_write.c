/* Bodies of remote-write requests: as they come, and the message within, which a changed byte of
 * the compressed form would seldom reach. */
#include "base/mem.h"
#include "tsdb/remote_write.h"
#include "tsdb/snappy.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_series(void *arg, const struct series *s)
{
    for (size_t i = 1; i < s->label_count; i++)
        assert(strcmp(s->labels[i - 1].name, s->labels[i].name) < 0);
    for (size_t i = 0; i < s->sample_count; i++)
        *(int64_t *)arg ^= s->samples[i].t_ms; /* reads them all */
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    int64_t mixed = 0;
    remote_write_decode(data, size, on_series, &mixed, &err);

    auto_free uint8_t *body = mem_alloc(1, snappy_room(size)), *back = mem_alloc(1, size);
    size_t len = snappy_pack(data, size, body), content;
    if (!snappy_content(body, len, &content) || content != size ||
        !snappy_unpack(body, len, back, size) || memcmp(back, data, size) != 0)
        abort();
    remote_write_decode((const char *)body, len, on_series, &mixed, &err);
    return 0;
}
