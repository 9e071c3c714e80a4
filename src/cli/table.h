/*
 * Lists as aligned tables. A table is described by its columns, each of which says where its cell
 * stands in an item and how it is written.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "base/json.h"
#include "base/json_scan.h"
#include "base/text.h"

enum cell_kind {
    CELL_TEXT, /* text or a number as it is; "-" when absent */
    CELL_YES,  /* "yes" or "-" */
    CELL_STATE,
    CELL_AGE,  /* of a time: how long ago */
    CELL_TIME, /* of a time: as local text */
    CELL_SPAN, /* milliseconds */
    CELL_SECONDS,
    CELL_WAIT, /* of a job: until its start or now */
    CELL_RUN,  /* of a job: so far or in all */
    CELL_MONEY,
    CELL_ENERGY,
    CELL_MIB,
    CELL_PERCENT,
    CELL_WATTS,
    CELL_PROGRESS, /* of a job: a bar and a percentage, or "3/10" */
    CELL_DEVICES,  /* of a job: node:index, ... */
    CELL_COUNT,    /* how long a list is */
    CELL_WORDS,    /* a list of words with blanks between */
    CELL_PAIRS,    /* an object as K=V,... */
    CELL_JSON,     /* whatever it is, as JSON */
};

enum { COLUMN_WIDE = 1, COLUMN_RIGHT = 2 };

struct column {
    const char *title, *key;
    enum cell_kind kind;
    unsigned flags;
};

struct table_style {
    int64_t now_ms;
    int columns; /* lines are cut there; 0: not */
    bool wide;   /* with the columns that are COLUMN_WIDE */
    bool color;
    bool no_header;
};

/* One cell of ITEM. */
void table_cell(struct text *out, const struct column *c, const json_t *item, int64_t now_ms);

/*
 * A table that is filled row by row, so that its items need not all be there at once. It keeps the
 * finished cells, in one piece of memory; what a row was made from may go afterwards.
 */
struct table;
/* COLUMNS and STYLE stay the caller's and where they are. */
struct table *table_new(const struct column *columns, size_t count,
                        const struct table_style *style);
void table_free(struct table *t);
void table_add(struct table *t, const json_t *item);
/* From the object that comes next in the text of an answer, see row_read(). */
void table_read(struct table *t, struct json_scan *s);
size_t table_row_count(const struct table *t);
void table_draw(const struct table *t, struct text *out);

/* The keys of items that the columns look at, of those that STYLE shows: "id,name,state". */
void table_keys(const struct column *columns, size_t count, bool wide, struct text *out);

DEFINE_AUTO(struct table, table_free)
#define auto_table AUTO(table_freep)

/* ITEMS (an array) as lines. */
void table_write(struct text *out, const struct column *columns, size_t count, const json_t *items,
                 const struct table_style *style);
/* One item as "Title: value" lines, without those that are absent. */
void table_write_one(struct text *out, const struct column *columns, size_t count,
                     const json_t *item, const struct table_style *style);

/* "\033[32m" for a state, "" for one without a colour. */
const char *state_color(const char *state);
#define COLOR_OFF  "\033[0m"
#define COLOR_BOLD "\033[1m"

#endif
