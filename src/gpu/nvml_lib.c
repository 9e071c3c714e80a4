#include "gpu/nvml_lib.h"

#include "base/mem.h"

#include <dlfcn.h>

int nvml_lib_open(struct nvml_lib *lib, const char *path, struct err *e)
{
    *lib = (struct nvml_lib){0};
    lib->handle = dlopen(path ? path : "libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!lib->handle)
        return err_set(e, ERR_NOT_FOUND, "could not load NVIDIA's management library: %s",
                       dlerror());

    static const struct {
        const char *name;
        size_t offset;
    } functions[] = {
#define X(name, args) {#name, offsetof(struct nvml_lib, name)},
        NVML_FUNCTIONS(X)
#undef X
    };
    for (size_t i = 0; i < COUNT_OF(functions); i++) {
        void *symbol = dlsym(lib->handle, functions[i].name);
        memcpy((char *)lib + functions[i].offset, &symbol, sizeof symbol);
    }

    /* Without these nothing works; they are there since CUDA 4. */
    if (!lib->nvmlInit_v2 || !lib->nvmlShutdown || !lib->nvmlDeviceGetCount_v2 ||
        !lib->nvmlDeviceGetHandleByIndex_v2) {
        nvml_lib_close(lib);
        return err_set(e, ERR_UNAVAILABLE,
                       "cannot use library '%s': it is too old or no management library",
                       path ? path : "libnvidia-ml.so.1");
    }
    return 0;
}

void nvml_lib_close(struct nvml_lib *lib)
{
    if (lib->handle)
        dlclose(lib->handle);
    *lib = (struct nvml_lib){0};
}

const char *nvml_code_text(int code)
{
    switch (code) {
#define X(name, value, text)                                                                       \
    case value:                                                                                    \
        return text;
        NVML_CODES(X)
#undef X
    default:
        return "an error code without a name";
    }
}
