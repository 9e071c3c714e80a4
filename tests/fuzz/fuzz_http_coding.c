/* Accept-Encoding headers: a weight is always within its bounds, whatever stands there. */
#include "net/http_coding.h"

#include "base/mem.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const char *const codings[] = {"br", "gzip", "identity"};
    auto_free char *accept = mem_strndup((const char *)bytes, len);
    for (size_t i = 0; i < COUNT_OF(codings); i++) {
        int weight = http_coding_weight(accept, codings[i]);
        if (weight < 0 || weight > 1000)
            abort();
    }
    return 0;
}
