/*
 * Tables of fixed-size rows in 64 KiB pages, referring to each other by index, and copied on write:
 * a snapshot costs one pointer a page, and afterwards each page that is written is copied once.
 * Only the owner writes; snapshots may be read by any thread.
 */
#ifndef CORE_FLEET_TABLE_H
#define CORE_FLEET_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NO_ROW UINT32_MAX

enum { TABLE_PAGE_BYTES = 64 * 1024 };

/* What is needed to read: live tables and snapshots both hold one. */
struct table_view {
    char **pages;
    uint32_t row_size, per_page;
    uint32_t count; /* rows ever used; freed ones are zeroed */
};

/* Row I, good until the owner changes it (live) or the snapshot ends. I must be below COUNT. */
static inline const void *table_row(const struct table_view *v, uint32_t i)
{
    return v->pages[i / v->per_page] + (size_t)(i % v->per_page) * v->row_size;
}

/* Pages of all tables that belong together share one of these: it knows which snapshots live. */
struct pages;
struct pages *pages_new(void);
void pages_free(struct pages *p); /* every table done and every snapshot released before */

struct table {
    struct table_view view;
    struct pages *pages;
    uint64_t *born; /* a page: the moment it was made */
    uint32_t page_count, page_room;
    uint32_t *free_rows, free_count, free_room;
};

void table_init(struct table *t, struct pages *p, size_t row_size);
void table_done(struct table *t);

/* A zeroed row; the most recently freed one first, so the same history gives the same indexes. */
uint32_t table_add(struct table *t);
void table_remove(struct table *t, uint32_t i);
/* Row I for writing: copies its page first if a snapshot sees it. Pointers got before by
 * table_row() into the live table stay readable, but may show the old bytes. */
void *table_edit(struct table *t, uint32_t i);

/* Owner: begins a moment; returns its number. Views taken by table_share() after it belong to it.
 */
uint64_t pages_snapshot(struct pages *p);
/* A view of T as it is now, for the snapshot just begun. Free it with table_unshare(). */
struct table_view table_share(const struct table *t);
void table_unshare(struct table_view *v);
/* Owner: the snapshot with this number is no longer read; pages that only it saw are freed. */
void pages_release(struct pages *p, uint64_t snapshot);

/* Bytes held by pages, live and kept for snapshots. */
size_t pages_bytes(const struct pages *p);

#endif
