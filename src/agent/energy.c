#include "agent/energy.h"

#include <stdio.h>
#include <string.h>

void energy_meter_init(struct energy_meter *m, const char *uuid)
{
    *m = (struct energy_meter){.last_counter_mj = ENERGY_NO_READING,
                               .last_power_mw = ENERGY_NO_READING};
    snprintf(m->uuid, sizeof m->uuid, "%s", uuid);
}

static void add_power(struct energy_meter *m, int64_t power_mw, int64_t dt_ms, int64_t interval_ms)
{
    /* mW x ms / 1000 = mJ, by the mean of both ends. */
    if (m->last_power_mw == ENERGY_NO_READING || power_mw == ENERGY_NO_READING ||
        dt_ms > 2 * interval_ms)
        m->unmeasured_ms += dt_ms;
    else
        m->total_mj += (m->last_power_mw + power_mw) / 2 * dt_ms / 1000;
}

void energy_meter_feed(struct energy_meter *m, int64_t counter_mj, int64_t power_mw, int64_t now_ms,
                       int64_t interval_ms)
{
    int64_t dt_ms = now_ms - m->last_ms;
    if (m->last_ms) {
        if (dt_ms <= 0)
            return;
        /* The next reading with a counter still closes the gap. */
        if (counter_mj == ENERGY_NO_READING &&
            (m->last_counter_mj != ENERGY_NO_READING || power_mw == ENERGY_NO_READING))
            return;
        if (counter_mj == ENERGY_NO_READING || m->last_counter_mj == ENERGY_NO_READING) {
            add_power(m, power_mw, dt_ms, interval_ms);
        } else if (counter_mj >= m->last_counter_mj) {
            m->total_mj += counter_mj - m->last_counter_mj;
        } else {
            /* The driver was loaded anew in between: what it had counted before is gone. */
            m->total_mj += counter_mj;
            m->unmeasured_ms += dt_ms;
        }
    }
    m->last_ms = now_ms;
    m->last_counter_mj = counter_mj;
    m->last_power_mw = power_mw;
}

void energy_meter_end(struct energy_meter *m, int64_t now_ms, int64_t interval_ms)
{
    if (!m->last_ms) {
        m->unmeasured_ms += 1;
        return;
    }
    int64_t dt_ms = now_ms - m->last_ms;
    if (dt_ms <= 0)
        return;
    if (dt_ms > 2 * interval_ms || m->last_power_mw == ENERGY_NO_READING)
        m->unmeasured_ms += dt_ms;
    else
        m->total_mj += m->last_power_mw * dt_ms / 1000;
    m->last_ms = now_ms;
}

bool energy_is_measured(const struct energy_meter *m)
{
    return m->unmeasured_ms == 0 && m->last_ms != 0;
}

void energy_write(const struct energy_meter *meters, size_t count, struct text *out)
{
    for (size_t i = 0; i < count; i++) {
        const struct energy_meter *m = &meters[i];
        text_addf(out, "%s %lld %lld %lld %lld %lld\n", m->uuid, (long long)m->total_mj,
                  (long long)m->last_counter_mj, (long long)m->last_power_mw, (long long)m->last_ms,
                  (long long)m->unmeasured_ms);
    }
}

size_t energy_read(struct energy_meter *meters, size_t count, const char *text)
{
    size_t found = 0;
    for (const char *line = text; *line;) {
        struct energy_meter m;
        long long v[5];
        if (sscanf(line, "%95s %lld %lld %lld %lld %lld", m.uuid, &v[0], &v[1], &v[2], &v[3],
                   &v[4]) == 6)
            for (size_t i = 0; i < count; i++) {
                if (strcmp(meters[i].uuid, m.uuid) != 0)
                    continue;
                meters[i].total_mj = v[0];
                meters[i].last_counter_mj = v[1];
                meters[i].last_power_mw = v[2];
                meters[i].last_ms = v[3];
                meters[i].unmeasured_ms = v[4];
                found++;
            }
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    return found;
}
