/* doctor: looks at everything that a job needs, and says what to do where something is wrong. */
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/client.h"
#include "cli/doctor.h"
#include "cli/json_view.h"
#include "cli/kube_side.h"
#include "cli/place.h"
#include "cli/print.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

void doctor_found(struct doctor *d, const char *check, enum verdict v, const char *fix,
                  const char *fmt, ...)
{
    static const char *const words[] = {"ok", "warn", "fail"};
    char detail[600];
    va_list args;
    va_start(args, fmt);
    vsnprintf(detail, sizeof detail, fmt, args);
    va_end(args);

    json_t *item = json_object();
    json_object_set_new(item, "state", json_string(words[v]));
    json_object_set_new(item, "check", json_string(check));
    json_object_set_new(item, "detail", json_string_nocheck(detail));
    json_object_set_new(item, "fix", v == GOOD || !fix ? json_null() : json_string(fix));
    json_array_append_new(d->items, item);
    d->failed = d->failed || v == BAD;
}

/* ---- this side ---- */

static void check_config(struct doctor *d)
{
    auto_free char *usual = place_config();
    const char *path = d->c->opt.cli_config ? d->c->opt.cli_config : usual;
    struct stat st;
    if (!path || stat(path, &st) < 0) {
        doctor_found(d, "configuration", GOOD, NULL, "no file, which is fine");
        return;
    }
    auto_free char *text = NULL;
    size_t len;
    auto_json json_t *config = NULL;
    struct err e = {0};
    if (file_read(path, 1 << 20, &text, &len, &e) < 0 || yaml_parse(text, len, &config, &e) < 0)
        doctor_found(d, "configuration", BAD, "mend the file", "%s", e.text);
    else if (json_object_get(config, "token") && st.st_mode & 077)
        doctor_found(d, "configuration", BAD,
                     "chmod 600 the file, or keep the token in one named by token-file",
                     "file '%s' holds a token and others can read it", path);
    else
        doctor_found(d, "configuration", GOOD, NULL, "file '%s'", path);
}

static void check_token_file(struct doctor *d)
{
    struct stat st;
    const char *path = d->c->opt.token_file;
    if (!path || !*path)
        return;
    if (stat(path, &st) < 0)
        doctor_found(d, "token file", BAD,
                     "name one that is there by --token-file or REEVE_TOKEN_FILE",
                     "file '%s' is not there", path);
    else if (st.st_mode & 077)
        doctor_found(d, "token file", BAD, "chmod 600 the file", "others can read file '%s'", path);
    else
        doctor_found(d, "token file", GOOD, NULL, "file '%s'", path);
}

static void check_disk(struct doctor *d)
{
    auto_free char *data = NULL;
    struct statvfs vfs;
    if (place_data(&data, NULL) < 0)
        return;
    /* The folder may not be there yet: its parents' disk is what it will be on. */
    while (statvfs(data, &vfs) < 0 && strrchr(data, '/') != data)
        *strrchr(data, '/') = '\0';
    uint64_t free_mib = (uint64_t)vfs.f_bavail * vfs.f_frsize >> 20;
    doctor_found(d, "disk",
                 free_mib < 256    ? BAD
                 : free_mib < 2048 ? WARN
                                   : GOOD,
                 "free some space: below 256 MiB no job is accepted",
                 "%" PRIu64 " MiB free at '%s'", free_mib, data);
}

static void check_cgroups(struct doctor *d)
{
    const char *const advice = "run the agent as root or by systemd with Delegate=yes; until then "
                               "limits are kept by rlimits";
    bool v2 = access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0;
    const char *at = v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    if (access(at, F_OK) < 0)
        doctor_found(d, "cgroups", WARN, advice, "there are none on this machine");
    else if (access(at, W_OK) < 0)
        doctor_found(d, "cgroups", WARN, advice, "version %d, but not writable for this account",
                     v2 ? 2 : 1);
    else
        doctor_found(d, "cgroups", GOOD, NULL, "version %d, writable", v2 ? 2 : 1);
}

static void check_driver(struct doctor *d)
{
    void *library = dlopen("libnvidia-ml.so.1", RTLD_LAZY | RTLD_LOCAL);
    bool device = access("/dev/nvidiactl", F_OK) == 0;
    auto_free char *simulator = place_simulator();
    if (library && device)
        doctor_found(d, "GPU driver", GOOD, NULL, "NVIDIA's library and devices are here");
    else if (device)
        doctor_found(d, "GPU driver", WARN, "install the driver's library libnvidia-ml1",
                     "there are NVIDIA devices, but no libnvidia-ml.so.1");
    else if (simulator)
        doctor_found(d, "GPU driver", GOOD, NULL, "no NVIDIA GPU here; 'reeve up' simulates one");
    else
        doctor_found(d, "GPU driver", WARN,
                     "install the driver, or the simulator with 'meson install'",
                     "no NVIDIA GPU and no simulator here");
    if (library)
        dlclose(library);
}

/* ---- the other side ---- */

