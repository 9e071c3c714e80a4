/*
 * What an agent does for attempts that run here as pods, which it neither starts nor ends: it looks
 * whether its gate is open for one, and measures the energy of the GPUs that one has. Memory only:
 * the control plane asks again.
 */
#ifndef AGENT_ASIDE_H
#define AGENT_ASIDE_H

#include "agent/agent.h"
#include "agent/report.h"

struct aside;
struct command;

struct aside *aside_start(struct agent *agent);
void aside_stop(struct aside *s); /* NULL is fine */

/* A "check": looks afresh, and the answer goes out with the next report. */
void aside_check(struct aside *s, const struct command *c);
/* A "meter": from now on, or with other devices from now on. */
void aside_meter(struct aside *s, const struct command *c);
/* A "forget": that one is over. */
void aside_forget(struct aside *s, const char *attempt);

/* A reading has come. */
void aside_feed(struct aside *s, const struct gpu_report *r, int64_t interval_ms);

/* Answers to be told: at most ROOM, good until the loop's next turn. */
size_t aside_answers(struct aside *s, struct report_attempt *ret, size_t room);
/* Those told last have arrived, or have not and are told again. */
void aside_told(struct aside *s, bool arrived);
/* What its meters say. */
size_t aside_meters(const struct aside *s, struct report_meter *ret, size_t room);

#endif
