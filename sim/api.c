#include "api.h"

#include "base/clock.h"
#include "base/mem.h"

#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>

/* Guards all below; never held while a call hangs or waits. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct world *world; /* while users > 0 */
static unsigned users;
static int64_t loaded_t_ms; /* when this process initialised the driver, on the scenario's clock */

/* A handle is the address of one of these; it stays the same for ever. */
struct nvml_device {
    char place;
};
static struct nvml_device handles[SIM_MOST_DEVICES];

nvml_device api_handle(size_t index)
{
    return &handles[index];
}

/* A folder that happens to be called like a scenario is not one. */
static bool is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && !S_ISDIR(st.st_mode);
}

/* A name without a folder may be one of the scenarios that lie beside this library. */
static char *find_scenario(const char *name)
{
    Dl_info self;
    if (!name || !name[0])
        return NULL;
    if (strchr(name, '/') || is_file(name) || !dladdr(handles, &self) ||
        !strrchr(self.dli_fname, '/'))
        return mem_strdup(name);
    char *beside =
        mem_printf("%.*s/scenarios/%s.yaml", (int)(strrchr(self.dli_fname, '/') - self.dli_fname),
                   self.dli_fname, name);
    if (access(beside, R_OK) == 0)
        return beside;
    free(beside);
    return mem_strdup(name);
}

static int open_world(void)
{
    auto_free char *scenario = find_scenario(getenv("REEVE_SIM_SCENARIO"));
    struct world_config config = {
        .scenario = scenario,
        .node = getenv("REEVE_SIM_NODE"),
        .state = getenv("REEVE_SIM_STATE"),
    };
    struct err e = {0};
    if (world_open(&config, clock_boot_ms(), &world, &e) == 0)
        return 0;
    /* NVML has no way to say this; without it nobody would find the typing error. */
    fprintf(stderr, "NVML simulator: %s\n", e.text);
    return NVML_UNKNOWN;
}

static void close_world(void)
{
    world_close(world);
    world = NULL;
}

/* Waits until the fault is over; the scenario goes on, kept alive by its clock being read. */
static void hang(int64_t device, const char *name)
{
    pthread_mutex_unlock(&lock);
    for (bool on = true; on;) {
        poll(NULL, 0, 20);
        pthread_mutex_lock(&lock);
        if (world)
            world_tick(world, clock_boot_ms());
        on = world && world_fault(world, SIM_FAULT_HANG, device, name);
        pthread_mutex_unlock(&lock);
    }
    pthread_mutex_lock(&lock);
}

/* What happens to any call. Comes back with the lock held, perhaps after a while without. */
static int strike(int64_t device, const char *name)
{
    if (world_fault(world, SIM_FAULT_HANG, device, name))
        hang(device, name);
    const struct sim_fault *f = world ? world_fault(world, SIM_FAULT_SLOW, device, name) : NULL;
    if (f) {
        int64_t delay_ms = f->delay_ms;
        pthread_mutex_unlock(&lock);
        poll(NULL, 0, (int)delay_ms);
        pthread_mutex_lock(&lock);
    }
    if (!world)
        return NVML_UNINITIALIZED;
    f = world_fault(world, SIM_FAULT_ERROR, device, name);
    return !f ? NVML_SUCCESS : f->code >= 0 ? (int)f->code : NVML_UNKNOWN;
}

/* Was the driver loaded anew since this process initialised it? */
static int driver_gone(void)
{
    const struct scenario *s = world_scenario(world);
    if (world_fault(world, SIM_FAULT_RESTART, -1, NULL))
        return NVML_DRIVER_NOT_LOADED;
    for (size_t i = 0; i < s->fault_count; i++)
        if (s->faults[i].kind == SIM_FAULT_RESTART &&
            sim_fault_count(&s->faults[i], loaded_t_ms, world_t_ms(world)) > 0)
            return NVML_UNINITIALIZED;
    return NVML_SUCCESS;
}

