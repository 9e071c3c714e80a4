/*
 * libcurl, opened when it is first needed. It brings twenty libraries along, which cost a program
 * 7 MiB of memory and 10 ms of its start; a call to http:// or a unix socket needs none of them.
 */
#ifndef NET_CURL_LIB_H
#define NET_CURL_LIB_H

#include "base/err.h"

#define CURL_DISABLE_TYPECHECK /* its macros know only its functions by name */
#include <curl/curl.h>
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

#define CURL_FUNCTIONS(X)                                                                          \
    X(global_init)                                                                                 \
    X(easy_init)                                                                                   \
    X(easy_cleanup)                                                                                \
    X(easy_reset)                                                                                  \
    X(easy_setopt)                                                                                 \
    X(easy_getinfo)                                                                                \
    X(easy_perform)                                                                                \
    X(easy_strerror)                                                                               \
    X(slist_append)                                                                                \
    X(slist_free_all)                                                                              \
    X(multi_init)                                                                                  \
    X(multi_cleanup)                                                                               \
    X(multi_setopt)                                                                                \
    X(multi_add_handle)                                                                            \
    X(multi_remove_handle)                                                                         \
    X(multi_socket_action)                                                                         \
    X(multi_info_read)                                                                             \
    X(multi_assign)

struct curl_lib {
#define X(name) __typeof__(&curl_##name) name;
    CURL_FUNCTIONS(X)
#undef X
};

/* Any thread. NULL: it is not on this machine, and E says so. Stays open. */
const struct curl_lib *curl_lib(struct err *e);

#endif
