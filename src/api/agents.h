/* The agents' side of the door (docs/agent-protocol.md): enrolment, the stream of commands,
 * reports, output, samples. Belongs to the door's thread. */
#ifndef API_AGENTS_H
#define API_AGENTS_H

#include <stdint.h>

struct agent_hub;
struct api;

struct agent_hub *agents_new(struct api *a);
void agents_free(struct agent_hub *h);

/* engine_set_sender()'s call-back: on the owner's thread; ARG is the struct api. */
void agents_send(void *arg, int64_t node, char *line);
/* Once a second. */
void agents_tick(struct agent_hub *h, int64_t ticks);

#endif
