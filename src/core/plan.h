/*
 * What should start now: a function of the view and the time, and of nothing else. Strict order of
 * the queue; a job that must wait holds back those behind it only from what it will need itself.
 */
#ifndef CORE_PLAN_H
#define CORE_PLAN_H

#include "core/place/place.h"

/* Raise it with every change that can make another decision from the same facts; plans of lower
 * ones are made as they were, so that older ledgers can be replayed. 2: ties by name, not by id. */
enum { PLAN_VERSION = 2 };

/* Work is cut by count, never by time. */
enum { PLAN_DECISIONS_MOST = 512 };

struct decision {
    int64_t job, node;
    struct {
        int64_t count;
        int64_t at[JOB_GPUS_MOST];
    } devices;
};

/* What was found out about a shape that was looked at. */
struct shape_news {
    uint32_t shape;
    uint32_t reserved_node;
};

struct plan {
    struct decision *decisions;
    struct shape_news *news;
    size_t decision_count, news_count, decision_room, news_room;
    bool more;            /* cut: plan again */
    struct digest digest; /* of the decisions */
};

void plan_make(const struct fleet_view *v, int64_t now_ms, int64_t version, struct plan *ret);
void plan_done(struct plan *p);
/* The same on PLACES, in which nothing is given out, and which has it all afterwards. */
void plan_make_in(struct place_plan *places, int64_t now_ms, struct plan *ret);

/* Whether a job with the needs of S, behind all that wait now, would start with the next plan. S
 * need not be of the view. */
bool plan_starts_behind(const struct fleet_view *v, const struct shape *s);

/* Is there a shape that something changed for? Else a plan would find nothing. */
bool plan_is_due(const struct fleet_view *v);

#endif
