#include "kubelet/device_plugin.h"

#include "base/digest.h"
#include "base/mem.h"
#include "kubelet/pod_resources.h"
#include "net/backoff.h"
#include "net/grpc_client.h"
#include "net/grpc_server.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define LOOK_MS       10000 /* between looks when nothing happens */
#define ABSENT_MS     2000  /* the same while kubelet has no folder */
#define SOON_MS       20    /* after a change in the folder: several come at once */
#define LISTEN_MS     5000  /* kubelet has taken us: so long for it to begin to listen */
#define OTHER_MS      1000  /* to the second look, when another plugin seems to be there */
#define REGISTER_MS   10000
#define WATCHERS_MOST 8

/* A file as itself, not by its name. */
struct file_id {
    dev_t dev;
    ino_t ino;
    struct timespec made;
};

struct device_plugin {
    uv_loop_t *loop;
    char *kubelet, *resource;
    bool yields;
    plugin_grant_fn *grant;
    void (*on_state)(void *arg, enum device_plugin_state state, const char *why);
    void *arg;
    char *folder, *endpoint, *socket, *kubelet_socket;

    enum device_plugin_state state;
    char why[256];
    bool is_begun; /* there was a list of devices */
    struct plugin_devices devices;

    uv_fs_event_t *watch; /* of the folder; NULL: none */
    struct file_id watched;
    uv_timer_t timer;

    struct grpc_server *server;
    struct grpc_request *watchers[WATCHERS_MOST]; /* kubelet's open lists */
    size_t watcher_count;

    struct pod_resources *resources;
    bool is_asking;       /* for what kubelet could give away */
    bool is_clear;        /* nobody else serves the resource, by the last look */
    unsigned others_seen; /* looks in a row that found another plugin */

    struct grpc_client *registrar;
    struct grpc_call *registering;
    struct file_id registered; /* kubelet's socket that we have registered at, or tried to */
    bool is_registered, was_listened_to;
    uint64_t registered_ms, not_before_ms;
    unsigned failures;
};

const char *device_plugin_state_word(enum device_plugin_state state)
{
    static const char *const words[] = {"absent", "waiting", "yielding", "serving"};
    return words[state];
}

static void look(struct device_plugin *p);

static void set_state(struct device_plugin *p, enum device_plugin_state state, const char *why)
{
    if (p->state == state && strcmp(p->why, why) == 0)
        return;
    p->state = state;
    snprintf(p->why, sizeof p->why, "%s", why);
    p->on_state(p->arg, state, p->why);
}

static void on_timer(uv_timer_t *timer)
{
    look(timer->data);
}

/* The next look, at the latest. */
static void look_in(struct device_plugin *p, uint64_t ms)
{
    if (!uv_is_active((uv_handle_t *)&p->timer) || uv_timer_get_due_in(&p->timer) > ms)
        uv_timer_start(&p->timer, on_timer, ms, 0);
}

static bool identify(const char *path, struct file_id *ret)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return false;
    *ret = (struct file_id){st.st_dev, st.st_ino, st.st_ctim};
    return true;
}

/* Inode numbers are used again at once, so the time it was made counts, too. */
static bool is_same(const struct file_id *a, const struct file_id *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->made.tv_sec == b->made.tv_sec &&
           a->made.tv_nsec == b->made.tv_nsec;
}

/* ---- kubelet's folder ---- */

static void on_folder(uv_fs_event_t *h, const char *name, int events, int status)
{
    (void)name, (void)events, (void)status;
    look_in(h->data, SOON_MS);
}

static void on_watch_closed(uv_handle_t *h)
{
    free(h);
}

static void unwatch(struct device_plugin *p)
{
    if (p->watch)
        uv_close((uv_handle_t *)TAKE(p->watch), on_watch_closed);
}

/* A folder's own change time moves with its entries, so only its number names it. */
static void watch_folder(struct device_plugin *p)
{
    struct file_id now;
    if (!identify(p->folder, &now))
        return;
    if (p->watch && now.dev == p->watched.dev && now.ino == p->watched.ino)
        return;
    unwatch(p);
    uv_fs_event_t *w = mem_new(uv_fs_event_t);
    uv_fs_event_init(p->loop, w);
    w->data = p;
    p->watched = now;
    p->watch = w;
    if (uv_fs_event_start(w, on_folder, p->folder, 0) < 0)
        unwatch(p); /* out of watches: the look every ten seconds remains */
}

