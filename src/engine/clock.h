/*
 * The engine's clock: wall time at start plus the steady clock, drawn slowly towards the wall
 * clock, never below what it has said before.
 */
#ifndef ENGINE_CLOCK_H
#define ENGINE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct engine_clock {
    int64_t base_wall_ms, base_mono_ms, last_ms;
    int64_t behind_ms; /* how far back the wall clock was found, and told of; 0 normally */
};

/* FLOOR_MS: the ledger's last time. */
void engine_clock_init(struct engine_clock *c, int64_t wall_ms, int64_t mono_ms, int64_t floor_ms);
int64_t engine_clock_now(struct engine_clock *c, int64_t mono_ms);

/*
 * Called once a second: moves by at most a millisecond towards the wall clock. True: the wall clock
 * stepped by more than a minute: forward it is followed, backward it is not (time is never given
 * twice). RET_FROM and RET_TO get both times.
 */
bool engine_clock_slew(struct engine_clock *c, int64_t wall_ms, int64_t mono_ms, int64_t *ret_from,
                       int64_t *ret_to);

#endif
