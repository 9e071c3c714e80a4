#include "gpu/roll.h"

#include "base/mem.h"
#include "gpu/xid.h"

enum {
    FIRST_PAUSE_MS = 10000, /* a hung device is passed over so long, then twice as long, ... */
    LAST_PAUSE_MS = 300000,
    LOOK_FOR_LOST_MS = 60000,
};

/* What a report does not show about its device. */
struct private
{
    int64_t critical_xid;    /* the device must not be used because of it; GPU_NO_READING: none */
    bool asked_for_recovery; /* the driver asked for something since then */
    bool answered;           /* in this round */
    int64_t energy_mj;       /* at the last look */
    int64_t hung_until_ms, pause_ms;
};

struct roll {
    struct gpu_report *report;
    struct private *private; /* one a device of the report */
    uint32_t room;
    uint32_t session_count;
    uint32_t places[GPU_MAX_DEVICES]; /* of the driver's devices in the report */
};

struct roll *roll_new(void)
{
    struct roll *r = mem_new(struct roll);
    r->report = mem_new(struct gpu_report);
    return r;
}

void roll_free(struct roll *r)
{
    if (!r)
        return;
    free(r->report);
    free(r->private);
    free(r);
}

const struct gpu_report *roll_report(const struct roll *r)
{
    return r->report;
}

static void set_health(struct gpu_device *d, enum gpu_health health, const char *why)
{
    d->health = health;
    gpu_copy_text(d->reason, sizeof d->reason, why);
    if (health != GPU_OK && health != GPU_FAILED)
        gpu_sample_clear(&d->sample);
}

static uint32_t add_device(struct roll *r)
{
    struct gpu_report *rep = r->report;
    if (rep->device_count == r->room) {
        r->room = r->room ? r->room * 2 : 2;
        r->report = rep = mem_resize(rep, 1, sizeof *rep + r->room * sizeof rep->devices[0]);
        r->private = mem_resize_array(r->private, r->room);
    }
    uint32_t place = rep->device_count++;
    memset(&rep->devices[place], 0, sizeof rep->devices[0]);
    gpu_info_clear(&rep->devices[place].info);
    rep->devices[place].last_xid = GPU_NO_READING;
    set_health(&rep->devices[place], GPU_UNKNOWN, "not yet asked");
    r->private[place] =
        (struct private){.critical_xid = GPU_NO_READING, .energy_mj = GPU_NO_READING};
    return place;
}

static void clean_info(struct gpu_info *i)
{
    gpu_clean_text(i->uuid, sizeof i->uuid);
    gpu_clean_text(i->name, sizeof i->name);
    gpu_clean_text(i->vendor, sizeof i->vendor);
    gpu_clean_text(i->pci, sizeof i->pci);
    gpu_clean_text(i->serial, sizeof i->serial);
    gpu_clean_text(i->part_number, sizeof i->part_number);
    gpu_clean_text(i->vbios, sizeof i->vbios);
    gpu_clean_text(i->architecture, sizeof i->architecture);
}

/* The device with this UUID; else one that hung before it could be named at this index. A roll that
 * is full gives GPU_MAX_DEVICES. */
static uint32_t place_of(struct roll *r, const struct gpu_info *info)
{
    const struct gpu_report *rep = r->report;
    for (uint32_t i = 0; i < rep->device_count; i++)
        if (strcmp(rep->devices[i].info.uuid, info->uuid) == 0)
            return i;
    for (uint32_t i = 0; i < rep->device_count; i++)
        if (!rep->devices[i].info.uuid[0] && rep->devices[i].info.index == info->index)
            return i;
    return rep->device_count < GPU_MAX_DEVICES ? add_device(r) : GPU_MAX_DEVICES;
}

void roll_open(struct roll *r, const struct wire_ready *ready, uint64_t skip)
{
    uint64_t named = 0;
    r->session_count = 0;
    for (uint32_t i = 0; i < ready->count && i < GPU_MAX_DEVICES; i++) {
        struct gpu_info info = ready->infos[i];
        clean_info(&info);
        uint32_t place = place_of(r, &info);
        r->places[r->session_count++] = place;
        if (place == GPU_MAX_DEVICES)
            continue;
        r->report->devices[place].info = info;
        named |= UINT64_C(1) << place;
    }

    struct gpu_report *rep = r->report;
    memcpy(rep->backend, ready->backend, sizeof rep->backend);
    memcpy(rep->driver_version, ready->driver.driver_version, sizeof rep->driver_version);
    memcpy(rep->cuda_version, ready->driver.cuda_version, sizeof rep->cuda_version);
    gpu_clean_text(rep->backend, sizeof rep->backend);
    gpu_clean_text(rep->driver_version, sizeof rep->driver_version);
    gpu_clean_text(rep->cuda_version, sizeof rep->cuda_version);
    rep->reason[0] = '\0';
    for (uint32_t i = 0; i < rep->device_count; i++) {
        const struct gpu_device *d = &rep->devices[i];
        bool skipped = d->info.index < 64 && (skip >> d->info.index & 1);
        if (!(named >> i & 1) && !(skipped && d->health == GPU_HUNG))
            set_health(&rep->devices[i], GPU_LOST, "the driver no longer names the GPU");
    }
}

