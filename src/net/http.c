#include "net/http.h"

#include "base/mem.h"

#include <string.h>

static const char *const names[HTTP_METHODS] = {
    [HTTP_OTHER] = "OTHER",   [HTTP_GET] = "GET",         [HTTP_HEAD] = "HEAD",
    [HTTP_POST] = "POST",     [HTTP_PUT] = "PUT",         [HTTP_PATCH] = "PATCH",
    [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS", [HTTP_TRACE] = "TRACE",
    [HTTP_QUERY] = "QUERY",
};

const char *http_method_name(enum http_method m)
{
    return names[m < HTTP_METHODS ? m : HTTP_OTHER];
}

enum http_method http_method_from(const char *name)
{
    for (enum http_method m = HTTP_OTHER + 1; m < HTTP_METHODS; m++)
        if (strcmp(names[m], name) == 0)
            return m;
    return HTTP_OTHER;
}
