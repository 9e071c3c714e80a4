/* A stream of events in pieces: cut by the first byte's size, it reads the same as whole. */
#include "net/sse.h"

#include <stdlib.h>
#include <string.h>

static bool collect(void *arg, const struct sse_event *event)
{
    struct text *t = arg;
    text_addf(t, "[%s|%s|%zu|", event->id, event->event, event->len);
    text_add_bytes(t, event->data, event->len);
    return true;
}

static int read_all(const char *bytes, size_t len, size_t piece, struct text *out)
{
    auto_sse_parser struct sse_parser *p = sse_parser_new(4096);
    int rc = 0;
    for (size_t at = 0; at < len && rc == 0; at += piece)
        rc = sse_parse(p, bytes + at, len - at < piece ? len - at : piece, collect, out, NULL);
    text_addf(out, "%s %lld", sse_last_id(p), (long long)sse_retry_ms(p));
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len < 1)
        return 0;
    auto_text struct text whole = {0};
    auto_text struct text cut = {0};
    const char *stream = (const char *)bytes + 1;
    int a = read_all(stream, len - 1, len, &whole);
    int b = read_all(stream, len - 1, bytes[0] % 16 + 1, &cut);
    /* Where it ends with "too large" depends on nothing but the bytes, too. */
    if (a != b || (a == 0 && strcmp(text_get(&whole), text_get(&cut)) != 0))
        abort();
    return 0;
}
