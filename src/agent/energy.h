/*
 * How much energy one device used during one attempt: the difference of the driver's counter where
 * there is one (a decrease starts anew), else power times time, where gaps of more than two
 * intervals count as unmeasured. Pure; an attempt keeps its meters as text in its folder, so that
 * they survive the agent.
 */
#ifndef AGENT_ENERGY_H
#define AGENT_ENERGY_H

#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

#define ENERGY_NO_READING INT64_MIN

struct energy_meter {
    char uuid[96];
    int64_t total_mj;
    int64_t last_counter_mj, last_power_mw; /* ENERGY_NO_READING: none */
    int64_t last_ms;                        /* boot clock of the last reading; 0: none yet */
    int64_t unmeasured_ms;                  /* of the time so far */
};

void energy_meter_init(struct energy_meter *m, const char *uuid);

/* A reading taken at NOW_MS of the boot clock; either may be ENERGY_NO_READING. Readings not newer
 * than the last one are passed over. */
void energy_meter_feed(struct energy_meter *m, int64_t counter_mj, int64_t power_mw, int64_t now_ms,
                       int64_t interval_ms);

/* The attempt is over at NOW_MS: what lies between the last reading and this is measured only if it
 * is less than two intervals. */
void energy_meter_end(struct energy_meter *m, int64_t now_ms, int64_t interval_ms);

/* False: part of the time is not in the total. */
bool energy_is_measured(const struct energy_meter *m);

/* One line a meter. */
void energy_write(const struct energy_meter *meters, size_t count, struct text *out);
/* Fills those of METERS whose uuid the text names; returns how many. */
size_t energy_read(struct energy_meter *meters, size_t count, const char *text);

#endif
