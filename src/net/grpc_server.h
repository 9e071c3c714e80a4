/*
 * A gRPC server on a unix socket: calls with one message each way, and calls whose answer is a
 * stream of states. Belongs to its loop's thread. Bounded: connections, calls at once on each, the
 * size of a message, the time a request may take to arrive.
 */
#ifndef NET_GRPC_SERVER_H
#define NET_GRPC_SERVER_H

#include "base/err.h"
#include "net/grpc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct grpc_server;
struct grpc_request;

/* MESSAGE is good until the function returns. It owes R one grpc_answer() or grpc_fail(), now or
 * later. */
typedef void grpc_method_fn(void *arg, struct grpc_request *r, const uint8_t *message, size_t len);

struct grpc_method {
    const char *path; /* "/v1beta1.DevicePlugin/Allocate" */
    grpc_method_fn *call;
};

struct grpc_server_config {
    const struct grpc_method *methods; /* must outlive the server */
    size_t method_count;
    void *arg;
    size_t max_message;     /* 0: 1 MiB */
    size_t max_streams;     /* calls at once on a connection; 0: 64 */
    size_t max_connections; /* 0: 16. When another comes, the one that is idle for longest goes */
};

/* Makes the socket file PATH, for this account alone; one that is there already is replaced. */
int grpc_server_start(uv_loop_t *loop, const char *path, const struct grpc_server_config *config,
                      struct grpc_server **ret, struct err *e);

/* Is the socket file still the one that was made? Whoever owns the folder may have removed it. */
bool grpc_server_is_reachable(const struct grpc_server *s);

/* Ends every connection, and removes the socket file if it is ours. Streams hear of it through
 * their on_gone; a plain request that was not answered yet stays its handler's, who may still
 * answer it to nobody. NULL is fine. */
void grpc_server_stop(struct grpc_server *s);

/* The one message of the answer. R is gone afterwards. */
void grpc_answer(struct grpc_request *r, const void *message, size_t len);
/* An error instead of it, or the end of a stream: code and text of E. R is gone afterwards. */
void grpc_fail(struct grpc_request *r, const struct err *e);

/*
 * The answer is a stream, for as long as both sides want. ON_GONE runs when the other side has left
 * (or the server stops), from the loop: R is gone then.
 */
void grpc_stream_open(struct grpc_request *r, void (*on_gone)(void *arg, struct grpc_request *r),
                      void *arg);
/* The state as it is now. One that waits because the other side does not read is replaced: what
 * arrives is the newest, and a slow reader costs two messages of memory. */
void grpc_stream_state(struct grpc_request *r, const void *message, size_t len);

#endif
