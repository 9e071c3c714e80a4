/* Every decision once more, from the ledger alone. */
#include "engine/engine.h"

#include "base/mem.h"
#include "core/core.h"

struct replay {
    struct core core;
    struct replay_result *ret;
    int64_t last;
    bool different;
    struct err why;
};

static int on_row(void *arg, enum table_id table, const void *record)
{
    struct replay *r = arg;
    (void)table;
    const struct ledger_row *row = record;
    struct event ev = {.seq = row->seq,
                       .time_ms = row->time_ms,
                       .kind = (enum event_kind)row->kind,
                       .subject = row->subject,
                       .actor = row->actor,
                       .on_behalf = row->on_behalf};
    const char *body = row->body ? row->body : "{}";
    r->last = row->seq;
    r->ret->rows++;
    if (event_read_body(&ev, body, strlen(body), &r->why) < 0)
        goto different;
    if (ev.kind == EVENT_ID_PLANNED) {
        struct event again;
        core_plan(&r->core, ev.PLANNED.now_ms, &again);
        r->ret->plans++;
        r->ret->decisions += again.PLANNED.decisions;
    }
    if (core_apply(&r->core, &ev, NULL, &r->why) == 0)
        return 0;

different:
    r->different = true;
    r->ret->first_different = row->seq;
    snprintf(r->ret->why, sizeof r->ret->why, "%s", r->why.text);
    return -1;
}

int engine_replay(const struct store_ops *ops, struct store_reader *reader,
                  struct replay_result *ret, struct err *e)
{
    struct replay r = {.ret = ret};
    *ret = (struct replay_result){0};
    core_init(&r.core);
    int rc;
    int64_t before;
    do {
        before = r.last;
        struct store_query q = {.id = QUERY_LEDGER, .after = r.last, .limit = STORE_LIMIT};
        rc = ops->read(reader, &q, on_row, &r, e);
    } while (rc == 0 && r.last > before);
    core_done(&r.core);
    return r.different ? 0 : rc;
}
