/* The body of a ledger row, as replay and import read it. The first byte picks the kind; what can
 * be read is written again and must read the same. */
#include "record/event.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct event ev = {0}, again = {0};
    struct err e;
    if (!len)
        return 0;
    ev.kind = again.kind = (enum event_kind)(1 + data[0] % (EVENT_KINDS - 1));
    if (event_read_body(&ev, (const char *)data + 1, len - 1, &e) < 0)
        return 0;

    auto_text struct text once = {0}, twice = {0};
    event_write_body(&ev, &once);
    if (event_read_body(&again, once.data, once.len, &e) < 0)
        abort();
    event_write_body(&again, &twice);
    if (once.len != twice.len || memcmp(once.data, twice.data, once.len) != 0)
        abort();
    return 0;
}