static int initialise(const char *name)
{
    pthread_mutex_lock(&lock);
    int code = world ? 0 : open_world();
    if (code == 0) {
        world_tick(world, clock_boot_ms());
        code = strike(-1, name);
    }
    if (code == 0) {
        const struct sim_fault *f = world_fault(world, SIM_FAULT_INIT, -1, NULL);
        if (f)
            code = f->code >= 0 ? (int)f->code : NVML_DRIVER_NOT_LOADED;
        else if (world_fault(world, SIM_FAULT_RESTART, -1, NULL))
            code = NVML_DRIVER_NOT_LOADED;
    }
    if (code == 0 && users++ == 0)
        loaded_t_ms = world_t_ms(world);
    if (users == 0 && world)
        close_world();
    pthread_mutex_unlock(&lock);
    return code;
}

EXPORT int nvmlInit(void)
{
    return initialise(__func__);
}

EXPORT int nvmlInit_v2(void)
{
    return initialise(__func__);
}

EXPORT int nvmlInitWithFlags(unsigned flags)
{
    (void)flags; /* there is never a GPU missing or to be attached */
    return initialise(__func__);
}

EXPORT int nvmlShutdown(void)
{
    pthread_mutex_lock(&lock);
    int code = users ? NVML_SUCCESS : NVML_UNINITIALIZED;
    if (users && --users == 0)
        close_world();
    pthread_mutex_unlock(&lock);
    return code;
}

/* A device-wide fault that every call about it reports. */
static int device_fault(int64_t device)
{
    if (world_fault(world, SIM_FAULT_LOST, device, NULL))
        return NVML_GPU_IS_LOST;
    if (world_fault(world, SIM_FAULT_RESET, device, NULL))
        return NVML_RESET_REQUIRED;
    return NVML_SUCCESS;
}

struct api_call api_enter(bool about_device, nvml_device handle, const char *name)
{
    struct api_call c = {0};
    pthread_mutex_lock(&lock);
    if (!world) {
        c.code = NVML_UNINITIALIZED;
    } else {
        world_tick(world, clock_boot_ms());
        c.code = driver_gone();
    }

    int64_t device = -1;
    if (c.code == 0 && about_device) {
        uintptr_t place = (uintptr_t)handle - (uintptr_t)handles;
        device = (int64_t)place;
        if (!handle || place >= world_scenario(world)->device_count)
            c.code = NVML_INVALID_ARGUMENT;
    }
    if (c.code == 0)
        c.code = strike(device, name);
    if (c.code == 0 && about_device)
        c.code = device_fault(device);
    if (c.code) {
        pthread_mutex_unlock(&lock);
        return c;
    }
    c.w = world;
    if (about_device) {
        c.index = (size_t)device;
        c.d = &world_scenario(world)->devices[device];
        c.missing = world_missing(world, c.index);
        world_look(world, c.index, &c.look);
    }
    return c;
}

void api_leave(struct api_call *c)
{
    if (c->w)
        pthread_mutex_unlock(&lock);
}

int api_text(const char *text, char *ret, unsigned room)
{
    INTO(ret);
    if (strlen(text) >= room)
        return NVML_INSUFFICIENT_SIZE;
    memcpy(ret, text, strlen(text) + 1);
    return NVML_SUCCESS;
}

int api_number(uint64_t number, unsigned *ret)
{
    INTO(ret);
    *ret = (unsigned)number;
    return NVML_SUCCESS;
}

/* Not NVML's: the scenario moves on by MS at once, in every process that plays it. For tests and
 * demonstrations. */
EXPORT int reeve_sim_skip(long long ms);
EXPORT int reeve_sim_skip(long long ms)
{
    pthread_mutex_lock(&lock);
    int code = world ? NVML_SUCCESS : NVML_UNINITIALIZED;
    if (world && ms > 0)
        world_skip(world, ms);
    pthread_mutex_unlock(&lock);
    return code;
}
