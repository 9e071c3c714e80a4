/*
 * Steps of the wall clock forward: tokens are written once more as they end now. Idempotency keys
 * are too many for that, so the steps of their time are kept, and applied again when they are
 * loaded.
 */
#include "base/mem.h"
#include "engine/internal.h"

#define STEP_PREFIX "clock.step."

static void step_name(char name[40], int64_t from_ms)
{
    /* Of one width, so that the store gives them in order. */
    snprintf(name, 40, STEP_PREFIX "%019lld", (long long)from_ms);
}

static void forget_oldest(struct engine *g)
{
    char name[40];
    step_name(name, g->steps[0].from_ms);
    batch_delete(engine_batch(g), TABLE_ID_META, &(struct meta_row){.name = name});
    memmove(g->steps, g->steps + 1, --g->step_count * sizeof *g->steps);
}

static void on_postponed(void *arg, const struct digest *hash, const struct token_holder *holder)
{
    engine_put_token(arg, hash, holder);
}

void steps_take(struct engine *g, int64_t from_ms, int64_t by_ms)
{
    char name[40];
    tokens_postpone(g->tokens, from_ms, by_ms, on_postponed, g);
    idempotency_postpone(g->idempotency, from_ms, by_ms);
    if (g->step_count == CLOCK_STEPS_KEPT)
        forget_oldest(g);
    g->steps[g->step_count++] = (struct clock_step){from_ms, by_ms};
    step_name(name, from_ms);
    batch_put(engine_batch(g), TABLE_ID_META, &(struct meta_row){.name = name, .number = by_ms});
}

void steps_load(struct engine *g, const struct meta_row *r)
{
    if (strncmp(r->name, STEP_PREFIX, strlen(STEP_PREFIX)) != 0 ||
        g->step_count == CLOCK_STEPS_KEPT)
        return;
    g->steps[g->step_count++] =
        (struct clock_step){strtoll(r->name + strlen(STEP_PREFIX), NULL, 10), r->number};
}

void steps_loaded(struct engine *g)
{
    for (size_t i = 0; i < g->step_count; i++)
        idempotency_postpone(g->idempotency, g->steps[i].from_ms, g->steps[i].by_ms);
}

void steps_tidy(struct engine *g, int64_t now_ms)
{
    while (g->step_count && g->steps[0].from_ms + g->steps[0].by_ms + IDEMPOTENCY_MS <= now_ms)
        forget_oldest(g);
}