static void check_server(struct doctor *d)
{
    struct err e = {0};
    auto_json json_t *answer = NULL;
    if (cli_client(d->c, &d->client, &e) < 0 || client_get(d->client, "/readyz", &answer, &e) < 0) {
        doctor_found(d, "server", BAD,
                     "start it with 'reeve up', or name another by --server or REEVE_SERVER", "%s",
                     e.text);
        return;
    }
    d->reachable = true;
    doctor_found(d, "server", GOOD, NULL, "%s is ready", client_where(d->client));
}

static bool check_token(struct doctor *d)
{
    struct err e = {0};
    auto_json json_t *me = NULL;
    if (client_get(d->client, "/api/v1/whoami", &me, &e) < 0) {
        doctor_found(
            d, "token", BAD,
            "give a token by REEVE_TOKEN or --token-file FILE; an admin makes one with 'reeve "
            "token "
            "create USER'",
            "%s", e.text);
        return false;
    }
    doctor_found(d, "token", GOOD, NULL, "user %s, role %s", view_text(me, "user"),
                 view_text(me, "role"));
    return true;
}

/* The difference is taken from the middle of the call; both clocks are read in whole seconds at
 * worst, so a second more or less says nothing. */
static void check_clock(struct doctor *d, const json_t *status, int64_t before_ms, int64_t after_ms)
{
    int64_t server_ms = view_time(status, "now");
    struct tm tm = {0};
    if (!server_ms && strptime(client_header(d->client, "Date"), "%a, %d %b %Y %H:%M:%S", &tm))
        server_ms = (int64_t)timegm(&tm) * 1000 + 500;
    if (!server_ms)
        return;
    int64_t skew = server_ms - (before_ms + after_ms) / 2, size = skew < 0 ? -skew : skew;
    doctor_found(d, "clock",
                 size < 2000    ? GOOD
                 : size < 60000 ? WARN
                                : BAD,
                 "set both clocks by NTP (systemd-timesyncd, chrony)",
                 "the server's clock is %s%" PRId64 ".%" PRId64 " s from ours", skew < 0 ? "-" : "",
                 size / 1000, size % 1000 / 100);
}

static void check_redis(struct doctor *d, const json_t *redis)
{
    const char *why = view_text(redis, "why"), *address = view_text(redis, "address");
    if (!redis)
        return;
    if (strcmp(view_text(redis, "state"), "up") != 0)
        doctor_found(
            d, "Redis", WARN,
            "look whether it runs and lets reeved in; jobs go on without it (docs/redis.md)",
            "%s is down%s%s", *address ? address : "it", *why ? ": " : "", why);
    else
        doctor_found(d, "Redis", GOOD, NULL, "%s%s", *address ? address : "up",
                     json_is_true(view_get(redis, "in_step")) ? "" : ", being written anew");
}

static void check_status(struct doctor *d)
{
    struct err e = {0};
    auto_json json_t *status = NULL;
    int64_t before = clock_wall_ms();
    if (client_get(d->client, "/api/v1/status", &status, &e) < 0) {
        doctor_found(d, "status", BAD, NULL, "%s", e.text);
        return;
    }
    int64_t after = clock_wall_ms();
    const char *version = view_text(status, "version");
    if (strcmp(version, REEVE_VERSION) == 0)
        doctor_found(d, "version", GOOD, NULL, "%s on both sides", version);
    else
        doctor_found(d, "version", WARN, "upgrade the older of the two",
                     "the server has %s, this is %s", version, REEVE_VERSION);
    check_clock(d, status, before, after);
    check_redis(d, view_get(status, "redis"));
}

static void check_nodes(struct doctor *d)
{
    struct err e = {0};
    auto_json json_t *nodes = NULL;
    size_t i, ready = 0;
    json_t *node;
    if (client_list(d->client, "/api/v1/nodes", 10000, &nodes, &e) < 0) {
        if (e.code != ERR_DENIED)
            doctor_found(d, "nodes", BAD, NULL, "%s", e.text);
        return;
    }
    json_array_foreach(view_items(nodes), i, node)
    {
        const char *state = view_text(node, "state"), *version = view_text(node, "version");
        if (strcmp(state, "ready") == 0)
            ready++;
        else
            doctor_found(
                d, "node", WARN,
                "look whether its reeve-agent runs; when the machine is off for good: 'reeve "
                "node lost NAME'",
                "'%s' is %s", view_text(node, "name"), state);
        if (*version && !view_get(node, "cluster") && strcmp(version, REEVE_VERSION) != 0)
            doctor_found(d, "node", WARN, "upgrade the older of the two",
                         "'%s' has version %s, this is %s", view_text(node, "name"), version,
                         REEVE_VERSION);
        int64_t skew = view_int(node, "skew_ms", 0);
        if (skew > 5000 || skew < -5000)
            doctor_found(d, "node", WARN, "set its clock by NTP",
                         "the clock of '%s' is %" PRId64 " ms off", view_text(node, "name"), skew);
    }
    doctor_found(d, "nodes", ready ? GOOD : WARN,
                 "'reeve enrol' makes a token for one, 'reeve up' starts one here",
                 "%zu of %zu ready", ready, json_array_size(view_items(nodes)));
}

