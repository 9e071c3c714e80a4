/* What json_parse() takes, json_write() says in other words and json_parse() takes again. */
#include "base/json.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = {0};
    auto_json json_t *value = NULL, *again = NULL;
    if (json_parse((const char *)data, size, &value, &e) < 0) {
        assert(e.code == ERR_INVALID && e.text[0]);
        return 0;
    }
    auto_free char *text = json_write(value);
    assert(json_parse(text, strlen(text), &again, &e) == 0);
    assert(json_equal(value, again));
    return 0;
}
