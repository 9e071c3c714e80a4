/*
 * The languages of those who read, and sentences in theirs. What is kept, and what a node tells, is
 * English; a Korean reader gets the Korean of schema/phrases.def where the sentence is known.
 */
#ifndef RECORD_PHRASE_H
#define RECORD_PHRASE_H

#include "base/text.h"

enum language { LANGUAGE_EN, LANGUAGE_KO };
const char *language_tag(enum language l); /* "en" */

/* What an Accept-Language header asks for first of those that we have; NULL and what is not
 * understood is English. */
enum language language_accepted(const char *accept);

/* SENTENCE, which is English, as a reader of LANGUAGE reads it: as it is where it is not known. */
void phrase_add(struct text *out, enum language language, const char *sentence);

#endif
