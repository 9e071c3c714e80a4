/*
 * An item of an answer as the few values that its cells are made from. It is filled from jansson's
 * tree or, for long lists, out of the text of the answer, which makes nothing but the values.
 */
#ifndef CLI_ROW_H
#define CLI_ROW_H

#include "base/json.h"
#include "base/json_scan.h"

struct value {
    enum json_part_kind kind; /* JSON_PART_NONE: absent, or null */
    const char *text;         /* of a text */
    int64_t whole;            /* of an INT */
    double number;            /* of an INT or REAL */
    struct json_part part;    /* of a list or object, while it has no tree */
    const json_t *tree;
    json_t *own_tree;
};

enum { ROW_KEYS_MOST = 48 };

struct row {
    struct row_key {
        const char *name; /* borrowed */
        size_t len;
    } keys[ROW_KEYS_MOST];
    size_t count;
    uint8_t order[ROW_KEYS_MOST]; /* by member, in the row before: which key it was */
    struct value values[ROW_KEYS_MOST];
};

/* Looks at KEY from now on, up to its first point: "job.id" is found in "job". Returns its place.
 */
size_t row_want(struct row *r, const char *key);
/* Fills it from an item; what it had is gone. The values borrow from ITEM. */
void row_fill(struct row *r, const json_t *item);
/* The same from the object that comes next; failures are left in S. The text is overwritten, since
 * texts are decoded in their places, and borrowed. A wanted key that appears twice is a failure. */
void row_read(struct row *r, struct json_scan *s);
void row_done(struct row *r);

/* What stands at PATH behind the key's first point (NULL: the key itself). */
struct value row_value(struct row *r, size_t place, const char *path);

const char *value_text(const struct value *v); /* "" where it is no text */
int64_t value_int(const struct value *v, int64_t fallback);
double value_number(const struct value *v, double fallback);
int64_t value_time(const struct value *v); /* 0 where it is none */

#endif
