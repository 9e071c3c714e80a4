#include "agent/sampler.h"

#include "agent/after.h"
#include "agent/aside.h"
#include "agent/energy.h"
#include "agent/link.h"
#include "agent/plugin.h"
#include "agent/pods.h"
#include "agent/telemetry.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <fcntl.h>
#include <string.h>

/* A look at the machine must cover this much time to say anything about its processors. */
#define HOST_LOOK_LEAST_MS 1000
#define HOST_FIRST_LOOK_MS 200
/* Least time between two writings of an attempt's meters. */
#define KEEP_METERS_MS     1000

struct sampler {
    struct agent *agent;
    struct gpu_watch *watch;
    struct host *host;
    const struct host_sample *host_last;
    struct owners *owners;
    struct after *host_timer;
    int64_t interval_ms;
    int64_t host_mono_ms, ours_cpu_us; /* at the last look at the machine */
    bool is_touching, is_checking;
    int64_t kept_boot_ms; /* of the last report that went to telemetry */
    int64_t meters_told_boot_ms;
};

/* ---- the machine ---- */

static void on_host_time(void *arg);

static int64_t less(int64_t all, int64_t ours)
{
    return all == HOST_NO_VALUE ? GATE_UNKNOWN : all > ours ? all - ours : 0;
}

/* The machine without jobs of ours, as the gate judges it. */
static void judge_host(struct sampler *s, const struct host_sample *h)
{
    struct agent *agent = s->agent;
    int64_t cpu_us, memory_bytes, dt_ms = h->mono_ms - s->host_mono_ms;
    usage_read(agent, &cpu_us, &memory_bytes);

    int64_t capacity = h->capacity.cpu_milli > 0 ? h->capacity.cpu_milli : 1000;
    int64_t ours_cpu = 0, ours_memory = 0;
    if (s->host_mono_ms && dt_ms > 0)
        ours_cpu = (cpu_us - s->ours_cpu_us) * 100000 / (dt_ms * capacity);
    if (h->capacity.memory_bytes >= 1024)
        ours_memory = memory_bytes / 1024 * 100000 / (h->capacity.memory_bytes / 1024);
    s->ours_cpu_us = cpu_us;
    s->host_mono_ms = h->mono_ms;

    agent->host_use = (struct gate_host){less(h->cpu_milli_pct, ours_cpu),
                                         less(h->memory_milli_pct, ours_memory)};
    if (gate_busy_host(&agent->host_busy, &agent->gate, &agent->host_use)) {
        agent->tell_host = true;
        link_wake(agent->link);
    }
}

static void look_at_host(struct sampler *s)
{
    s->host_last = host_read(s->host);
    judge_host(s, s->host_last);
    telemetry_add_host(s->agent->telemetry, s->host_last);
    after_cancel(s->host_timer);
    s->host_timer =
        after_start(s->agent->loop, s->interval_ms + s->interval_ms / 4, on_host_time, s);
}

static void on_host_time(void *arg)
{
    struct sampler *s = arg;
    s->host_timer = NULL;
    look_at_host(s);
    telemetry_send(s->agent->telemetry);
}

void sampler_fresh_host(struct sampler *s)
{
    if (clock_mono_ms() - s->host_mono_ms >= HOST_LOOK_LEAST_MS)
        look_at_host(s);
}

/* ---- GPUs ---- */

static bool is_shim(void *arg, pid_t pid)
{
    return attempt_of_shim(arg, pid) != NULL;
}

static bool is_our_pod(void *arg, const char *pod)
{
    int64_t job, n;
    return pods_is_ours(arg, pod, &job, &n);
}

static enum owner owner_of(void *arg, uint32_t pid, char words[DEVICE_HOLDER_SIZE])
{
    struct sampler *s = arg;
    return owners_find(s->owners, pid, words);
}

static enum owner pod_on(void *arg, const char *uuid, char words[DEVICE_HOLDER_SIZE])
{
    struct sampler *s = arg;
    return pods_owner(s->agent->pods, uuid, words);
}

