/* The messages of a gRPC body, cut anywhere: what comes out does not depend on the cuts. */
#include "net/grpc_frame.h"

#include <stdlib.h>

static int note(void *arg, const uint8_t *message, size_t len, struct err *e)
{
    (void)e;
    text_addf(arg, "%zu:", len);
    text_add_bytes(arg, message, len);
    return 0;
}

static void feed(const uint8_t *p, size_t len, size_t step, struct text *told)
{
    struct grpc_frames f = {.most = 4096};
    struct err e = {0};
    int rc = 0;
    for (size_t at = 0; at < len && rc == 0; at += step)
        rc = grpc_frames_feed(&f, p + at, at + step < len ? step : len - at, note, told, &e);
    text_addf(told, " %d %s %d", rc, e.text, rc == 0 && grpc_frames_may_end(&f));
    grpc_frames_done(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_text struct text whole = {0};
    auto_text struct text cut = {0};
    if (size < 2)
        return 0;
    feed(data + 1, size - 1, size, &whole);
    feed(data + 1, size - 1, 1 + data[0] % 16, &cut);
    if (whole.len != cut.len || memcmp(whole.data, cut.data, cut.len) != 0)
        abort();
    return 0;
}
