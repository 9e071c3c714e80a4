#include "core/fleet/table.h"

#include "base/mem.h"

#include <assert.h>

struct retired {
    char *page;
    uint64_t at; /* the first moment that no longer sees it */
};

struct pages {
    uint64_t now;   /* moments begin at 1 */
    uint64_t *live; /* snapshots not released, ascending */
    size_t live_count, live_room;
    struct retired *retired; /* in order of AT */
    size_t retired_first, retired_count, retired_room;
    size_t bytes;
};

struct pages *pages_new(void)
{
    struct pages *p = mem_new(struct pages);
    p->now = 1;
    return p;
}

static void free_retired(struct pages *p)
{
    uint64_t oldest = p->live_count ? p->live[0] : UINT64_MAX;
    while (p->retired_first < p->retired_count && p->retired[p->retired_first].at <= oldest) {
        free(p->retired[p->retired_first++].page);
        p->bytes -= TABLE_PAGE_BYTES;
    }
    if (p->retired_first == p->retired_count)
        p->retired_first = p->retired_count = 0;
}

void pages_free(struct pages *p)
{
    if (!p)
        return;
    assert(p->live_count == 0);
    free_retired(p);
    free(p->live);
    free(p->retired);
    free(p);
}

size_t pages_bytes(const struct pages *p)
{
    return p->bytes;
}

static char *page_new(struct pages *p)
{
    p->bytes += TABLE_PAGE_BYTES;
    return mem_alloc(1, TABLE_PAGE_BYTES);
}

static void retire(struct pages *p, char *page)
{
    if (p->retired_count == p->retired_room) {
        /* Reuse the room in front before asking for more. */
        size_t n = p->retired_count - p->retired_first;
        if (p->retired_first > p->retired_room / 2) {
            memmove(p->retired, p->retired + p->retired_first, n * sizeof *p->retired);
        } else {
            p->retired_room = p->retired_room ? 2 * p->retired_room : 64;
            struct retired *more = mem_new_array(struct retired, p->retired_room);
            if (n)
                memcpy(more, p->retired + p->retired_first, n * sizeof *more);
            free(p->retired);
            p->retired = more;
        }
        p->retired_first = 0;
        p->retired_count = n;
    }
    p->retired[p->retired_count++] = (struct retired){page, p->now};
}

uint64_t pages_snapshot(struct pages *p)
{
    if (p->live_count == p->live_room) {
        p->live_room = p->live_room ? 2 * p->live_room : 8;
        p->live = mem_resize_array(p->live, p->live_room);
    }
    p->live[p->live_count++] = p->now;
    return p->now++;
}

void pages_release(struct pages *p, uint64_t snapshot)
{
    for (size_t i = 0; i < p->live_count; i++) {
        if (p->live[i] != snapshot)
            continue;
        memmove(p->live + i, p->live + i + 1, (p->live_count - i - 1) * sizeof *p->live);
        p->live_count--;
        free_retired(p);
        return;
    }
    assert(!"a snapshot is released once");
}

void table_init(struct table *t, struct pages *p, size_t row_size)
{
    assert(row_size > 0 && row_size <= TABLE_PAGE_BYTES && row_size % 8 == 0);
    *t = (struct table){.pages = p};
    t->view.row_size = (uint32_t)row_size;
    t->view.per_page = (uint32_t)(TABLE_PAGE_BYTES / row_size);
}

void table_done(struct table *t)
{
    for (uint32_t i = 0; i < t->page_count; i++) {
        free(t->view.pages[i]);
        t->pages->bytes -= TABLE_PAGE_BYTES;
    }
    free(t->view.pages);
    free(t->born);
    free(t->free_rows);
    *t = (struct table){0};
}

static void add_page(struct table *t)
{
    if (t->page_count == t->page_room) {
        t->page_room = t->page_room ? 2 * t->page_room : 4;
        t->view.pages = mem_resize_array(t->view.pages, t->page_room);
        t->born = mem_resize_array(t->born, t->page_room);
    }
    t->view.pages[t->page_count] = page_new(t->pages);
    t->born[t->page_count++] = t->pages->now;
}

uint32_t table_add(struct table *t)
{
    if (t->free_count)
        return t->free_rows[--t->free_count];

    assert(t->view.count < NO_ROW - 1);
    if (t->view.count == t->page_count * t->view.per_page)
        add_page(t);
    return t->view.count++;
}

void table_remove(struct table *t, uint32_t i)
{
    memset(table_edit(t, i), 0, t->view.row_size);
    if (t->free_count == t->free_room) {
        t->free_room = t->free_room ? 2 * t->free_room : 64;
        t->free_rows = mem_resize_array(t->free_rows, t->free_room);
    }
    t->free_rows[t->free_count++] = i;
}

void *table_edit(struct table *t, uint32_t i)
{
    assert(i < t->view.count);
    uint32_t page = i / t->view.per_page;
    struct pages *p = t->pages;

    if (p->live_count && t->born[page] <= p->live[p->live_count - 1]) {
        char *copy = page_new(p);
        memcpy(copy, t->view.pages[page], TABLE_PAGE_BYTES);
        retire(p, t->view.pages[page]);
        t->view.pages[page] = copy;
        t->born[page] = p->now;
    }
    return t->view.pages[page] + (size_t)(i % t->view.per_page) * t->view.row_size;
}

struct table_view table_share(const struct table *t)
{
    struct table_view v = t->view;
    v.pages = mem_dup(t->view.pages, t->page_count * sizeof *v.pages);
    return v;
}

void table_unshare(struct table_view *v)
{
    free(v->pages);
    *v = (struct table_view){0};
}
