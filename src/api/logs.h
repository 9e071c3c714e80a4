/* Readers of a job's output, who get it piece by piece and perhaps follow it until the job ends.
 * Belongs to the door's thread; the log store is only touched by workers. */
#ifndef API_LOGS_H
#define API_LOGS_H

#include <stdint.h>

struct api;
struct event_run;
struct log_followers;

struct log_followers *logs_new(struct api *a);
void logs_free(struct log_followers *l);

/* Once a second. */
void logs_tick(struct log_followers *l);
/* Something happened to jobs: those who follow one of them look again. */
void logs_on_events(struct log_followers *l, const struct event_run *r);

#endif
