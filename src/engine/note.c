/* What is kept of attempts and decides nothing: rows without events. */
#include "engine/internal.h"

enum { ATTEMPTS_MOST = 1000 };

void engine_note(struct engine *g, int64_t job, int64_t n, enum attempt_note kind, const char *text)
{
    struct attempt_note_row row = {.job = job, .kind = kind, .n = n, .text = text};
    batch_put(engine_batch(g), TABLE_ID_ATTEMPT_NOTE, &row);
}

void engine_drop_notes(struct engine *g, int64_t job, int64_t attempts)
{
    if (attempts > ATTEMPTS_MOST)
        attempts = ATTEMPTS_MOST;
    for (int64_t n = 1; n <= attempts; n++)
        for (int kind = NOTE_RESULTS; kind < ATTEMPT_NOTES; kind++) {
            struct attempt_note_row row = {.job = job, .kind = kind, .n = n};
            batch_delete(engine_batch(g), TABLE_ID_ATTEMPT_NOTE, &row);
        }
}

int command_note_add(struct engine *g, struct command *c, struct err *e)
{
    if (c->id <= 0 || c->id >= g->core.fleet->view.next_job || c->attempt <= 0)
        return err_set(e, ERR_NOT_FOUND, "there is no job %lld", (long long)c->id);
    engine_note(g, c->id, c->attempt, c->note_kind, c->note);
    return 0;
}
