/*
 * JSON read straight out of its text, value after value, without a tree: the other half of
 * json_out.h. For long answers, of which each value is looked at once, and for picking a few parts
 * out of a text that is passed on as it is. Strict like json_parse(), but for keys that appear
 * twice: those are the caller's to notice.
 *
 *     struct json_scan s;
 *     struct json_part key, value;
 *     json_scan_init(&s, p, len);
 *     for (json_scan_object(&s); json_scan_member(&s, &key);)
 *         json_scan_value(&s, &value);
 *     if (json_scan_end(&s, &err) < 0) ...
 *
 * Nothing needs to be checked on the way: after a failure all walks end and all values are of kind
 * JSON_PART_NONE.
 */
#ifndef BASE_JSON_SCAN_H
#define BASE_JSON_SCAN_H

#include "base/text.h"

enum json_part_kind {
    JSON_PART_NONE,
    JSON_PART_NULL,
    JSON_PART_TRUE,
    JSON_PART_FALSE,
    JSON_PART_INT,  /* digits only; may be larger than int64_t */
    JSON_PART_REAL, /* with a point or an exponent */
    JSON_PART_TEXT,
    JSON_PART_LIST,
    JSON_PART_OBJECT,
};

/* One value as it stands in the text: of a text what is between the quotes. Borrowed. */
struct json_part {
    enum json_part_kind kind;
    bool has_escapes; /* of a text: it must be decoded */
    const char *at;
    size_t len;
};

struct json_scan {
    const char *start, *at, *end;
    const char *why; /* NULL: all is well so far */
    unsigned depth;
    bool fresh; /* just behind the bracket that opened a list or object */
};

/* The text stays the caller's, and where it is until the last part of it was looked at. */
void json_scan_init(struct json_scan *s, const char *p, size_t len);
/* The kind of the value that comes next, which is not read yet. */
enum json_part_kind json_scan_next(struct json_scan *s);
/* The whole next value, with all that is in it. */
void json_scan_value(struct json_scan *s, struct json_part *ret);
/*
 * The same for a value that nobody will look into, at a third of the cost: however deep it is, and
 * looking only at its quotes and brackets. What is wrong within it stays unseen, escapes that mean
 * nothing included; a text read in this way is not for json_part_text().
 */
void json_scan_pass(struct json_scan *s, struct json_part *ret);
/* Goes into the next value, which must be one. Read all of it, until the call below gives false. */
void json_scan_object(struct json_scan *s);
void json_scan_list(struct json_scan *s);
/* True: KEY is read and its value comes next. False: the object is over. */
bool json_scan_member(struct json_scan *s, struct json_part *key);
/* True: a value of the list comes next. False: the list is over. */
bool json_scan_item(struct json_scan *s);
/* What was read so far is not what the caller needs: all that follows fails for this reason. */
void json_scan_fail(struct json_scan *s, const char *why);
/* The text must end here. ERR_INVALID says where it went wrong, and why. */
int json_scan_end(struct json_scan *s, struct err *e);

/* Whether P is a text that says WORD, which is plain ASCII. */
bool json_part_is(const struct json_part *p, const char *word);
/* A text, decoded, behind what OUT has. */
void json_part_text(const struct json_part *p, struct text *out);
/* Decodes a text over itself, with a NUL behind it in place of the quote. Only where the scanned
 * text belongs to the caller, and the scan has passed it. */
char *json_part_text_here(struct json_part *p);
/* False: no number, or not one that int64_t holds. */
bool json_part_int(const struct json_part *p, int64_t *ret);
double json_part_number(const struct json_part *p); /* 0 for what is no number */

#endif
