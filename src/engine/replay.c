/* Every decision once more, from the ledger alone, or from a snapshot and what came after it. */
#include "engine/engine.h"

#include "base/mem.h"
#include "core/dump.h"

#include <zstd.h>

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
        core_plan(&r->core, ev.PLANNED.now_ms, ev.PLANNED.policy, &again);
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

/* ---- beginning with a snapshot ---- */

enum { SNAPSHOTS_LOOKED_AT = 16 };

struct heads {
    int64_t seq[SNAPSHOTS_LOOKED_AT]; /* the newest first */
    size_t count;
};

static int on_head(void *arg, enum table_id table, const void *record)
{
    struct heads *h = arg;
    const struct snapshot_row *row = record;
    (void)table;
    /* One of another program's format is no failure: it just cannot be used. */
    if (row->complete && row->format == core_dump_format())
        h->seq[h->count++] = row->seq;
    return 0;
}

/* A snapshot's bytes as they come out of the store: packed, all of them, then given piece by piece.
 */
struct unpacking {
    struct text packed;
    int64_t parts;
    char digest[DIGEST_HEX]; /* as the ledger has it */
    ZSTD_DCtx *zstd;
    ZSTD_inBuffer in;
};

static int on_part(void *arg, enum table_id table, const void *record)
{
    struct unpacking *u = arg;
    const struct snapshot_part_row *row = record;
    (void)table;
    if (row->part != u->parts++)
        return 0; /* it will not unpack */
    text_add_bytes(&u->packed, row->data.data, row->data.len);
    return 0;
}

static int on_digest(void *arg, enum table_id table, const void *record)
{
    struct unpacking *u = arg;
    const struct ledger_row *row = record;
    struct event ev = {.kind = EVENT_ID_SNAPSHOT};
    (void)table;
    if (row->kind == EVENT_ID_SNAPSHOT && row->body &&
        event_read_body(&ev, row->body, strlen(row->body), NULL) == 0)
        snprintf(u->digest, sizeof u->digest, "%.64s", ev.SNAPSHOT.digest);
    return 0;
}

static ssize_t unpack(void *arg, void *bytes, size_t size, struct err *e)
{
    struct unpacking *u = arg;
    ZSTD_outBuffer out = {bytes, size, 0};
    while (out.pos == 0) {
        size_t before = u->in.pos, rc = ZSTD_decompressStream(u->zstd, &out, &u->in);
        if (ZSTD_isError(rc))
            return err_set(e, ERR_UNPROCESSABLE, "it cannot be unpacked: %s",
                           ZSTD_getErrorName(rc));
        if (u->in.pos == before && out.pos == 0)
            return 0;
    }
    return (ssize_t)out.pos;
}

static int check_digest(const struct unpacking *u, struct core *c, int64_t seq, struct err *e)
{
    char digest[DIGEST_HEX];
    struct fleet_view before = c->fleet->view;
    before.last_seq = seq - 1; /* the row tells of the moment before it */
    struct digest d = fleet_digest(&before);
    hex_write(digest, d.bytes, DIGEST_SIZE);
    if (c->fleet->view.last_seq != seq || strcmp(digest, u->digest) != 0)
        return err_set(e, ERR_UNPROCESSABLE, "it is not the fleet of ledger row %lld",
                       (long long)seq);
    return 0;
}

static int load_snapshot(const struct store_ops *ops, struct store_reader *reader, int64_t seq,
                         struct core *c, struct err *e)
{
    struct unpacking u = {0};
    struct store_query parts = {.id = QUERY_SNAPSHOT_PARTS, .key = seq, .limit = STORE_LIMIT};
    struct store_query row = {.id = QUERY_LEDGER, .after = seq - 1, .upto = seq, .limit = 1};
    int rc = ops->read(reader, &parts, on_part, &u, e);
    if (rc == 0)
        rc = ops->read(reader, &row, on_digest, &u, e);
    if (rc == 0) {
        u.zstd = ZSTD_createDCtx();
        u.in = (ZSTD_inBuffer){text_get(&u.packed), u.packed.len, 0};
        rc = core_restore(c, unpack, &u, e);
        ZSTD_freeDCtx(u.zstd);
    }
    if (rc == 0)
        rc = check_digest(&u, c, seq, e);
    text_done(&u.packed);
    return rc;
}

/* The newest that can be loaded. */
static int begin(const struct store_ops *ops, struct store_reader *reader, struct replay *r,
                 struct err *e)
{
    struct heads heads = {0};
    struct store_query q = {.id = QUERY_SNAPSHOTS, .limit = SNAPSHOTS_LOOKED_AT};
    if (ops->read(reader, &q, on_head, &heads, e) < 0)
        return -1;
    for (size_t i = 0; i < heads.count; i++) {
        struct err why = {0};
        if (load_snapshot(ops, reader, heads.seq[i], &r->core, &why) == 0) {
            r->last = r->ret->began = heads.seq[i];
            return 0;
        }
        core_done(&r->core);
        core_init(&r->core);
        if (r->ret->passed_over++ == 0)
            snprintf(r->ret->why_passed_over, sizeof r->ret->why_passed_over,
                     "snapshot of ledger row %lld: %.400s", (long long)heads.seq[i], why.text);
    }
    return 0;
}

int engine_replay(const struct store_ops *ops, struct store_reader *reader, bool from_start,
                  struct replay_result *ret, struct err *e)
{
    struct replay r = {.ret = ret};
    *ret = (struct replay_result){0};
    core_init(&r.core);
    int rc = from_start ? 0 : begin(ops, reader, &r, e);
    int64_t before;
    while (rc == 0) {
        before = r.last;
        struct store_query q = {.id = QUERY_LEDGER, .after = r.last, .limit = STORE_LIMIT};
        rc = ops->read(reader, &q, on_row, &r, e);
        if (r.last == before)
            break;
    }
    core_done(&r.core);
    return r.different ? 0 : rc;
}
