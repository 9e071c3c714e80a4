#include "agent/aside.h"

#include "agent/command.h"
#include "agent/energy.h"
#include "agent/link.h"
#include "agent/sampler.h"
#include "base/failpoint.h"
#include "base/mem.h"

#include <string.h>

enum { CHECKS_MOST = 1024, METERS_MOST = 1024 };

/* A question, until its answer has arrived. */
struct check {
    struct check *next;
    struct aside *aside; /* NULL: given up; the reading that is due frees this */
    char id[ATTEMPT_ID_SIZE];
    int64_t job, n, need_mib;
    char **devices; /* uuids, ends with NULL */
    bool is_awaited, is_answered, is_sent;
    bool clear;
    char why[256];
};

/* An attempt that is measured. */
struct pod_meter {
    struct pod_meter *next;
    char id[ATTEMPT_ID_SIZE];
    int64_t job, n;
    int64_t before_mj; /* of devices that it does not have any more */
    bool is_partial;   /* some of its time is not measured */
    struct energy_meter meters[COMMAND_DEVICES_MOST];
    size_t count;
};

struct aside {
    struct agent *agent;
    struct check *checks;
    struct pod_meter *meters;
};

struct aside *aside_start(struct agent *agent)
{
    struct aside *s = mem_new(struct aside);
    s->agent = agent;
    return s;
}

/* ---- the gate ---- */

static void free_check(struct check *c)
{
    for (char **d = c->devices; *d; d++)
        free(*d);
    free(c->devices);
    free(c);
}

static void drop_check(struct check **link)
{
    struct check *c = *link;
    *link = c->next;
    c->aside = NULL;
    if (!c->is_awaited)
        free_check(c);
}

/* Devices that only the cluster counts are none of the driver's: kubelet looks after them. */
static bool devices_are_free(struct agent *agent, const struct check *c, char *why, size_t room)
{
    for (char **d = c->devices; *d; d++) {
        char reason[GATE_WHY_SIZE];
        const struct device_view *v = devices_find(&agent->devices, *d);
        if (!v && !agent->devices.count)
            continue;
        if (!v) {
            snprintf(why, room, "this node has no device %s", *d);
            return false;
        }
        if (!device_may_start(v, &agent->gate, c->need_mib, reason)) {
            snprintf(why, room, "device %s is not free: %s", *d, reason);
            return false;
        }
    }
    return true;
}

/* Why it was refused stands in the readings of the same report. */
static void tell_readings(struct agent *agent, const struct check *c)
{
    agent->tell_host = true;
    for (char **d = c->devices; *d; d++) {
        struct device_view *v = devices_find(&agent->devices, *d);
        if (v)
            v->tell = true;
    }
}

static void judge(struct check *c)
{
    struct agent *agent = c->aside->agent;
    char reason[GATE_WHY_SIZE];
    c->clear = devices_are_free(agent, c, c->why, sizeof c->why);
    if (c->clear && !gate_host_is_free(&agent->gate, &agent->host_use, reason)) {
        snprintf(c->why, sizeof c->why, "node %s is not free: %s", agent->options.node, reason);
        c->clear = false;
    }
    if (FAILPOINT("agent.gate")) {
        snprintf(c->why, sizeof c->why, "failpoint agent.gate");
        c->clear = false;
    }
    if (!c->clear) {
        agent->counts.refusals++;
        tell_readings(agent, c);
    }
    c->is_answered = true;
    link_wake(agent->link);
}

static void on_fresh(void *arg, const struct gpu_report *report, const struct err *e)
{
    struct check *c = arg;
    c->is_awaited = false;
    if (!c->aside) {
        free_check(c);
        return;
    }
    if (report) {
        judge(c);
        return;
    }
    snprintf(c->why, sizeof c->why, "no word from the GPUs: %.200s", e ? e->text : "");
    c->is_answered = true;
    link_wake(c->aside->agent->link);
}

static struct check **find_check(struct aside *s, const char *id)
{
    struct check **link = &s->checks;
    while (*link && strcmp((*link)->id, id) != 0)
        link = &(*link)->next;
    return link;
}

void aside_check(struct aside *s, const struct command *command)
{
    size_t count = 0;
    struct check **link = find_check(s, command->attempt);
    if (*link && (*link)->is_awaited)
        return; /* the answer is on its way */
    if (*link)
        drop_check(link); /* asked once more: looked at once more */
    for (link = &s->checks; *link; link = &(*link)->next)
        count++;
    if (count >= CHECKS_MOST)
        return;
    struct check *c = *link = mem_new(struct check);
    *c = (struct check){
        .aside = s, .job = command->job, .n = command->n, .need_mib = command->gpu_memory_mib};
    memcpy(c->id, command->attempt, sizeof c->id - 1);
    c->devices = mem_new_array(char *, command->device_count + 1);
    for (size_t i = 0; i < command->device_count; i++)
        c->devices[i] = mem_strdup(command->devices[i]);
    if (!c->devices[0] || !s->agent->devices.count) {
        sampler_fresh_host(s->agent->sampler);
        judge(c);
        return;
    }
    c->is_awaited = true;
    sampler_fresh(s->agent->sampler, on_fresh, c);
}

