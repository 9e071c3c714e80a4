/*
 * Live events: everyone who reads them gets what they may see, as it becomes durable. Whoever was
 * away goes on behind the last event seen, out of the ledger; whoever is too slow falls back to
 * that, too, so nobody costs more memory than one stream. Belongs to the door's thread.
 */
#ifndef API_EVENTS_H
#define API_EVENTS_H

#include <stddef.h>
#include <stdint.h>

struct api;
struct event_hub;
struct event_run;

struct event_hub *events_new(struct api *a);
void events_free(struct event_hub *h);

/* Events behind SEQ will come. */
void events_begin(struct event_hub *h, int64_t seq);
/* engine_listen()'s call-back; ARG is the struct api. */
void events_on_run(void *arg, struct event_run *r);
/* Once a second. */
void events_tick(struct event_hub *h, int64_t ticks);
size_t events_subscribers(const struct event_hub *h);

#endif