/* ---- another plugin ---- */

/* The word by which plugins for this resource call their sockets: "nvidia" of "nvidia.com/gpu",
 * "intel" of "gpu.intel.com/xe". */
static char *vendor_word(const char *resource)
{
    size_t len = strcspn(resource, "/");
    const char *dot = memrchr(resource, '.', len);
    if (!dot)
        return mem_strndup(resource, len);
    const char *begin = memrchr(resource, '.', (size_t)(dot - resource));
    begin = begin ? begin + 1 : resource;
    return mem_strndup(begin, (size_t)(dot - begin));
}

static bool is_listened_to(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof addr.sun_path)
        return false;
    strcpy(addr.sun_path, path);
    auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd >= 0 && (connect(fd, (const struct sockaddr *)&addr, sizeof addr) == 0 ||
                       errno == EAGAIN); /* its queue is full: somebody is there */
}

static void closedirp(DIR **d)
{
    if (*d)
        closedir(*d);
}

/* A plugin's socket in kubelet's folder that is not ours and at which somebody listens; its name,
 * NULL when there is none. */
static char *other_socket(const struct device_plugin *p)
{
    auto_free char *word = vendor_word(p->resource);
    AUTO(closedirp) DIR *d = opendir(p->folder);
    const struct dirent *entry;
    while (d && (entry = readdir(d))) {
        const char *name = entry->d_name;
        if (!strstr(name, word) || !text_ends_with(name, ".sock") || strcmp(name, p->endpoint) == 0)
            continue;
        auto_free char *path = mem_printf("%s/%s", p->folder, name);
        if (is_listened_to(path))
            return mem_strdup(name);
    }
    return NULL;
}

static void stop_serving(struct device_plugin *p)
{
    if (p->registering)
        grpc_call_cancel(TAKE(p->registering));
    p->is_registered = false;
    p->watcher_count = 0; /* they are gone with the server */
    grpc_server_stop(TAKE(p->server));
}

static void saw_other(struct device_plugin *p, const char *why)
{
    p->others_seen++;
    if (p->others_seen < 2) {
        /* It may be ourselves, before a restart that kubelet has not noticed. */
        look_in(p, OTHER_MS);
        return;
    }
    stop_serving(p);
    set_state(p, PLUGIN_YIELDING, why);
}

static void on_allocatable(void *arg, int64_t count, const struct err *e)
{
    struct device_plugin *p = arg;
    (void)e; /* an old kubelet that does not tell is no other plugin */
    p->is_asking = false;
    if (count > 0) {
        saw_other(p, "another plugin serves this resource");
        return;
    }
    p->is_clear = true;
    look(p);
}

/* False: another plugin is there, or it will turn out. */
static bool is_alone(struct device_plugin *p)
{
    if (!p->yields)
        return true;
    auto_free char *other = other_socket(p);
    if (other) {
        char why[300];
        snprintf(why, sizeof why, "another plugin serves this resource ('%.200s')", other);
        saw_other(p, why);
        return false;
    }
    if (p->is_clear)
        return true;
    if (!p->is_asking) {
        p->is_asking = true;
        pod_resources_allocatable(p->resources, p->resource, on_allocatable, p);
    }
    return false;
}

/* ---- kubelet's calls ---- */

static void say_devices(struct device_plugin *p, struct grpc_request *r)
{
    auto_text struct text list = {0};
    plugin_say_devices(&p->devices, &list);
    grpc_stream_state(r, list.data, list.len);
}

static void on_watcher_gone(void *arg, struct grpc_request *r)
{
    struct device_plugin *p = arg;
    for (size_t i = 0; i < p->watcher_count; i++)
        if (p->watchers[i] == r) {
            p->watchers[i] = p->watchers[--p->watcher_count];
            break;
        }
    if (!p->watcher_count)
        look_in(p, SOON_MS);
}

static void answer(struct grpc_request *r, int rc, const struct text *message, const struct err *e)
{
    if (rc < 0)
        grpc_fail(r, e);
    else
        grpc_answer(r, message->data, message->len);
}

