/*
 * HTTP/1.1 calls without TLS, over TCP or a unix socket: what our programs say to each other on one
 * machine and in a cluster's own network. Connections are kept for the next call to the same place.
 * For http_client.c and http_sync.c only.
 */
#ifndef NET_HTTP_PLAIN_H
#define NET_HTTP_PLAIN_H

#include "net/http_exchange.h"

#include <uv.h>

struct plain_client;
struct plain_call;

/* Belongs to LOOP's thread. Never NULL. */
struct plain_client *plain_client_new(uv_loop_t *loop);
/* All calls have ended. NULL is fine. */
void plain_client_free(struct plain_client *p);

/* False: this URL is for libcurl. */
bool plain_speaks(const struct http_call *call);

/*
 * Copies what CALL says and begins with the loop's next turn. ON_DONE is called once, from the
 * loop, with why there is no whole answer (NULL: there is); the call is gone then. Never NULL. X,
 * with ARG for on_data set, is filled as by libcurl and belongs to the caller.
 */
struct plain_call *plain_begin(struct plain_client *p, struct exchange *x,
                               const struct http_call *call,
                               void (*on_done)(void *arg, const struct err *e), void *arg);
/* ON_DONE will not be called. Not from within on_data. */
void plain_cancel(struct plain_call *call);

#endif
