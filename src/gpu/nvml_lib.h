/* NVIDIA's management library, opened at run time: each function it may have, NULL where it lacks
 * one. */
#ifndef GPU_NVML_LIB_H
#define GPU_NVML_LIB_H

#include "base/err.h"
#include "gpu/nvml_abi.h"

struct nvml_lib {
    void *handle;
#define X(name, args) name##_fn *name;
    NVML_FUNCTIONS(X)
#undef X
};

/* PATH NULL: libnvidia-ml.so.1 where the system finds it. ERR_NOT_FOUND: there is none.
 * ERR_UNAVAILABLE: it cannot be used. */
int nvml_lib_open(struct nvml_lib *lib, const char *path, struct err *e);
void nvml_lib_close(struct nvml_lib *lib);

/* What a code means, for people. Never NULL. */
const char *nvml_code_text(int code);

/* Calls it, or answers as the library would if it knew the name. */
#define NVML_CALL(lib, function, ...)                                                              \
    ((lib)->function ? (lib)->function(__VA_ARGS__) : (int)NVML_FUNCTION_NOT_FOUND)

#endif
