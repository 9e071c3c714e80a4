/* Bodies of remote-write requests: as they come, and the message within, which a changed byte of
 * the compressed form would seldom reach. */
#include "base/mem.h"
#include "tsdb/remote_write.h"

#include <assert.h>
#include <snappy-c.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_series(void *arg, const struct series *s)
{
    (void)arg;
    for (size_t i = 1; i < s->label_count; i++)
        assert(strcmp(s->labels[i - 1].name, s->labels[i].name) < 0);
    volatile double sum = 0;
    for (size_t i = 0; i < s->sample_count; i++)
        sum += s->samples[i].value;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    remote_write_decode(data, size, on_series, NULL, &err);

    size_t len = snappy_max_compressed_length(size);
    auto_free char *body = mem_alloc(1, len);
    if (snappy_compress((const char *)data, size, body, &len) == SNAPPY_OK)
        remote_write_decode(body, len, on_series, NULL, &err);
    return 0;
}