static bool is_held(void *arg, const char *uuid)
{
    struct sampler *s = arg;
    return attempt_holding(s->agent, uuid) != NULL;
}

/* So that an agent that comes after us goes on counting. Not synced: what a crash of the machine
 * takes, it takes from a job that is lost with it. */
static void keep_meters(struct attempt *a)
{
    auto_text struct text t = {0};
    energy_write(a->meters, a->meter_count, &t);
    auto_free char *path = mem_printf("%s/energy", a->folder);
    auto_close int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && pwrite(fd, text_get(&t), t.len, 0) == (ssize_t)t.len &&
        ftruncate(fd, (off_t)t.len) < 0)
        log_debug("the energy file could not be cut", F_INT("job", a->job));
}

static void feed_one(struct sampler *s, struct attempt *a, const struct gpu_report *r)
{
    for (uint32_t i = 0; i < r->device_count; i++) {
        const struct gpu_device *d = &r->devices[i];
        for (size_t m = 0; m < a->meter_count; m++)
            if (strcmp(a->meters[m].uuid, d->info.uuid) == 0)
                energy_meter_feed(&a->meters[m], d->sample.energy_mj, d->sample.power_mw,
                                  d->sample.boot_ms ? d->sample.boot_ms : r->boot_ms,
                                  s->interval_ms);
    }
    /* Every start and end of any job is a report: not for each of them. */
    int64_t now_ms = clock_mono_ms();
    if (a->folder &&
        (!a->meters_kept_mono_ms || now_ms - a->meters_kept_mono_ms >= KEEP_METERS_MS)) {
        a->meters_kept_mono_ms = now_ms;
        keep_meters(a);
    }
}

static void feed_meters(struct sampler *s, const struct gpu_report *r)
{
    for (struct attempt *a = s->agent->attempts; a; a = a->next)
        if (a->meter_count && attempt_is_live(a))
            feed_one(s, a, r);
}

/* Readings come with every start and end, too: not a report for each of them. */
static void tell_meters(struct sampler *s, const struct gpu_report *r)
{
    if (r->boot_ms - s->meters_told_boot_ms < s->interval_ms * 9 / 10)
        return;
    s->meters_told_boot_ms = r->boot_ms;
    s->agent->tell_meters = true;
    link_wake(s->agent->link);
}

void sampler_begin_meters(struct sampler *s, struct attempt *a)
{
    const struct gpu_report *r = gpu_watch_last(s->watch);
    if (r && a->meter_count)
        feed_one(s, a, r);
}

static void judge_devices(struct sampler *s, const struct gpu_report *r)
{
    const struct devices_context context = {&s->agent->gate, owner_of, is_held, s, pod_on};
    if (devices_update(&s->agent->devices, r, &context))
        link_wake(s->agent->link);
    plugin_feed(s->agent->plugin, r);
}

void sampler_judge(struct sampler *s)
{
    const struct gpu_report *r = s ? gpu_watch_last(s->watch) : NULL;
    if (r)
        judge_devices(s, r);
}

/* Looks for health come more often than anyone wants to keep. */
static void keep_report(struct sampler *s, const struct gpu_report *r)
{
    if (s->is_checking && r->boot_ms - s->kept_boot_ms < s->interval_ms * 9 / 10)
        return;
    s->kept_boot_ms = r->boot_ms;
    telemetry_add_gpus(s->agent->telemetry, r);
}

static void on_report(void *arg, const struct gpu_report *r)
{
    struct sampler *s = arg;
    struct agent *agent = s->agent;
    judge_devices(s, r);
    owners_sweep(s->owners);
    feed_meters(s, r);
    aside_feed(agent->aside, r, s->interval_ms);
    tell_meters(s, r);
    keep_report(s, r);
    pods_look(agent->pods);
    for (uint32_t i = 0; i < r->event_count; i++) {
        const struct gpu_event *ev = &r->events[i];
        const char *uuid = ev->device < r->device_count ? r->devices[ev->device].info.uuid : "";
        log_warn("a GPU reports an error", F_TEXT("gpu", uuid), F_INT("xid", ev->xid));
    }

    int64_t age_ms = clock_mono_ms() - s->host_mono_ms;
    if (age_ms >= s->interval_ms * 9 / 10) {
        look_at_host(s);
        telemetry_send(agent->telemetry);
    }
    link_hello_may_go(agent->link);
}

