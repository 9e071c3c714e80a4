#include "world.h"

#include "base/mem.h"
#include "clients.h"
#include "state.h"

enum {
    ADVANCE_EVERY_MS = 20,
    MOST_STEPS = 600, /* of one catching up; each is then longer */
    /* A board takes about this long to cover 63 % of the way to a new temperature. */
    WARM_UP_S = 25,
};

struct world {
    struct scenario *scenario;
    struct state *state;
    struct clients *clients;
    const char *uuids[SIM_MOST_DEVICES];
    int64_t now_ms;  /* CLOCK_BOOTTIME and what was skipped */
    int64_t skew_ms; /* what was skipped; processes do not age by it */
    int64_t t_ms;    /* since the scenario began */
};

int world_open(const struct world_config *config, int64_t boot_ms, struct world **ret,
               struct err *e)
{
    struct scenario *s;
    if (scenario_load(config->scenario, config->node ? config->node : "", &s, e) < 0)
        return -1;

    struct world *w = mem_new(struct world);
    w->scenario = s;
    w->state = state_open(config->state, s, boot_ms);
    for (size_t i = 0; i < s->device_count; i++)
        w->uuids[i] = s->devices[i].uuid;
    w->clients = clients_new(config->proc ? config->proc : "/proc", w->uuids, s->device_count);
    world_tick(w, boot_ms);
    *ret = w;
    return 0;
}

void world_close(struct world *w)
{
    if (!w)
        return;
    clients_free(w->clients);
    state_close(w->state);
    scenario_free(w->scenario);
    free(w);
}

const struct scenario *world_scenario(const struct world *w)
{
    return w->scenario;
}

int64_t world_t_ms(const struct world *w)
{
    return w->t_ms;
}

/* Without libm, see curve.c. exp(-X) for X >= 0, within 0.0005. */
static double decay(double x)
{
    double d = 1 / (1 + x / 1024);
    for (int i = 0; i < 10; i++)
        d *= d;
    return d;
}

/* Of a share between 0 and 1. */
static double square_root(double x)
{
    double root = 1;
    for (int i = 0; i < 12 && x > 0; i++)
        root = (root + x / root) / 2;
    return x > 0 ? root : 0;
}

/* The same second of the same device always wavers the same way, in every process. */
static double jitter(const struct sim_device *d, int64_t t_ms)
{
    uint64_t h = (uint64_t)(t_ms / 1000) * UINT64_C(0x9e3779b97f4a7c15);
    for (const char *p = d->uuid; *p; p++)
        h = (h ^ (unsigned char)*p) * UINT64_C(1099511628211);
    h ^= h >> 29;
    return d->jitter_pct * ((double)(h % 2001) / 1000 - 1);
}

static bool counts(const struct sim_device *d, const struct client *c, size_t device)
{
    uint64_t bits = d->client.every_process ? c->devices : c->topmost;
    return bits >> device & 1;
}

static double age_s(const struct world *w, const struct client *c, int64_t now_ms)
{
    return (double)(now_ms - w->skew_ms - c->start_ms) / 1000;
}

static bool foreign_is_on(const struct sim_foreign *f, int64_t t_ms)
{
    return t_ms >= f->from_ms && (f->for_ms < 0 || t_ms - f->from_ms < f->for_ms);
}

/* At NOW_MS, which may lie before the world's own now: clients that were not yet there then do not
 * count. */
static double load_at(const struct world *w, size_t device, int64_t now_ms)
{
    const struct sim_device *d = &w->scenario->devices[device];
    int64_t t_ms = w->t_ms - (w->now_ms - now_ms);
    double load = curve_at(&d->load_pct, (double)t_ms / 1000);

    for (size_t i = 0; i < d->foreign_count; i++)
        if (foreign_is_on(&d->foreign[i], t_ms))
            load +=
                curve_at(&d->foreign[i].load_pct, (double)(t_ms - d->foreign[i].from_ms) / 1000);
    size_t count;
    const struct client *clients = clients_list(w->clients, &count);
    for (size_t i = 0; i < count; i++)
        if (counts(d, &clients[i], device) && age_s(w, &clients[i], now_ms) >= 0)
            load += curve_at(&d->client.load_pct, age_s(w, &clients[i], now_ms));

    if (d->jitter_pct > 0 && load > 0 && load < 100)
        load += jitter(d, t_ms);
    return load < 0 ? 0 : load > 100 ? 100 : load;
}

static int64_t limit_of(const struct world *w, size_t device)
{
    int64_t set = state_get(w->state)->devices[device].power_limit_mw;
    return set ? set : w->scenario->devices[device].model.power_limit_w * 1000;
}

/* What it would draw without a limit. */
static double wanted_mw(const struct sim_model *m, double load_pct)
{
    return 1000 *
           ((double)m->power_idle_w + (double)(m->power_full_w - m->power_idle_w) * load_pct / 100);
}

static double power_at(const struct world *w, size_t device, double load_pct)
{
    double wanted = wanted_mw(&w->scenario->devices[device].model, load_pct);
    double limit = (double)limit_of(w, device);
    return wanted < limit ? wanted : limit;
}