static void check_devices(struct doctor *d)
{
    struct err e = {0};
    auto_json json_t *devices = NULL;
    size_t i, faulty = 0, count;
    json_t *device;
    if (client_list(d->client, "/api/v1/devices", 100000, &devices, &e) < 0)
        return;
    count = json_array_size(view_items(devices));
    json_array_foreach(view_items(devices), i, device)
    {
        if (strcmp(view_text(device, "state"), "faulty") != 0)
            continue;
        faulty++;
        doctor_found(d, "GPU", WARN,
                     "look at the kernel's log for XID messages; reset or replace the GPU",
                     "%s:%" PRId64 " is faulty: %s", view_text(device, "node"),
                     view_int(device, "index", 0), view_text(device, "health"));
    }
    doctor_found(d, "GPUs", count > faulty ? GOOD : WARN, "no job that needs a GPU can start",
                 "%zu, %zu of them faulty", count, faulty);
}

static const struct column doctor_columns[] = {
    {"STATE", "state", CELL_STATE, 0},
    {"CHECK", "check", CELL_TEXT, 0},
    {"FOUND", "detail", CELL_TEXT, 0},
};

static void doctor_below(struct cli *c, const json_t *answer, struct text *out)
{
    (void)c;
    size_t i;
    json_t *item;
    bool first = true;
    json_array_foreach(view_items(answer), i, item)
    {
        if (!view_get(item, "fix"))
            continue;
        text_addf(out, "%s  %s: %s\n", first ? "\nWhat to do\n" : "", view_text(item, "check"),
                  view_text(item, "fix"));
        first = false;
    }
}

static const struct view doctor_view = {
    .columns = doctor_columns,
    .count = COUNT_OF(doctor_columns),
    .name_key = "check",
    .below = doctor_below,
};

/* ---- the command ---- */

#define AT(member) offsetof(struct doctor_options, member)
static const struct option_spec doctor_specs[] = {
    {"kube", 0, OPTION_TEXT, AT(kube), "WHERE", "auto", 0, 0,
     "the cluster to look at: auto (where we are a pod), in-cluster, a kubeconfig, or off"},
    {"kube-context", 0, OPTION_TEXT, AT(kube_context), "NAME", NULL, 0, 0,
     "the context of the kubeconfig"},
    {"kube-namespace", 0, OPTION_TEXT, AT(kube_namespace), "NAME", "reeve-jobs", 0, 0,
     "where in the cluster jobs run"},
    {"release", 0, OPTION_FLAG, AT(release), NULL, NULL, 0, 0,
     "take Reeve's finalizers off what it left in the cluster, when it is gone for good"},
};

static bool wants_cluster(const struct doctor_options *o)
{
    return strcmp(o->kube, "auto") == 0 ? kube_side_in_pod() : strcmp(o->kube, "off") != 0;
}

static int run_release(struct doctor *d, struct doctor_options *o, struct err *e)
{
    size_t released;
    if (strcmp(o->kube, "off") == 0)
        return err_set(e, ERR_INVALID, "--release is about a cluster, and --kube is off");
    check_server(d);
    if (d->reachable)
        return err_set(e, ERR_CONFLICT,
                       "%s is ready, and takes its finalizers off itself; stop it first",
                       client_where(d->client));
    if (doctor_release(o, &released, e) < 0)
        return -1;
    printf("%zu object%s released\n", released, released == 1 ? "" : "s");
    return 0;
}

static void check_control_plane(struct doctor *d)
{
    check_server(d);
    if (d->reachable && check_token(d)) {
        check_status(d);
        check_nodes(d);
        check_devices(d);
    }
}

static int run_doctor(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    struct doctor_options *o = own;
    auto_json json_t *answer = json_object();
    struct doctor d = {.c = c, .items = json_array()};
    json_object_set_new(answer, "items", d.items);
    if (argc)
        return err_set(e, ERR_INVALID, "'%.64s' is too much", argv[0]);
    if (o->release)
        return run_release(&d, o, e);

    check_config(&d);
    check_token_file(&d);
    check_control_plane(&d);
    if (wants_cluster(o))
        doctor_look_at_cluster(&d, o);
    if (!kube_side_in_pod()) { /* where jobs run in pods of their own */
        check_driver(&d);
        check_cgroups(&d);
    }
    check_disk(&d);
    view_print(c, &doctor_view, answer);
    return d.failed ? EXIT_CHECK_FAILED : 0;
}

const struct command cmd_doctor = {
    .name = "doctor",
    .summary = "check everything that a job needs, and say what to mend",
    .operands = "",
    .specs = doctor_specs,
    .count = COUNT_OF(doctor_specs),
    .size = sizeof(struct doctor_options),
    .flags = COMMAND_CONNECTS,
    .run = run_doctor,
};
