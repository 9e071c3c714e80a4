/* Words that the HTTP server and the HTTP clients share. */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include <stddef.h>

enum http_method {
    HTTP_OTHER, /* one we do not know; the server refuses it itself */
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_PATCH,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_TRACE,
    HTTP_QUERY,
    HTTP_METHODS
};

const char *http_method_name(enum http_method m); /* "GET" */
enum http_method http_method_from(const char *name);

/* A list of these ends with one whose NAME is NULL; NULL is an empty list. */
struct http_header {
    const char *name, *value;
};

#endif
