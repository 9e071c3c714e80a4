#include "sim_stage.h"

#include "base/file.h"
#include "test.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static void *library;

const char *stage_library(void)
{
    const char *path = getenv("REEVE_TEST_SIM");
    ck_assert_msg(path, "REEVE_TEST_SIM is not set: run through meson");
    return path;
}

const char *stage_path(const char *name)
{
    static char path[256];
    if (!folder[0]) {
        strcpy(folder, "/tmp/reeve-test-gpu-XXXXXX");
        ck_assert(mkdtemp(folder));
    }
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

const char *stage_script(const char *name, const char *text)
{
    const char *path = stage_path(name);
    ck_assert_int_eq(file_replace(path, text, strlen(text), 0755, NULL), 0);
    return path;
}

void stage_set(const char *yaml)
{
    stage_clear();
    setenv("REEVE_SIM_STATE", stage_path("state"), 1);
    const char *path = stage_path("scenario.yaml");
    ck_assert_int_eq(file_replace(path, yaml, strlen(yaml), 0644, NULL), 0);
    setenv("REEVE_SIM_SCENARIO", path, 1);
}

void stage_skip(int ms)
{
    if (!library)
        library = dlopen(stage_library(), RTLD_NOW | RTLD_LOCAL);
    ck_assert(library);
    int (*init)(void), (*skip)(long long), (*down)(void);
    *(void **)&init = dlsym(library, "nvmlInit_v2");
    *(void **)&skip = dlsym(library, "reeve_sim_skip");
    *(void **)&down = dlsym(library, "nvmlShutdown");
    /* A scenario may let the initialisation fail; then there is no clock to move. */
    ck_assert_int_eq(init(), 0);
    ck_assert_int_eq(skip(ms), 0);
    ck_assert_int_eq(down(), 0);
}

void stage_clear(void)
{
    if (library)
        dlclose(library);
    library = NULL;
    if (folder[0])
        file_remove_tree(folder, NULL);
    folder[0] = '\0';
    unsetenv("REEVE_SIM_SCENARIO");
    unsetenv("REEVE_SIM_STATE");
}