static void get_options(void *arg, struct grpc_request *r, const uint8_t *message, size_t len)
{
    auto_text struct text out = {0};
    (void)arg, (void)message, (void)len;
    plugin_say_options(&out);
    answer(r, 0, &out, NULL);
}

static void list_and_watch(void *arg, struct grpc_request *r, const uint8_t *message, size_t len)
{
    struct device_plugin *p = arg;
    (void)message, (void)len;
    if (p->watcher_count == WATCHERS_MOST) {
        struct err e = {0};
        err_set(&e, ERR_EXHAUSTED, "%d others watch already", WATCHERS_MOST);
        grpc_fail(r, &e);
        return;
    }
    p->watchers[p->watcher_count++] = r;
    p->was_listened_to = true;
    grpc_stream_open(r, on_watcher_gone, p);
    say_devices(p, r);
    look_in(p, 0);
}

static void allocate(void *arg, struct grpc_request *r, const uint8_t *message, size_t len)
{
    struct device_plugin *p = arg;
    struct err e = {0};
    auto_text struct text out = {0};
    answer(r, plugin_allocate(message, len, &p->devices, p->grant, p->arg, &out, &e), &out, &e);
}

static void get_preferred(void *arg, struct grpc_request *r, const uint8_t *message, size_t len)
{
    struct device_plugin *p = arg;
    struct err e = {0};
    auto_text struct text out = {0};
    answer(r, plugin_prefer(message, len, &p->devices, &out, &e), &out, &e);
}

/* We ask for none, so nothing is to be done. */
static void pre_start(void *arg, struct grpc_request *r, const uint8_t *message, size_t len)
{
    auto_text struct text out = {0};
    (void)arg, (void)message, (void)len;
    plugin_say_nothing(&out);
    answer(r, 0, &out, NULL);
}

static const struct grpc_method methods[] = {
    {"/v1beta1.DevicePlugin/GetDevicePluginOptions", get_options},
    {"/v1beta1.DevicePlugin/ListAndWatch", list_and_watch},
    {"/v1beta1.DevicePlugin/Allocate", allocate},
    {"/v1beta1.DevicePlugin/GetPreferredAllocation", get_preferred},
    {"/v1beta1.DevicePlugin/PreStartContainer", pre_start},
};

/* ---- registering ---- */

static void failed(struct device_plugin *p, const char *why)
{
    uint64_t ms = (uint64_t)backoff_ms(++p->failures, 100, LOOK_MS, random_u64());
    p->not_before_ms = uv_now(p->loop) + ms;
    set_state(p, PLUGIN_WAITING, why);
    look_in(p, ms);
}

static void on_registered(void *arg, const struct grpc_reply *reply)
{
    struct device_plugin *p = arg;
    p->registering = NULL;
    if (reply->err.code) {
        failed(p, reply->err.text);
        return;
    }
    p->is_registered = true;
    p->was_listened_to = p->watcher_count > 0; /* it may listen before it answers */
    p->registered_ms = uv_now(p->loop);
    look(p);
}

static void register_now(struct device_plugin *p)
{
    auto_text struct text message = {0};
    plugin_say_register(p->resource, p->endpoint, &message);
    const struct grpc_call_config config = {.path = "/v1beta1.Registration/Register",
                                            .message = message.data,
                                            .len = message.len,
                                            .timeout_ms = REGISTER_MS};
    p->is_clear = false; /* for the next time */
    p->others_seen = 0;
    p->registering = grpc_call_send(p->registrar, &config, on_registered, p);
}

static bool listens(struct device_plugin *p)
{
    const struct grpc_server_config config = {
        .methods = methods, .method_count = COUNT_OF(methods), .arg = p};
    struct err e = {0};
    if (p->server && grpc_server_is_reachable(p->server))
        return true;
    stop_serving(p);
    if (grpc_server_start(p->loop, p->socket, &config, &p->server, &e) == 0)
        return true;
    failed(p, e.text);
    return false;
}

/* ---- what should be done now? ---- */

