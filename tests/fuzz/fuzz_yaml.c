/* Any bytes are a YAML document or an error with a sentence; what is taken can be said as JSON. */
#include "base/json.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = {0};
    auto_json json_t *value = NULL;
    if (yaml_parse((const char *)data, size, &value, &e) < 0) {
        assert(e.code != ERR_NONE && e.text[0]);
        return 0;
    }
    auto_free char *text = json_write(value);
    assert(text[0]);
    return 0;
}