size_t aside_answers(struct aside *s, struct report_attempt *ret, size_t room)
{
    size_t count = 0;
    for (struct check *c = s->checks; c && count < room; c = c->next) {
        if (!c->is_answered)
            continue;
        c->is_sent = true;
        ret[count++] = (struct report_attempt){.id = c->id,
                                               .state = c->clear ? "clear" : "refused",
                                               .job = c->job,
                                               .n = c->n,
                                               .why = c->why};
    }
    return count;
}

void aside_told(struct aside *s, bool arrived)
{
    for (struct check **link = &s->checks; *link;) {
        if ((*link)->is_sent && arrived) {
            drop_check(link);
            continue;
        }
        (*link)->is_sent = false;
        link = &(*link)->next;
    }
}

/* ---- meters ---- */

static struct pod_meter **find_meter(struct aside *s, const char *id)
{
    struct pod_meter **link = &s->meters;
    while (*link && strcmp((*link)->id, id) != 0)
        link = &(*link)->next;
    return link;
}

static const struct energy_meter *meter_with(const struct pod_meter *m, const char *uuid)
{
    for (size_t i = 0; i < m->count; i++)
        if (strcmp(m->meters[i].uuid, uuid) == 0)
            return &m->meters[i];
    return NULL;
}

/* Those that it keeps go on; what those that it loses have measured stays counted. */
static void set_devices(struct pod_meter *m, const struct command *c)
{
    struct pod_meter next = *m;
    next.count = 0;
    for (size_t i = 0; i < c->device_count; i++) {
        const struct energy_meter *known = meter_with(m, c->devices[i]);
        if (known)
            next.meters[next.count++] = *known;
        else
            energy_meter_init(&next.meters[next.count++], c->devices[i]);
    }
    for (size_t i = 0; i < m->count; i++) {
        if (meter_with(&next, m->meters[i].uuid))
            continue;
        next.before_mj += m->meters[i].total_mj;
        next.is_partial |= !energy_is_measured(&m->meters[i]);
    }
    *m = next;
}

void aside_meter(struct aside *s, const struct command *c)
{
    size_t count = 0;
    struct pod_meter **link = find_meter(s, c->attempt);
    if (!*link) {
        for (const struct pod_meter *m = s->meters; m; m = m->next)
            count++;
        if (count >= METERS_MOST)
            return;
        struct pod_meter *made = *link = mem_new(struct pod_meter);
        memcpy(made->id, c->attempt, sizeof made->id - 1);
        made->job = c->job;
        made->n = c->n;
        /* It began when we did not look. */
        made->is_partial = c->ago_ms > 2 * sampler_interval_ms(s->agent->sampler);
    }
    set_devices(*link, c);
    const struct gpu_report *r = sampler_gpus(s->agent->sampler);
    if (r)
        aside_feed(s, r, sampler_interval_ms(s->agent->sampler));
    sampler_touch(s->agent->sampler);
}

void aside_forget(struct aside *s, const char *attempt)
{
    struct pod_meter **link = find_meter(s, attempt);
    struct check **check = find_check(s, attempt);
    if (*check)
        drop_check(check);
    if (!*link)
        return;
    struct pod_meter *m = *link;
    *link = m->next;
    free(m);
}

void aside_feed(struct aside *s, const struct gpu_report *r, int64_t interval_ms)
{
    for (struct pod_meter *m = s ? s->meters : NULL; m; m = m->next)
        for (size_t i = 0; i < m->count; i++)
            for (uint32_t d = 0; d < r->device_count; d++)
                if (strcmp(m->meters[i].uuid, r->devices[d].info.uuid) == 0)
                    energy_meter_feed(&m->meters[i], r->devices[d].sample.energy_mj,
                                      r->devices[d].sample.power_mw,
                                      r->devices[d].sample.boot_ms ? r->devices[d].sample.boot_ms
                                                                   : r->boot_ms,
                                      interval_ms);
}

size_t aside_meters(const struct aside *s, struct report_meter *ret, size_t room)
{
    size_t count = 0;
    for (const struct pod_meter *m = s->meters; m && count < room; m = m->next) {
        struct report_meter one = {m->job, m->n, m->before_mj, !m->is_partial};
        for (size_t i = 0; i < m->count; i++) {
            one.energy_mj += m->meters[i].total_mj;
            one.measured &= energy_is_measured(&m->meters[i]);
        }
        ret[count++] = one;
    }
    return count;
}

void aside_stop(struct aside *s)
{
    if (!s)
        return;
    while (s->checks)
        drop_check(&s->checks);
    while (s->meters)
        aside_forget(s, s->meters->id);
    free(s);
}
