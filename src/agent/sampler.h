/*
 * Measures GPUs and the machine, keeps the last readings, and feeds whoever lives on them: device
 * views, energy meters, telemetry. One wake an interval: the machine is read when the GPUs' report
 * comes, or by a timer where none comes.
 */
#ifndef AGENT_SAMPLER_H
#define AGENT_SAMPLER_H

#include "agent/agent.h"
#include "agent/owners.h"
#include "gpu/watch.h"

int sampler_start(struct agent *agent, struct sampler **ret, struct err *e);
void sampler_stop(struct sampler *s);

void sampler_set_interval(struct sampler *s, int64_t interval_ms);
int64_t sampler_interval_ms(const struct sampler *s);

/* The last ones; NULL before the first. Good until the loop's next turn. */
const struct gpu_report *sampler_gpus(const struct sampler *s);
const struct host_sample *sampler_host(const struct sampler *s);

/* Readings taken after this call, or E; see gpu_watch_sample_now(). The machine's figures are then
 * not older than a second. */
void sampler_fresh(struct sampler *s, gpu_watch_sample_fn *cb, void *arg);
/* The machine's figures alone: not older than a second when it returns. */
void sampler_fresh_host(struct sampler *s);
/* The set of jobs changed: sample soon. */
void sampler_touch(struct sampler *s);

/* Sample for the sake of the devices' health: kept nowhere. */
void sampler_check(struct sampler *s);
/* Judge the last report anew: who holds which GPU has changed. */
void sampler_judge(struct sampler *s);

/* A's energy is counted from the last report on. */
void sampler_begin_meters(struct sampler *s, struct attempt *a);

/* What is known of a process that was on a GPU in the last report; NULL: nothing. */
const struct process_owner *sampler_owner(const struct sampler *s, uint32_t pid);

int sampler_helper_pid(const struct sampler *s);

#endif
