/* Targets and Host headers: what is let through keeps what the header promises. */
#include "net/http_uri.h"

#include "base/mem.h"
#include "base/text.h"

#include <stdint.h>

static void check_path(const char *path)
{
    if (path[0] != '/' || strstr(path, "//") || strstr(path, "/../") || strstr(path, "/./") ||
        text_ends_with(path, "/..") || text_ends_with(path, "/.") ||
        !text_is_utf8(path, strlen(path)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    auto_free char *target = mem_strndup((const char *)bytes, len);
    auto_free char *host = mem_strndup((const char *)bytes, len);
    const char *why = NULL;
    http_host_is(host, "localhost");
    http_host_is_local(host);

    char *path = http_target_path(target), *query = strchr(path, '?');
    if (query)
        *query++ = '\0';
    if (http_path_decode(path, &why))
        check_path(path);
    else if (!why)
        abort();

    struct http_param params[HTTP_PARAMS_MOST];
    size_t count = 0;
    if (query && http_query_decode(query, params, &count, &why))
        for (size_t i = 0; i < count; i++)
            if (!text_is_utf8(params[i].name, strlen(params[i].name)) ||
                !text_is_utf8(params[i].value, strlen(params[i].value)))
                abort();
    return 0;
}
