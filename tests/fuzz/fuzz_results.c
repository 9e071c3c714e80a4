/* What a job's helper wrote about a result folder: what is taken is JSON and within its limits. */
#include "agent/results.h"

#include "base/json.h"
#include "base/mem.h"
#include "node/result.h"

#include <stdint.h>

static void check(const char *text)
{
    auto_json json_t *object = NULL;
    if (text && (json_parse(text, strlen(text), &object, NULL) < 0 || !json_is_object(object)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct attempt_results r;
    attempt_results_parse((const char *)bytes, len, "/results/alice/7/1", &r);
    check(r.files);
    check(r.metadata);
    if (r.metadata && strlen(r.metadata) > RESULT_METADATA_MOST)
        abort();
    attempt_results_done(&r);
    return 0;
}
