/*
 * gRPC calls over a unix socket: with one answer, or with a stream of them. A client has one
 * connection, opened when a call needs it and kept for the next. Belongs to its loop's thread.
 */
#ifndef NET_GRPC_CLIENT_H
#define NET_GRPC_CLIENT_H

#include "base/err.h"
#include "net/grpc.h"

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct grpc_client;
struct grpc_call;

/* CODE 0: all went well. BYTES is the answer's message, empty for a stream. ERR says what failed:
 * the other side's own words where it had any, ERR_UNAVAILABLE when it could not be reached or
 * went. */
struct grpc_reply {
    struct err err;
    const uint8_t *bytes;
    size_t len;
};

/* All of it is copied when the call is sent. */
struct grpc_call_config {
    const char *path; /* "/v1beta1.Registration/Register" */
    const void *message;
    size_t len;
    int64_t timeout_ms; /* of the whole call; 0: 10 s, or none when ON_MESSAGE is given */
    size_t max_message; /* 0: 4 MiB */
    /* For streams: gets each message, good until it returns. It may cancel the call. */
    void (*on_message)(void *arg, const uint8_t *message, size_t len);
};

/* PATH is the socket's, copied. Never NULL. */
struct grpc_client *grpc_client_new(uv_loop_t *loop, const char *path);
/* Cancels what is under way. NULL is fine. */
void grpc_client_free(struct grpc_client *c);

/* ON_DONE runs once, from the loop, never from within this call; the call is gone then. It may send
 * and cancel others, and free the client. Never NULL. */
struct grpc_call *grpc_call_send(struct grpc_client *c, const struct grpc_call_config *config,
                                 void (*on_done)(void *arg, const struct grpc_reply *reply),
                                 void *arg);
/* ON_DONE will not run. */
void grpc_call_cancel(struct grpc_call *call);

#endif