static double temperature_for(const struct sim_model *m, double power_mw)
{
    double idle = (double)m->power_idle_w * 1000, full = (double)m->power_full_w * 1000;
    double share = full > idle ? (power_mw - idle) / (full - idle) : 0;
    return (double)m->temperature_idle_c +
           (double)(m->temperature_full_c - m->temperature_idle_c) * share;
}

/* The driver was loaded anew in (AFTER_MS, T_MS] of the scenario. */
static bool was_restarted(const struct world *w, int64_t after_ms, int64_t t_ms)
{
    for (size_t i = 0; i < w->scenario->fault_count; i++)
        if (w->scenario->faults[i].kind == SIM_FAULT_RESTART &&
            sim_fault_count(&w->scenario->faults[i], after_ms, t_ms) > 0)
            return true;
    return false;
}

static void advance_device(struct world *w, size_t i, int64_t from_ms, int64_t to_ms)
{
    const struct sim_device *d = &w->scenario->devices[i];
    struct state_device *st = &state_get(w->state)->devices[i];
    double seconds = (double)(to_ms - from_ms) / 1000;
    double load = load_at(w, i, from_ms + (to_ms - from_ms) / 2);
    double power = power_at(w, i, load), target = temperature_for(&d->model, power);

    int64_t t_ms = w->t_ms - (w->now_ms - to_ms);
    if (was_restarted(w, t_ms - (to_ms - from_ms), t_ms)) {
        st->energy_uj = 0;
        st->power_limit_mw = 0;
        st->pcie_tx_bytes = st->pcie_rx_bytes = st->nvlink_tx_kib = st->nvlink_rx_kib = 0;
    }
    st->energy_uj += (int64_t)(power * seconds * 1000 + 0.5);
    if (st->temperature_c <= 0)
        st->temperature_c = target;
    st->temperature_c += (target - st->temperature_c) * (1 - decay(seconds / WARM_UP_S));
    /* A tenth of what the links can carry at full load: enough to see them move. */
    double pcie = (double)(1 << d->model.pcie_generation) * 1e8 * load / 100 * seconds;
    st->pcie_rx_bytes += (int64_t)pcie;
    st->pcie_tx_bytes += (int64_t)(pcie / 4);
    double nvlink = (double)d->model.nvlinks * 2e6 * load / 100 * seconds;
    st->nvlink_tx_kib += (int64_t)nvlink;
    st->nvlink_rx_kib += (int64_t)nvlink;
}

/* Whoever comes first does it for all processes; who finds it locked uses what is there. */
static void advance(struct world *w)
{
    struct state_file *f = state_get(w->state);
    if (w->now_ms - f->advanced_ms < ADVANCE_EVERY_MS || !state_try_lock(w->state))
        return;

    int64_t from_ms = f->advanced_ms, gap_ms = w->now_ms - from_ms;
    int64_t steps = gap_ms / 1000 + 1;
    if (steps > MOST_STEPS)
        steps = MOST_STEPS;
    for (int64_t k = 0; k < steps && gap_ms > 0; k++)
        for (size_t i = 0; i < w->scenario->device_count; i++)
            advance_device(w, i, from_ms + gap_ms * k / steps, from_ms + gap_ms * (k + 1) / steps);
    if (gap_ms > 0)
        f->advanced_ms = w->now_ms;
    state_unlock(w->state);
}

void world_tick(struct world *w, int64_t boot_ms)
{
    struct state_file *f = state_get(w->state);
    w->skew_ms = f->skew_ms;
    w->now_ms = boot_ms + w->skew_ms;
    if (f->began_ms > w->now_ms) /* the file was changed by hand: better a new beginning */
        f->began_ms = w->now_ms;
    w->t_ms = w->now_ms - f->began_ms;
    if (w->now_ms > f->used_ms)
        f->used_ms = w->now_ms;
    clients_refresh(w->clients, boot_ms);
    advance(w);
}

void world_skip(struct world *w, int64_t ms)
{
    struct state_file *f = state_get(w->state);
    f->skew_ms += ms;
    f->used_ms += ms; /* skipping is use */
    world_tick(w, w->now_ms - w->skew_ms);
}

static int64_t used_mib(const struct world *w, size_t device)
{
    const struct sim_device *d = &w->scenario->devices[device];
    double used = curve_at(&d->memory_mib, (double)w->t_ms / 1000);
    struct sim_process list[CLIENTS_MOST];
    size_t count = world_processes(w, device, list, COUNT_OF(list));
    for (size_t i = 0; i < count && i < COUNT_OF(list); i++)
        used += (double)(list[i].used_bytes >> 20);
    int64_t most = d->model.memory_mib - d->model.reserved_mib;
    return used < (double)most ? (int64_t)used : most;
}

