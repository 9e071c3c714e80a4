/*
 * Fleets kept for replay to begin with. Once a day a ledger row tells the digest of the fleet as it
 * is; a worker writes that fleet down from a snapshot, packed, and the owner puts the pieces into
 * the store one a batch, so that nobody waits for them. What was not completed counts for nothing
 * and is removed at the next start.
 */
#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/dump.h"
#include "engine/internal.h"

#include <zstd.h>

enum { PART_BYTES = 256 << 10, LEVEL = 3, DAY_MS = 86400000 };

struct piece {
    char *data;
    size_t len;
};

struct snapshot_work {
    struct engine *g;
    struct snapshot snapshot;
    int64_t seq, time_ms;
    ZSTD_CCtx *zstd;
    struct piece *pieces;
    size_t count, next;
    int64_t batch; /* in which the last piece leaves; 0: none is on its way */
    struct err error;
};

/* ---- packing: on a worker ---- */

static struct piece *open_piece(struct snapshot_work *w)
{
    if (w->count && w->pieces[w->count - 1].len < PART_BYTES)
        return &w->pieces[w->count - 1];
    w->pieces = mem_resize_array(w->pieces, w->count + 1);
    w->pieces[w->count] = (struct piece){.data = mem_alloc(1, PART_BYTES)};
    return &w->pieces[w->count++];
}

static int pack(struct snapshot_work *w, const void *bytes, size_t len, ZSTD_EndDirective how)
{
    ZSTD_inBuffer in = {bytes, len, 0};
    for (;;) {
        struct piece *p = open_piece(w);
        ZSTD_outBuffer out = {p->data, PART_BYTES, p->len};
        size_t left = ZSTD_compressStream2(w->zstd, &out, &in, how);
        p->len = out.pos;
        if (ZSTD_isError(left))
            return err_set(&w->error, ERR_INTERNAL, "could not pack: %s", ZSTD_getErrorName(left));
        if (how == ZSTD_e_end ? left == 0 : in.pos == in.size)
            return 0;
    }
}

static int on_bytes(void *arg, const void *bytes, size_t len)
{
    return pack(arg, bytes, len, ZSTD_e_continue);
}

static void write_down(void *reader, void *job)
{
    struct snapshot_work *w = job;
    (void)reader;
    if (FAILPOINT("engine.snapshot_taken")) {
        err_set(&w->error, ERR_UNAVAILABLE, "told to fail");
        return;
    }
    w->zstd = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, LEVEL);
    ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_checksumFlag, 1);
    if (core_dump(&w->snapshot.view, on_bytes, w) == 0)
        pack(w, NULL, 0, ZSTD_e_end);
    ZSTD_freeCCtx(w->zstd);
}

/* ---- storing: on the owner's thread ---- */

static void remove_kept(struct engine *g, size_t at)
{
    struct kept_snapshot *k = &g->kept[at];
    struct batch *b = engine_batch(g);
    for (int64_t part = 0; part < k->parts; part++)
        batch_delete(b, TABLE_ID_SNAPSHOT_PART,
                     &(struct snapshot_part_row){.seq = k->seq, .part = part});
    batch_delete(b, TABLE_ID_SNAPSHOT, &(struct snapshot_row){.seq = k->seq});
    memmove(k, k + 1, (g->kept_count - at - 1) * sizeof *k);
    g->kept_count--;
}

static void work_free(struct snapshot_work *w)
{
    for (size_t i = 0; i < w->count; i++)
        free(w->pieces[i].data);
    free(w->pieces);
    free(w);
}

static void finish(struct engine *g)
{
    struct snapshot_work *w = g->snapshot_work;
    g->kept[g->kept_count++] = (struct kept_snapshot){
        .seq = w->seq, .time_ms = w->time_ms, .parts = (int64_t)w->count, .complete = true};
    while (g->kept_count > SNAPSHOTS_KEPT)
        remove_kept(g, 0);
    g->snapshot_work = NULL;
    work_free(w);
}

static void put_next(struct engine *g)
{
    struct snapshot_work *w = g->snapshot_work;
    struct piece *p = &w->pieces[w->next];
    struct snapshot_part_row part = {
        .seq = w->seq, .part = (int64_t)w->next++, .data = {p->data, p->len}};
    struct snapshot_row head = {.seq = w->seq,
                                .time_ms = w->time_ms,
                                .format = core_dump_format(),
                                .parts = (int64_t)w->next,
                                .complete = w->next == w->count};
    for (size_t i = 0; i < w->next; i++)
        head.bytes += (int64_t)w->pieces[i].len;
    struct batch *b = engine_batch(g);
    batch_put(b, TABLE_ID_SNAPSHOT_PART, &part);
    batch_put(b, TABLE_ID_SNAPSHOT, &head);
    w->batch = g->batch_seq + 1;
}

void snapshots_on_durable(struct engine *g, int64_t seq)
{
    struct snapshot_work *w = g->snapshot_work;
    if (!w || !w->batch || seq < w->batch || g->stopping)
        return;
    if (FAILPOINT("engine.snapshot_part"))
        return;
    if (w->next < w->count)
        put_next(g);
    else
        finish(g);
}

static void on_written(void *job)
{
    struct snapshot_work *w = job;
    struct engine *g = w->g;
    fleet_snapshot_drop(g->core.fleet, &w->snapshot);
    if (w->error.code == ERR_NONE && !g->stopping) {
        put_next(g);
        return;
    }
    if (w->error.code)
        log_warn("could not keep a snapshot for replay, which begins with an older one",
                 F_INT("row", w->seq), F_ERR(&w->error));
    g->snapshot_work = NULL;
    work_free(w);
}

void snapshots_begin(struct engine *g)
{
    int64_t day = g->clock.last_ms / DAY_MS;
    struct store_stats s;
    bool has_room = g->ops->stats(g->store, &s, NULL) < 0 || s.free_bytes >= STORE_FREE_LOW;
    if (g->snapshot_work || !has_room ||
        (g->kept_count && g->kept[g->kept_count - 1].time_ms / DAY_MS == day))
        return;
    const struct fleet_view *v = &g->core.fleet->view;
    struct snapshot_work *w = mem_new(struct snapshot_work);
    *w = (struct snapshot_work){.g = g, .seq = v->last_seq, .time_ms = v->last_time_ms};
    fleet_snapshot(g->core.fleet, &w->snapshot);
    g->snapshot_work = w;
    if (workers_submit(g->workers, write_down, on_written, g->inbox, w))
        return;
    fleet_snapshot_drop(g->core.fleet, &w->snapshot);
    g->snapshot_work = NULL;
    work_free(w);
}

void snapshots_load(struct engine *g, const struct snapshot_row *r)
{
    if (g->kept_count == COUNT_OF(g->kept)) /* never, by us: then the rest stays where it is */
        return;
    g->kept[g->kept_count++] =
        (struct kept_snapshot){r->seq, r->time_ms, r->parts, r->complete != 0};
}

void snapshots_tidy(struct engine *g)
{
    for (size_t i = g->kept_count; i-- > 0;)
        if (!g->kept[i].complete)
            remove_kept(g, i);
}

void snapshots_done(struct engine *g)
{
    if (g->snapshot_work)
        work_free(TAKE(g->snapshot_work));
}
