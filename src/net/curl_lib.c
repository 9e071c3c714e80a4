#include "net/curl_lib.h"

#include <dlfcn.h>
#include <uv.h>

static struct curl_lib lib;
static struct err failed; /* why LIB is empty */

static int load(void *handle, struct err *e)
{
#define X(name)                                                                                    \
    lib.name = (__typeof__(lib.name))dlsym(handle, "curl_" #name);                                 \
    if (!lib.name)                                                                                 \
        return err_set(e, ERR_UNAVAILABLE, "libcurl has no function curl_" #name);
    CURL_FUNCTIONS(X)
#undef X
    if (lib.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return err_set(e, ERR_UNAVAILABLE, "libcurl does not start");
    return 0;
}

static void open_lib(void)
{
    /* Debian's two builds have the same functions; the second wants GnuTLS, which we have loaded.
     */
    void *handle = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        handle = dlopen("libcurl-gnutls.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        err_set(&failed, ERR_UNAVAILABLE, "https needs libcurl, which cannot be loaded: %s",
                dlerror());
    else
        load(handle, &failed);
}

const struct curl_lib *curl_lib(struct err *e)
{
    static uv_once_t once = UV_ONCE_INIT;
    uv_once(&once, open_lib);
    if (!failed.code)
        return &lib;
    if (e)
        *e = failed;
    return NULL;
}
