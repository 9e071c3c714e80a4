/* Answers to our HTTP client: any bytes, and the same ones in pieces, must give the same body. */
#include "net/http_wire.h"

#include <stdlib.h>
#include <string.h>

static int on_line(void *arg, const char *line, size_t len, struct err *e)
{
    (void)e;
    text_add_bytes(arg, line, len);
    return 0;
}

static int on_body(void *arg, const char *bytes, size_t len, struct err *e)
{
    (void)e;
    text_add_bytes(arg, bytes, len);
    return 0;
}

static int run(const char *bytes, size_t len, size_t step, struct text *heard)
{
    static const struct http_wire_events events = {on_line, on_body};
    struct http_wire w;
    int rc = 0;
    http_wire_init(&w, false);
    for (size_t at = 0; at < len && rc == 0; at += step)
        rc =
            http_wire_take(&w, bytes + at, len - at < step ? len - at : step, &events, heard, NULL);
    if (rc == 0)
        rc = http_wire_end(&w, NULL);
    http_wire_done(&w);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text whole = {0}, parts = {0};
    int rc = run((const char *)data, size, size + 1, &whole);
    if (run((const char *)data, size, 3, &parts) != rc ||
        strcmp(text_get(&whole), text_get(&parts)) != 0)
        abort();
    text_done(&whole);
    text_done(&parts);
    return 0;
}
