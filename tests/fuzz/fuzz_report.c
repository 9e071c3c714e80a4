/* What an agent reports. */
#include "api/report.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    auto_json json_t *object = NULL;
    struct report_in in = {0};
    struct err e = {0};
    if (json_parse((const char *)data, len, &object, &e) < 0)
        return 0;
    if (report_read(object, &in, &e) < 0)
        return 0;
    for (size_t i = 0; i < in.report->attempt_count; i++) {
        const struct attempt_report *a = &in.report->attempts[i];
        if (strlen(a->id) != ATTEMPT_ID_SIZE - 1 || a->n < 1 || a->outcome < 0 ||
            a->outcome >= OUTCOMES || !text_is_utf8(a->why, strlen(a->why)))
            abort();
    }
    report_in_done(&in);
    return 0;
}
