/* Any bytes are a fleet or an error with a sentence; a fleet that was read can be written. */
#include "core/dump.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bytes {
    const uint8_t *at;
    size_t left;
};

static ssize_t give(void *arg, void *bytes, size_t size, struct err *e)
{
    struct bytes *b = arg;
    (void)e;
    size_t len = b->left < size ? b->left : size;
    memcpy(bytes, b->at, len);
    b->at += len;
    b->left -= len;
    return (ssize_t)len;
}

static int drop(void *arg, const void *bytes, size_t len)
{
    (void)arg, (void)bytes, (void)len;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = {0};
    struct core c;
    struct bytes b = {data, size};
    core_init(&c);
    if (core_restore(&c, give, &b, &e) < 0)
        assert(e.code == ERR_UNPROCESSABLE && e.text[0]);
    else
        assert(core_dump(&c.fleet->view, drop, NULL) == 0);
    core_done(&c);
    return 0;
}
