#include "net/grpc.h"

enum grpc_code grpc_code_of(enum err_code code)
{
    switch (code) {
    case ERR_NONE:
        return GRPC_OK;
    case ERR_INVALID:
    case ERR_MEDIA_TYPE:
    case ERR_UNPROCESSABLE:
        return GRPC_INVALID_ARGUMENT;
    case ERR_UNAUTHENTICATED:
        return GRPC_UNAUTHENTICATED;
    case ERR_DENIED:
        return GRPC_PERMISSION_DENIED;
    case ERR_NOT_FOUND:
        return GRPC_NOT_FOUND;
    case ERR_METHOD:
        return GRPC_UNIMPLEMENTED;
    case ERR_CONFLICT:
        return GRPC_FAILED_PRECONDITION;
    case ERR_TOO_LARGE:
    case ERR_EXHAUSTED:
        return GRPC_RESOURCE_EXHAUSTED;
    case ERR_UNAVAILABLE:
        return GRPC_UNAVAILABLE;
    case ERR_TIMEOUT:
        return GRPC_DEADLINE_EXCEEDED;
    case ERR_INTERNAL:
    case ERR_CODE_COUNT:
        break;
    }
    return GRPC_INTERNAL;
}

enum err_code grpc_err_code(int64_t code)
{
    static const enum err_code codes[GRPC_CODE_COUNT] = {
        [GRPC_CANCELLED] = ERR_UNAVAILABLE,
        [GRPC_UNKNOWN] = ERR_INTERNAL,
        [GRPC_INVALID_ARGUMENT] = ERR_INVALID,
        [GRPC_DEADLINE_EXCEEDED] = ERR_TIMEOUT,
        [GRPC_NOT_FOUND] = ERR_NOT_FOUND,
        [GRPC_ALREADY_EXISTS] = ERR_CONFLICT,
        [GRPC_PERMISSION_DENIED] = ERR_DENIED,
        [GRPC_RESOURCE_EXHAUSTED] = ERR_EXHAUSTED,
        [GRPC_FAILED_PRECONDITION] = ERR_CONFLICT,
        [GRPC_ABORTED] = ERR_CONFLICT,
        [GRPC_OUT_OF_RANGE] = ERR_INVALID,
        [GRPC_UNIMPLEMENTED] = ERR_METHOD,
        [GRPC_INTERNAL] = ERR_INTERNAL,
        [GRPC_UNAVAILABLE] = ERR_UNAVAILABLE,
        [GRPC_DATA_LOSS] = ERR_INTERNAL,
        [GRPC_UNAUTHENTICATED] = ERR_UNAUTHENTICATED,
    };
    return code >= 0 && code < GRPC_CODE_COUNT ? codes[code] : ERR_INTERNAL;
}
