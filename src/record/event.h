/*
 * One change of the world, as the ledger keeps it: made from schema/events.def. core applies events
 * and nothing else, live and in replay alike.
 */
#ifndef RECORD_EVENT_H
#define RECORD_EVENT_H

#include "base/err.h"
#include "base/text.h"
#include "events.def"

#include <stdint.h>

enum { EVENT_TEXT = 256, EVENT_LIST = 64 };

struct event_list {
    int64_t count;
    int64_t at[EVENT_LIST];
};

#define X_ID_(id, name, subject) EVENT_ID_##id,
enum event_kind { EVENT_ID_NONE, EVENTS(X_ID_) EVENT_KINDS };
#undef X_ID_

enum event_subject {
    SUBJECT_NOTHING,
    SUBJECT_JOB,
    SUBJECT_NODE,
    SUBJECT_DEVICE,
    SUBJECT_PRINCIPAL,
    SUBJECT_TOKEN,
    SUBJECT_ENROLMENT,
};

struct event {
    int64_t seq;     /* number in the ledger, from 1 without gaps */
    int64_t time_ms; /* the engine's clock */
    enum event_kind kind;
    int64_t subject;   /* id of what it is about; 0: nothing in particular */
    int64_t actor;     /* principal who asked for it; 0: Reeve itself */
    int64_t on_behalf; /* principal acted for, where another; else 0 */
    union {
#define X_INT_(x)  int64_t x;
#define X_TEXT_(x) char x[EVENT_TEXT];
#define X_LIST_(x) struct event_list x;
#define X_STRUCT_(id, name, subject)                                                               \
    struct {                                                                                       \
        EVENT_##id(X_INT_, X_TEXT_, X_LIST_)                                                       \
    } id;
        EVENTS(X_STRUCT_)
#undef X_INT_
#undef X_TEXT_
#undef X_LIST_
#undef X_STRUCT_
    };
};

/* "job.submitted"; never NULL. */
const char *event_name(enum event_kind kind);
enum event_kind event_find(const char *name); /* EVENT_ID_NONE: no such kind */
enum event_subject event_subject(enum event_kind kind);
/* The words of its body that say why, or on what ground; "" where it has none. Lives as long as EV.
 */
const char *event_why(const struct event *ev);

/* The body as compact JSON, fields in the order of the table: the same event gives the same bytes.
 */
void event_write_body(const struct event *ev, struct text *out);
/* Fills EV's body from JSON, by EV->kind. Unknown fields are passed over (a newer program wrote
 * them); a wrong one is ERR_INVALID. */
int event_read_body(struct event *ev, const char *json, size_t len, struct err *e);

/* Copies TEXT, cut to what an event holds and never in the middle of a character. */
void event_set_text(char to[EVENT_TEXT], const char *text);

#endif