static void look(struct device_plugin *p)
{
    struct file_id kubelet, folder;
    look_in(p, LOOK_MS);
    if (!p->is_begun)
        return;
    if (!identify(p->folder, &folder)) {
        unwatch(p);
        stop_serving(p);
        set_state(p, PLUGIN_ABSENT, "there is no kubelet here");
        look_in(p, ABSENT_MS);
        return;
    }
    watch_folder(p);
    if (!identify(p->kubelet_socket, &kubelet)) {
        p->is_registered = false;
        set_state(p, PLUGIN_WAITING, "kubelet does not run");
        return;
    }
    if (p->is_registered && is_same(&kubelet, &p->registered) &&
        grpc_server_is_reachable(p->server)) {
        uint64_t age_ms = uv_now(p->loop) - p->registered_ms;
        if (p->watcher_count) {
            p->failures = 0;
            set_state(p, PLUGIN_SERVING, "");
            return;
        }
        if (age_ms < LISTEN_MS && !p->was_listened_to) {
            look_in(p, LISTEN_MS - age_ms);
            return;
        }
        p->is_registered = false; /* it has lost interest: once more */
    }
    if (p->registering)
        return;
    if (!is_same(&kubelet,
                 &p->registered)) /* a new kubelet owes nothing to the old one's failures */
        p->not_before_ms = p->failures = 0;
    if (uv_now(p->loop) < p->not_before_ms) {
        look_in(p, p->not_before_ms - uv_now(p->loop));
        return;
    }
    if (!is_alone(p) || !listens(p))
        return;
    p->registered = kubelet;
    register_now(p);
}

/* ---- the outside ---- */

/* Our socket's name: the resource's, with what cannot be in a name made '-'. */
static char *endpoint_name(const char *resource)
{
    char *name = mem_printf("reeve-%s.sock", resource);
    for (char *c = name; *c; c++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", *c))
            *c = '-';
    return name;
}

struct device_plugin *device_plugin_start(uv_loop_t *loop,
                                          const struct device_plugin_config *config)
{
    struct device_plugin *p = mem_new(struct device_plugin);
    p->loop = loop;
    p->kubelet = mem_strdup(config->kubelet);
    p->resource = mem_strdup(config->resource);
    p->yields = config->yields;
    p->grant = config->grant;
    p->on_state = config->on_state;
    p->arg = config->arg;
    p->folder = mem_printf("%s/device-plugins", config->kubelet);
    p->endpoint = endpoint_name(config->resource);
    p->socket = mem_printf("%s/%s", p->folder, p->endpoint);
    p->kubelet_socket = mem_printf("%s/kubelet.sock", p->folder);
    p->resources = pod_resources_new(loop, config->kubelet);
    p->registrar = grpc_client_new(loop, p->kubelet_socket);
    uv_timer_init(loop, &p->timer);
    p->timer.data = p;
    return p;
}

void device_plugin_set(struct device_plugin *p, const struct plugin_device *devices, size_t count)
{
    struct plugin_device *old = p->devices.items;
    bool same = p->is_begun && count == p->devices.count;
    for (size_t i = 0; i < count && same; i++)
        same = strcmp(old[i].id, devices[i].id) == 0 &&
               old[i].is_healthy == devices[i].is_healthy &&
               old[i].numa_node == devices[i].numa_node;
    if (same)
        return;
    p->devices.items = count ? mem_dup(devices, count * sizeof *devices) : NULL;
    p->devices.count = count;
    free(old);
    for (size_t i = 0; i < p->watcher_count; i++)
        say_devices(p, p->watchers[i]);
    if (!p->is_begun) {
        p->is_begun = true;
        look_in(p, 0);
    }
}

static void on_closed(uv_handle_t *h)
{
    struct device_plugin *p = h->data;
    free(p->kubelet);
    free(p->resource);
    free(p->folder);
    free(p->endpoint);
    free(p->socket);
    free(p->kubelet_socket);
    free(p->devices.items);
    free(p);
}

void device_plugin_stop(struct device_plugin *p)
{
    if (!p)
        return;
    unwatch(p);
    stop_serving(p);
    pod_resources_free(TAKE(p->resources));
    grpc_client_free(TAKE(p->registrar));
    uv_close((uv_handle_t *)&p->timer, on_closed);
}
