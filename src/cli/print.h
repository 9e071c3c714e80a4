/* What a command shows, in the form that --output asks for. */
#ifndef CLI_PRINT_H
#define CLI_PRINT_H

#include "cli/command.h"
#include "cli/table.h"

/* What one answer looks like as text for people. */
struct view {
    const struct column *columns;
    size_t count;
    const char *name_key; /* what --output name prints of each item: "id" */
    bool one;             /* the answer is one item, not a list */
    const char *empty;    /* said instead of a table without rows */
    bool picks_fields;    /* the server takes fields=, and is asked for what is shown */
    /* Adds lines above and below the table; NULL: none. ANSWER has no items where they are many. */
    void (*above)(struct cli *c, const json_t *answer, struct text *out);
    void (*below)(struct cli *c, const json_t *answer, struct text *out);
};

/* ANSWER in the form asked for, into OUT. */
void view_render(struct cli *c, const struct view *v, const json_t *answer, struct text *out);
/* The same on standard output. */
void view_print(struct cli *c, const struct view *v, const json_t *answer);

/* Asks for PATH and prints the answer; with --watch again and again, redrawn in place when it
 * changes, until the user ends the program. MOST items of a list. */
int view_show(struct cli *c, const struct view *v, const char *path, int64_t most, struct err *e);

void print_text(const struct text *t);
/* A line on standard error that is no failure: "1 job cancelled". Not with --output name, json,
 * yaml. */
void say(struct cli *c, const char *fmt, ...) PRINTF_LIKE(2, 3);

struct table_style cli_style(const struct cli *c);

#endif
