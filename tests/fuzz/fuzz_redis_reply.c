/* What whoever answers at Redis' address may say, in two pieces; and where it is. */
#include "base/cleanup.h"
#include "redis/reply.h"
#include "redis/url.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct redis_reader *r = redis_reader_new();
    const char *p = (const char *)data;
    size_t cut = size ? data[0] % size : 0, at = 0;
    struct err e = {0};
    for (int piece = 0; piece < 2; piece++) {
        size_t len = piece ? size - cut : cut;
        struct redis_reply *reply = NULL;
        int rc = redis_reader_feed(r, p + at, len, &e);
        at += len;
        while (rc == 0 && (rc = redis_reader_next(r, &reply, &e)) == 0 && reply) {
            for (size_t i = 0; i <= reply->count; i++)
                assert(redis_text(reply, i) && (redis_int(reply, i) || true));
            redis_reply_free(reply);
            reply = NULL;
        }
        if (rc < 0) {
            assert(e.code);
            break;
        }
    }
    redis_reader_free(r);

    struct redis_url u = {0};
    auto_free char *text = strndup(p, size);
    auto_text struct text written = {0};
    if (redis_url_parse(text, &u, &e) == 0)
        redis_url_write(&u, &written);
    redis_url_done(&u);
    return 0;
}
