/*
 * What was measured of an attempt's devices while it ran. Worked out of the samples as long as
 * those are there; some seconds after its end, when the last ones have come in, it is kept with the
 * attempt, as samples are not.
 */
#ifndef API_ATTEMPT_CHART_H
#define API_ATTEMPT_CHART_H

#include "engine/engine.h"

struct api;
struct attempt_charts;

struct attempt_charts *attempt_charts_new(struct api *a);
void attempt_charts_free(struct attempt_charts *c);

/* engine_listen(): notes whose charts are to be kept. ARG is the api. */
void attempt_charts_on_run(void *arg, struct event_run *r);
/* Every second. */
void attempt_charts_tick(struct attempt_charts *c, int64_t ticks);

#endif