void roll_no_driver(struct roll *r, enum err_code code, const char *why)
{
    struct gpu_report *rep = r->report;
    gpu_copy_text(rep->reason, sizeof rep->reason, why);
    if (code == ERR_NOT_FOUND)
        rep->backend[0] = rep->driver_version[0] = rep->cuda_version[0] = '\0';
    r->session_count = 0;
    for (uint32_t i = 0; i < rep->device_count; i++) {
        set_health(&rep->devices[i], GPU_UNKNOWN, rep->reason);
        /* Loading the driver again resets the devices. */
        r->private[i].critical_xid = GPU_NO_READING;
    }
}

void roll_begin(struct roll *r, int64_t boot_ms)
{
    r->report->boot_ms = boot_ms;
    r->report->event_count = 0;
    for (uint32_t i = 0; i < r->report->device_count; i++)
        r->private[i].answered = false;
}

/* Errors that only a reset cures are over when there was one. */
static void note_recovery(struct private *p, const struct gpu_device *d, const struct gpu_sample *s)
{
    bool counter_fell = p->energy_mj != GPU_NO_READING && s->energy_mj != GPU_NO_READING &&
                        s->energy_mj < p->energy_mj;
    if (s->recovery_action > GPU_RECOVERY_NONE)
        p->asked_for_recovery = true;
    bool recovered = p->asked_for_recovery && s->recovery_action == GPU_RECOVERY_NONE;
    if (counter_fell || recovered || d->health == GPU_LOST) {
        p->critical_xid = GPU_NO_READING;
        p->asked_for_recovery = false;
    }
    p->energy_mj = s->energy_mj;
}

static void judge(const struct private *p, struct gpu_device *d)
{
    static const char *const actions[] = {
        [GPU_RECOVERY_RESET] = "reset the GPU",
        [GPU_RECOVERY_REBOOT] = "reboot the node",
        [GPU_RECOVERY_DRAIN_P2P] = "drain work that uses several GPUs",
        [GPU_RECOVERY_DRAIN_AND_RESET] = "drain and reset the GPU",
    };
    char why[sizeof d->reason];
    int64_t action = d->sample.recovery_action;

    if (p->critical_xid != GPU_NO_READING) {
        const char *advice = xid_advice(p->critical_xid);
        snprintf(why, sizeof why, "XID %lld: %s%s%s", (long long)p->critical_xid,
                 xid_meaning(p->critical_xid), advice[0] ? "; " : "", advice);
        set_health(d, GPU_FAILED, why);
    } else if (action > GPU_RECOVERY_NONE) {
        snprintf(why, sizeof why, "the driver asks: %s",
                 action < (int64_t)COUNT_OF(actions) ? actions[action] : "recover the GPU");
        set_health(d, GPU_FAILED, why);
    } else if (d->sample.remap_failed == 1) {
        set_health(d, GPU_FAILED, "a memory row could not be replaced, the board needs care");
    } else {
        set_health(d, GPU_OK, "");
    }
}

bool roll_device(struct roll *r, const struct wire_device *d, size_t len)
{
    size_t least = offsetof(struct wire_device, sample.processes);
    if (len < least || d->index >= r->session_count ||
        d->sample.process_count > GPU_MAX_PROCESSES ||
        len != least + d->sample.process_count * sizeof(struct gpu_process))
        return false;
    uint32_t place = r->places[d->index];
    if (place == GPU_MAX_DEVICES)
        return true;

    struct gpu_device *to = &r->report->devices[place];
    struct private *p = &r->private[place];
    p->answered = true;
    p->hung_until_ms = p->pause_ms = 0;
    if (d->code == ERR_NONE) {
        memcpy(&to->sample, &d->sample, len - offsetof(struct wire_device, sample));
        note_recovery(p, to, &d->sample);
        judge(p, to);
        return true;
    }
    char why[sizeof d->text];
    gpu_copy_text(why, sizeof why, d->text);
    if (d->code == ERR_CONFLICT)
        gpu_sample_clear(&to->sample);
    set_health(to,
               d->code == ERR_NOT_FOUND  ? GPU_LOST
               : d->code == ERR_CONFLICT ? GPU_FAILED
                                         : GPU_UNKNOWN,
               why);
    return true;
}

