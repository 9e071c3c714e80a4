/* The target of a request as bytes from outside: decoded once, strictly, in place. */
#ifndef NET_HTTP_URI_H
#define NET_HTTP_URI_H

#include <stdbool.h>
#include <stddef.h>

struct http_param {
    const char *name, *value;
};

#define HTTP_PARAMS_MOST 64

/* Decodes PATH in place. False: it is not one that we serve, and *RET_WHY says why ("has ...").
 * What is refused is listed at http_request_path(). */
bool http_path_decode(char *path, const char **ret_why);

/* Cuts QUERY ("a=1&b=2") in place into at most HTTP_PARAMS_MOST parameters. */
bool http_query_decode(char *query, struct http_param *ret, size_t *ret_count,
                       const char **ret_why);

/* The target's path (origin form) or that part of it behind "http://host" (absolute form). */
char *http_target_path(char *target);

/* Whether the Host header's value names NAME; its port does not count. */
bool http_host_is(const char *host, const char *name);
/* Whether it is localhost (or below it) or an address in figures: no DNS name that could be bent to
 * point at us. */
bool http_host_is_local(const char *host);

#endif