void world_look(const struct world *w, size_t device, struct sim_look *ret)
{
    const struct sim_device *d = &w->scenario->devices[device];
    const struct sim_model *m = &d->model;
    const struct state_device *st = &state_get(w->state)->devices[device];
    double load = load_at(w, device, w->now_ms);
    double wanted = wanted_mw(m, load), power = power_at(w, device, load);
    double celsius = st->temperature_c > 0 ? st->temperature_c : temperature_for(m, power);
    bool busy = load >= 0.5;

    *ret = (struct sim_look){
        .load_pct = load,
        .utilization_pct = (int64_t)(load + 0.5),
        .memory_utilization_pct = (int64_t)(load * 0.45 + 0.5),
        .total_bytes = m->memory_mib << 20,
        .reserved_bytes = m->reserved_mib << 20,
        .used_bytes = used_mib(w, device) << 20,
        .power_mw = (int64_t)power,
        .limit_mw = limit_of(w, device),
        .energy_mj = st->energy_uj / 1000,
        .temperature_c = (int64_t)(celsius + 0.5),
        .memory_temperature_c = (int64_t)(celsius * 1.06 + 2.5),
        .memory_clock_mhz = busy ? m->memory_clock_mhz : m->memory_clock_idle_mhz,
        .pstate = busy ? (m->idle_pstate ? 2 : 0) : m->idle_pstate,
        .pcie_tx_bytes = st->pcie_tx_bytes,
        .pcie_rx_bytes = st->pcie_rx_bytes,
        .nvlink_tx_kib = st->nvlink_tx_kib,
        .nvlink_rx_kib = st->nvlink_rx_kib,
        .recovery_action = d->recovery_action,
    };
    ret->clock_mhz = busy ? (int64_t)((double)m->clock_load_mhz * square_root(power / wanted))
                          : m->clock_idle_mhz;
    ret->video_clock_mhz = ret->clock_mhz * 4 / 5;
    if (!busy)
        ret->throttle |= 0x1;
    else if (wanted > power)
        ret->throttle |= 0x4;
    if (m->fans && ret->temperature_c > 50)
        ret->fan_pct = (ret->temperature_c - 30) * 3 / 2;
    for (size_t i = 0; i < w->scenario->fault_count; i++) {
        const struct sim_fault *f = &w->scenario->faults[i];
        if (f->recovery_action >= 0 && (f->device < 0 || f->device == (int64_t)device) &&
            sim_fault_is_on(f, w->t_ms))
            ret->recovery_action = f->recovery_action;
    }
}

static void add(struct sim_process *ret, size_t room, size_t *count, int64_t pid, double mib,
                double load)
{
    if (*count < room)
        ret[*count] = (struct sim_process){
            .pid = pid, .used_bytes = (int64_t)mib << 20, .load_pct = (int64_t)(load + 0.5)};
    ++*count;
}

size_t world_processes(const struct world *w, size_t device, struct sim_process *ret, size_t room)
{
    const struct sim_device *d = &w->scenario->devices[device];
    size_t count = 0, client_count;
    const struct client *clients = clients_list(w->clients, &client_count);

    for (size_t i = 0; i < client_count; i++) {
        double age = age_s(w, &clients[i], w->now_ms);
        if (counts(d, &clients[i], device))
            add(ret, room, &count, clients[i].pid, curve_at(&d->client.memory_mib, age),
                curve_at(&d->client.load_pct, age));
    }
    for (size_t i = 0; i < d->foreign_count; i++) {
        const struct sim_foreign *f = &d->foreign[i];
        double since = (double)(w->t_ms - f->from_ms) / 1000;
        if (foreign_is_on(f, w->t_ms))
            add(ret, room, &count, f->pid, curve_at(&f->memory_mib, since),
                curve_at(&f->load_pct, since));
    }
    return count;
}

const char *world_foreign_name(const struct world *w, int64_t pid)
{
    for (size_t i = 0; i < w->scenario->device_count; i++)
        for (size_t k = 0; k < w->scenario->devices[i].foreign_count; k++)
            if (w->scenario->devices[i].foreign[k].pid == pid)
                return w->scenario->devices[i].foreign[k].name;
    return NULL;
}

bool world_set_limit(struct world *w, size_t device, int64_t mw)
{
    if (!state_try_lock(w->state))
        return false;
    state_get(w->state)->devices[device].power_limit_mw = mw;
    state_unlock(w->state);
    return true;
}

const struct sim_fault *world_fault(const struct world *w, enum sim_fault_kind kind, int64_t device,
                                    const char *call)
{
    for (size_t i = 0; i < w->scenario->fault_count; i++) {
        const struct sim_fault *f = &w->scenario->faults[i];
        if (f->kind != kind || (f->device >= 0 && f->device != device))
            continue;
        if (call && strncmp(call, f->call, strlen(f->call)) != 0)
            continue;
        if (sim_fault_is_on(f, w->t_ms))
            return f;
    }
    return NULL;
}

uint64_t world_missing(const struct world *w, size_t device)
{
    uint64_t missing = w->scenario->devices[device].missing;
    for (size_t i = 0; i < w->scenario->fault_count; i++) {
        const struct sim_fault *f = &w->scenario->faults[i];
        if (f->kind == SIM_FAULT_MISSING && (f->device < 0 || f->device == (int64_t)device) &&
            sim_fault_is_on(f, w->t_ms))
            missing |= f->missing;
    }
    return missing;
}
