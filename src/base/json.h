/*
 * JSON and YAML from outside, as jansson's tree, and tables that say what an object may hold.
 * Strict: UTF-8, no duplicate keys, no NUL, at most JSON_MAX_DEPTH deep.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/cleanup.h"
#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_MAX_DEPTH 32

/* Parses LEN bytes. The caller owns the tree (auto_json). ERR_INVALID names line and column. */
int json_parse(const char *p, size_t len, json_t **ret, struct err *e);
/* The same for one YAML document: maps, lists and plain values; no aliases, tags or merges. Plain
 * numbers, true, false and null become those; everything quoted is text. */
int yaml_parse(const char *p, size_t len, json_t **ret, struct err *e);
/* Compact JSON text, keys in the order of the tree; numbers of up to 15 digits as they came. The
 * caller frees it. */
char *json_write(const json_t *value);

/* A whole number, also written as 2.0; within what both JSON and int64_t hold exactly (2^53) when
 * it is. */
bool json_whole(const json_t *value, int64_t *ret);

enum json_field_type {
    JSON_FIELD_TEXT,   /* const char *, borrowed from the tree; NULL when absent */
    JSON_FIELD_INT,    /* int64_t */
    JSON_FIELD_BOOL,   /* bool */
    JSON_FIELD_ARRAY,  /* const json_t *, borrowed; NULL when absent */
    JSON_FIELD_OBJECT, /* const json_t *, borrowed; NULL when absent */
    JSON_FIELD_ANY,    /* const json_t *, borrowed; NULL when absent */
};

struct json_field {
    const char *name;
    enum json_field_type type;
    size_t offset; /* of the member that gets it */
    bool required;
    int64_t least, most; /* of a number; of the length of a text or array. MOST 0: no limit */
};

/* Reads an object into the struct at INTO by the table. Absent optional fields leave their member
 * as it is. STRICT: an unknown key or a null is an error that names it, else the one is passed over
 * and the other counts as absent. 2.0 is a whole number. ERR_INVALID says which field and why, and
 * E->field names it. */
int json_read_fields(const json_t *object, const struct json_field *fields, size_t count,
                     bool strict, void *into, struct err *e);

#define auto_json AUTO(json_decrefp)

#endif
