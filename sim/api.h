/*
 * What every exported function begins with: is the library initialised, is this a handle, which
 * fault strikes? Then it has the world to itself until it returns.
 */
#ifndef SIM_API_H
#define SIM_API_H

#include "base/cleanup.h"
#include "gpu/nvml_abi.h"
#include "world.h"

#define EXPORT        __attribute__((visibility("default")))

#define X(name, args) name##_fn name;
NVML_FUNCTIONS(X)
#undef X
nvmlErrorString_fn nvmlErrorString;

struct api_call {
    int code; /* not 0: return it, nothing is held */
    struct world *w;
    const struct sim_device *d;
    size_t index;
    uint64_t missing;
    struct sim_look look; /* of the device, now */
};

/* HANDLE NULL: the call is about no device. NAME is the function's. */
struct api_call api_enter(bool about_device, nvml_device handle, const char *name);
void api_leave(struct api_call *c);

/* The function's first line; `c` is the call from then on. */
#define SYSTEM_CALL()                                                                              \
    AUTO(api_leave) struct api_call c = api_enter(false, NULL, __func__);                          \
    if (c.code)                                                                                    \
    return c.code
#define DEVICE_CALL(handle)                                                                        \
    AUTO(api_leave) struct api_call c = api_enter(true, handle, __func__);                         \
    if (c.code)                                                                                    \
    return c.code
/* What it cannot do without: a place for the answer, a value that the device has. */
#define INTO(pointer)                                                                              \
    if (!(pointer))                                                                                \
    return NVML_INVALID_ARGUMENT
#define NEEDS(value)                                                                               \
    if (c.missing >> SIM_##value & 1)                                                              \
    return NVML_NOT_SUPPORTED
#define VERSIONED(pointer, type, n)                                                                \
    INTO(pointer);                                                                                 \
    if ((pointer)->version != NVML_VERSION(type, n))                                               \
    return NVML_ARGUMENT_VERSION_MISMATCH

nvml_device api_handle(size_t index);
/* Writes TEXT, if it fits with its NUL. */
int api_text(const char *text, char *ret, unsigned room);
int api_number(uint64_t number, unsigned *ret);

#endif
