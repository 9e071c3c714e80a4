/*
 * How many columns a text takes on a terminal. Korean, Chinese and Japanese characters take two,
 * combining marks none. Independent of the locale.
 */
#ifndef CLI_WIDTH_H
#define CLI_WIDTH_H

#include "base/text.h"

int text_width(const char *s);
/* How many bytes of S fit into COLUMNS; *RET_WIDTH (may be NULL) is what they take. */
size_t text_fit(const char *s, int columns, int *ret_width);

/* S without what could steer a terminal: control characters, direction marks, bytes that are not
 * UTF-8. Line breaks and tabs become spaces. For text that others wrote, such as a job's name. */
void text_add_printable(struct text *out, const char *s);

void text_add_blanks(struct text *out, int count);

/* S in exactly COLUMNS, cut with "…" where it is longer, with the spaces in front when RIGHT. */
void text_add_padded(struct text *out, const char *s, int columns, bool right);

#endif
