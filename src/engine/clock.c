#include "engine/clock.h"

enum { STEP_MS = 60000 };

void engine_clock_init(struct engine_clock *c, int64_t wall_ms, int64_t mono_ms, int64_t floor_ms)
{
    *c = (struct engine_clock){wall_ms > floor_ms ? wall_ms : floor_ms, mono_ms, floor_ms};
}

int64_t engine_clock_now(struct engine_clock *c, int64_t mono_ms)
{
    int64_t now = c->base_wall_ms + (mono_ms - c->base_mono_ms);
    if (now > c->last_ms)
        c->last_ms = now;
    return c->last_ms;
}

bool engine_clock_slew(struct engine_clock *c, int64_t wall_ms, int64_t mono_ms, int64_t *ret_from,
                       int64_t *ret_to)
{
    int64_t now = c->base_wall_ms + (mono_ms - c->base_mono_ms), away = wall_ms - now;
    if (away > STEP_MS) {
        *ret_from = now;
        *ret_to = wall_ms;
        c->base_wall_ms += away;
        return true;
    }
    if (away < -STEP_MS) {
        /* The ledger's time cannot go back: our own clock counts until the wall clock has caught
         * up, and that is said once a step. */
        int64_t news = away - c->behind_ms;
        if (news > -STEP_MS && news < STEP_MS)
            return false;
        c->behind_ms = away;
        *ret_from = now;
        *ret_to = wall_ms;
        return true;
    }
    c->behind_ms = 0;
    c->base_wall_ms += away > 0 ? 1 : away < 0 ? -1 : 0;
    return false;
}
