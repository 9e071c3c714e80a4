/* Something to be done once, some time later, on the loop. */
#ifndef AGENT_AFTER_H
#define AGENT_AFTER_H

#include <stdint.h>
#include <uv.h>

struct after;

/* FN runs once, after MS milliseconds (0: with the loop's next turn); the handle is gone then. */
struct after *after_start(uv_loop_t *loop, int64_t ms, void (*fn)(void *arg), void *arg);
/* Only before FN ran. NULL is fine. */
void after_cancel(struct after *a);

#endif