static void on_trouble(void *arg, const struct err *e)
{
    (void)arg;
    log_warn("watching the GPUs has trouble, going on", F_ERR(e));
}

/* ---- the outside ---- */

int sampler_start(struct agent *agent, struct sampler **ret, struct err *e)
{
    struct sampler *s = mem_new(struct sampler);
    s->agent = agent;
    s->interval_ms = agent->options.sample_ms ? agent->options.sample_ms : 5000;
    s->owners = owners_new(is_shim, is_our_pod, agent, agent->options.pod_logs);
    s->host = host_open("/proc", true);
    const struct gpu_watch_config config = {.backend = agent->options.gpu,
                                            .library = agent->options.gpu_library,
                                            .interval_ms = s->interval_ms};
    const struct gpu_watch_callbacks callbacks = {on_report, on_trouble, s};
    s->watch = gpu_watch_start(agent->loop, &config, &callbacks, e);
    if (!s->watch) {
        sampler_stop(s);
        return -1;
    }
    s->host_last = host_read(s->host);
    agent->capacity = s->host_last->capacity;
    s->host_mono_ms = s->host_last->mono_ms;
    agent->host_use = (struct gate_host){GATE_UNKNOWN, GATE_UNKNOWN};
    s->host_timer = after_start(agent->loop, HOST_FIRST_LOOK_MS, on_host_time, s);
    *ret = s;
    return 0;
}

void sampler_stop(struct sampler *s)
{
    if (!s)
        return;
    gpu_watch_stop(s->watch);
    after_cancel(s->host_timer);
    host_close(s->host);
    owners_free(s->owners);
    free(s);
}

void sampler_set_interval(struct sampler *s, int64_t interval_ms)
{
    if (interval_ms < 1000)
        interval_ms = 1000;
    if (interval_ms > 60000)
        interval_ms = 60000;
    if (interval_ms == s->interval_ms)
        return;
    s->interval_ms = interval_ms;
    gpu_watch_set_interval(s->watch, interval_ms);
    after_cancel(s->host_timer);
    s->host_timer = after_start(s->agent->loop, interval_ms, on_host_time, s);
}

int64_t sampler_interval_ms(const struct sampler *s)
{
    return s->interval_ms;
}

const struct gpu_report *sampler_gpus(const struct sampler *s)
{
    return gpu_watch_last(s->watch);
}

const struct host_sample *sampler_host(const struct sampler *s)
{
    return s->host_last;
}

void sampler_fresh(struct sampler *s, gpu_watch_sample_fn *cb, void *arg)
{
    sampler_fresh_host(s);
    gpu_watch_sample_now(s->watch, cb, arg);
}

static void on_touched(void *arg, const struct gpu_report *report, const struct err *e)
{
    struct sampler *s = arg;
    (void)report, (void)e;
    s->is_touching = false;
}

void sampler_touch(struct sampler *s)
{
    if (s->is_touching)
        return;
    s->is_touching = true;
    gpu_watch_sample_now(s->watch, on_touched, s);
}

static void on_checked(void *arg, const struct gpu_report *report, const struct err *e)
{
    struct sampler *s = arg;
    (void)report, (void)e;
    s->is_checking = false;
}

void sampler_check(struct sampler *s)
{
    if (s->is_checking || s->is_touching)
        return;
    s->is_checking = true;
    gpu_watch_sample_now(s->watch, on_checked, s);
}

const struct process_owner *sampler_owner(const struct sampler *s, uint32_t pid)
{
    return owners_get(s->owners, pid);
}

int sampler_helper_pid(const struct sampler *s)
{
    return gpu_watch_helper_pid(s->watch);
}
