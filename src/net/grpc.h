/*
 * gRPC as kubelet and its plugins speak it: over a unix socket, HTTP/2 from the first byte, no
 * compression. What both ends share; see grpc_server.h and grpc_client.h.
 */
#ifndef NET_GRPC_H
#define NET_GRPC_H

#include "base/err.h"

#include <stdint.h>

enum grpc_code {
    GRPC_OK,
    GRPC_CANCELLED,
    GRPC_UNKNOWN,
    GRPC_INVALID_ARGUMENT,
    GRPC_DEADLINE_EXCEEDED,
    GRPC_NOT_FOUND,
    GRPC_ALREADY_EXISTS,
    GRPC_PERMISSION_DENIED,
    GRPC_RESOURCE_EXHAUSTED,
    GRPC_FAILED_PRECONDITION,
    GRPC_ABORTED,
    GRPC_OUT_OF_RANGE,
    GRPC_UNIMPLEMENTED,
    GRPC_INTERNAL,
    GRPC_UNAVAILABLE,
    GRPC_DATA_LOSS,
    GRPC_UNAUTHENTICATED,
    GRPC_CODE_COUNT,
};

/* The number that goes over the wire for a failure of ours, and what one from there is for us.
 * Numbers that nobody knows count as GRPC_UNKNOWN. */
enum grpc_code grpc_code_of(enum err_code code);
enum err_code grpc_err_code(int64_t code);

#endif