bool roll_events(struct roll *r, const struct wire_events *ev, size_t len, int64_t boot_ms)
{
    if (len < offsetof(struct wire_events, events) || ev->count > GPU_MAX_EVENTS ||
        len != offsetof(struct wire_events, events) + ev->count * sizeof ev->events[0])
        return false;
    struct gpu_report *rep = r->report;
    for (uint32_t i = 0; i < ev->count; i++) {
        if (ev->events[i].device >= r->session_count)
            return false;
        uint32_t place = r->places[ev->events[i].device];
        if (place == GPU_MAX_DEVICES)
            continue;
        struct gpu_device *d = &rep->devices[place];
        d->last_xid = ev->events[i].xid;
        d->last_xid_boot_ms = boot_ms;
        d->xid_total++;
        if (rep->event_count < GPU_MAX_EVENTS)
            rep->events[rep->event_count++] =
                (struct gpu_event){.device = place, .xid = d->last_xid, .boot_ms = boot_ms};
        if (xid_severity(d->last_xid) == XID_CRITICAL) {
            r->private[place].critical_xid = d->last_xid;
            r->private[place].asked_for_recovery = d->sample.recovery_action > GPU_RECOVERY_NONE;
            if (d->health == GPU_OK || d->health == GPU_FAILED)
                judge(&r->private[place], d);
        }
    }
    return true;
}

void roll_end(struct roll *r, int64_t boot_ms)
{
    r->report->boot_ms = boot_ms;
}

/* A device that hangs before it was ever named gets a place, too, so that the report shows it. */
static uint32_t place_of_index(struct roll *r, uint32_t index)
{
    const struct gpu_report *rep = r->report;
    for (uint32_t i = 0; i < r->session_count; i++)
        if (r->places[i] < rep->device_count && rep->devices[r->places[i]].info.index == index)
            return r->places[i];
    for (uint32_t i = 0; i < rep->device_count; i++)
        if (rep->devices[i].info.index == index)
            return i;
    if (rep->device_count == GPU_MAX_DEVICES)
        return GPU_MAX_DEVICES;
    uint32_t place = add_device(r);
    r->report->devices[place].info.index = index;
    return place;
}

void roll_hung(struct roll *r, int device, const char *why, int64_t boot_ms)
{
    uint32_t culprit = device >= 0 && device < GPU_MAX_DEVICES ? place_of_index(r, (uint32_t)device)
                                                               : GPU_MAX_DEVICES;
    r->report->boot_ms = boot_ms;
    if (culprit == GPU_MAX_DEVICES)
        gpu_copy_text(r->report->reason, sizeof r->report->reason, why);
    for (uint32_t i = 0; i < r->report->device_count; i++) {
        struct gpu_device *d = &r->report->devices[i];
        struct private *p = &r->private[i];
        if (i == culprit) {
            p->pause_ms = p->pause_ms ? p->pause_ms * 2 : FIRST_PAUSE_MS;
            if (p->pause_ms > LAST_PAUSE_MS)
                p->pause_ms = LAST_PAUSE_MS;
            p->hung_until_ms = boot_ms + p->pause_ms;
            set_health(d, GPU_HUNG, why);
        } else if (!p->answered && (d->health == GPU_OK || d->health == GPU_FAILED)) {
            set_health(d, GPU_UNKNOWN, "the driver hangs at another call");
        }
    }
}

uint64_t roll_skip(const struct roll *r, int64_t boot_ms)
{
    uint64_t skip = 0;
    for (uint32_t i = 0; i < r->report->device_count; i++)
        if (r->private[i].hung_until_ms > boot_ms && r->report->devices[i].info.index < 64)
            skip |= UINT64_C(1) << r->report->devices[i].info.index;
    return skip;
}

bool roll_wants_reopen(const struct roll *r, int64_t opened_ms, int64_t boot_ms, uint64_t skipped)
{
    if (skipped & ~roll_skip(r, boot_ms))
        return true; /* the pause of a hung device is over */
    if (boot_ms - opened_ms < LOOK_FOR_LOST_MS)
        return false;
    for (uint32_t i = 0; i < r->report->device_count; i++)
        if (r->report->devices[i].health == GPU_LOST)
            return true;
    return false;
}
