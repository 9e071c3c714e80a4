/*
 * Objects of the API server, read into records: structs that have only the fields we use. What to
 * read is a table; the rest of an object is passed over. A record is one block of memory, its texts
 * and lists behind it, so that it is freed by free() and a pod costs some hundred bytes.
 *
 * Servers send what users wrote, so nothing in an object may stop us: texts are taken with U+FFFD
 * in place of what is no UTF-8 or NUL, cut where they are longer than the table allows; a field of
 * another type counts as absent, and lists end where the room of a record does.
 */
#ifndef KUBE_BUILD_H
#define KUBE_BUILD_H

#include "base/json_scan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kube_build;

enum kube_field_type {
    KUBE_TEXT,   /* const char *; "" when absent */
    KUBE_INT,    /* int64_t */
    KUBE_BOOL,   /* bool */
    KUBE_TIME,   /* int64_t, Unix ms; 0 when absent */
    KUBE_OBJECT, /* its fields by another table, into the same struct */
    KUBE_LIST,   /* pointer to the first of structs that begin with a pointer to the next one */
    KUBE_WORDS,  /* const struct kube_word *: a list of texts */
    KUBE_RAW,    /* const char *: the value's own JSON; NULL when absent or longer than MOST */
    KUBE_CALL,   /* a function reads the value, all of it */
    KUBE_FILLED, /* const char *: of no key; such a function fills it, "" until then */
};

struct kube_word {
    const struct kube_word *next;
    const char *text;
};

/* Labels and annotations. */
struct kube_pair {
    const struct kube_pair *next;
    const char *key, *value;
};
/* NULL: not there. */
const char *kube_pair_find(const struct kube_pair *list, const char *key);

/* One key of an object. A table of them ends with a KEY of NULL. */
struct kube_field {
    const char *key;
    enum kube_field_type type;
    size_t offset;                   /* of the member that gets it, in its struct */
    size_t most;                     /* bytes of a text; things of a list; 0: 253 and 64 */
    const struct kube_field *fields; /* of an object, or of the structs of a list */
    size_t size;                     /* of such a struct */
    void (*call)(struct kube_build *b, struct json_scan *s, void *into);
};

/* Room for records that are being made, used again and again. Never NULL. */
struct kube_build *kube_build_new(void);
void kube_build_free(struct kube_build *b); /* NULL is fine */

/* The object that comes next, by the table, into the struct at INTO, which is a record begun with
 * kube_build_begin() or was made with kube_build_more(). */
void kube_build_read(struct kube_build *b, struct json_scan *s, const struct kube_field *fields,
                     void *into);

/* Reads the value of KEY, by the table or, when that does not have it, not at all. */
void kube_build_read_value(struct kube_build *b, struct json_scan *s, const struct json_part *key,
                           const struct kube_field *fields, void *into);

/* A record of SIZE bytes, zeroed. CONTEXT is for the functions of its tables. */
void *kube_build_begin(struct kube_build *b, size_t size, const void *context);
/* The texts of the table, which are "" until they are read. */
void kube_build_empty_texts(const struct kube_field *fields, void *into);
/* The record as memory of its own; SIZE is what it takes. The caller frees it. */
void *kube_build_end(struct kube_build *b, size_t *ret_size);

/* ---- for functions of tables ---- */

const void *kube_build_context(const struct kube_build *b);

/* Zeroed; NULL: the record has no more room. */
void *kube_build_more(struct kube_build *b, size_t size);
/* PART's text, at most MOST bytes of it, into *SLOT, which is in the record. */
void kube_build_text(struct kube_build *b, const struct json_part *part, size_t most,
                     const char **slot);
/* *SLOT, in the record, points to WHAT, also in the record, once it is memory of its own. */
void kube_build_link(struct kube_build *b, void *slot, const void *what);
/* Something for the functions of one record, SIZE bytes, zeroed for each; not part of it. */
void *kube_build_aside(struct kube_build *b, size_t size);
/* Which labels or annotations to keep: those that begin with one of these; NULL ends the list. */
void kube_build_pairs(struct kube_build *b, struct json_scan *s, const char *const *prefixes,
                      const struct kube_pair **slot);

bool kube_part_quantity(const struct json_part *p, int64_t scale, int64_t *ret);

#endif
