/* Shared by the files of core that change the fleet; not for anybody else. */
#ifndef CORE_INTERNAL_H
#define CORE_INTERNAL_H

#include "core/core.h"
#include "core/queue/queue.h"

/* The live view, sure to see every row. */
const struct fleet_view *core_view(struct core *c);

/* apply_job.c */
int apply_job_submitted(struct core *c, const struct event *ev, struct err *e);
int apply_job_cancel(struct core *c, const struct event *ev, struct err *e);
int apply_job_retried(struct core *c, const struct event *ev, struct err *e);
int apply_job_due(struct core *c, const struct event *ev, struct err *e);
int apply_job_hold(struct core *c, const struct event *ev, struct err *e);
int apply_job_deleted(struct core *c, const struct event *ev, struct err *e);

/* apply_attempt.c */
int apply_attempt_decided(struct core *c, const struct event *ev, struct err *e);
int apply_attempt_started(struct core *c, const struct event *ev, struct err *e);
int apply_attempt_under_way(struct core *c, const struct event *ev, struct err *e);
int apply_attempt_bound(struct core *c, const struct event *ev, struct err *e);
int apply_attempt_over(struct core *c, const struct event *ev, struct err *e);
/* A job comes into the tables and their indexes; shared with loading. */
uint32_t job_insert(struct core *c, const struct job *job);
/* The row of the open job that EV is about. */
int job_find(struct core *c, const struct event *ev, uint32_t *ret_row, struct err *e);
uint32_t team_intern(struct core *c, const char *text);

/* apply_fleet.c */
int apply_epoch(struct core *c, const struct event *ev, struct err *e);
int apply_policy(struct core *c, const struct event *ev, struct err *e);
int apply_principal(struct core *c, const struct event *ev, struct err *e);
int apply_node(struct core *c, const struct event *ev, struct err *e);
int apply_node_where(struct core *c, const struct event *ev, struct err *e);
int apply_device(struct core *c, const struct event *ev, struct err *e);
/* Brings a device's account up to date; call it before the device changes. */
struct device *device_edit(struct core *c, int64_t id, int64_t now_ms);
/* Chains the device to its node, in the order of their numbers. */
void device_chain(struct core *c, int64_t id);

/* rows.c: the record of what stands in the tables now, into the batch. */
void put_meta(struct core *c, const char *name, int64_t number, const char *text);
void put_principal(struct core *c, int64_t id);
void put_node(struct core *c, int64_t id);
void put_device(struct core *c, int64_t id);
void put_device_time(struct core *c, const struct device *d);
void put_job_state(struct core *c, const struct job *j);
void put_hold(struct core *c, const struct hold *h);
void put_hold_over(struct core *c, int64_t job);
void put_attempt(struct core *c, const struct attempt *a);
/* The end of an attempt: out of the open tables, into history with what the event tells. */
void put_attempt_over(struct core *c, const struct attempt *a, const struct event *ev);
void put_part(struct core *c, const struct attempt *a, int64_t number, const struct part *p,
              int64_t ended_ms);
/* What the attempt held that the job ended with; NULL: it ended while it waited. */
struct last_place {
    int64_t node, scheduled_ms;
    int64_t devices[JOB_GPUS_MOST];
    size_t device_count;
};
void put_job_over(struct core *c, const struct job *j, const struct last_place *place,
                  const struct event *ev);
void put_policy(struct core *c);

/* The job ends: counted, written to history, forgotten here. */
void job_end(struct core *c, uint32_t row, enum job_state state, const struct last_place *place,
             const struct event *ev);

#endif
