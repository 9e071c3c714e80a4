/*
 * How far a job is, from the file it writes ("N/M" in $REEVE_PROGRESS_FILE) or from its output.
 * The shim reads both and keeps the newest word in the attempt's folder, where the agent finds it.
 *
 * Patterns that users give are templates, not regular expressions: `{done}` and `{total}` are whole
 * numbers, `{percent}` is a percentage with or without decimals, `*` is any run of bytes, a space
 * is one or more blanks, `\` takes the next character as it is, all else stands for itself: "step
 * {done} of {total}", "loss * ({percent}%)". They need {percent}, or {done} with {total} or with a
 * number in its place
 * ("batch {done}/5000"). Matching takes at most line length times pattern length steps, which no
 * library of regular expressions on Debian promises in C.
 */
#ifndef NODE_PROGRESS_H
#define NODE_PROGRESS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROGRESS_PATTERN_MOST 200
#define PROGRESS_LINE_MOST    4096
#define PROGRESS_FILE_MOST    256

/* Where it came from; a higher one is believed over a lower one for the rest of the attempt. */
enum progress_source {
    PROGRESS_NONE,
    PROGRESS_PERCENT, /* "45%" */
    PROGRESS_RATIO,   /* "3/10" */
    PROGRESS_EPOCH,   /* "epoch 3/10" */
    PROGRESS_PATTERN, /* the job's own pattern */
    PROGRESS_FILE,    /* the job's progress file */
};

struct progress {
    int64_t done, total; /* 0 <= done <= total, total > 0; 12.5 % is 125 of 1000 */
    enum progress_source source;
};

int progress_check_pattern(const char *pattern, struct err *e);

/* Pure. The file's text: "N/M", blanks around it allowed; the last line counts. */
bool progress_from_file(const char *p, size_t len, struct progress *ret);
/* Pure. One line of output; PATTERN NULL: the usual forms. */
bool progress_from_line(const char *p, size_t len, const char *pattern, struct progress *ret);
/* Pure. The end of the output: of its lines with the highest source that is not below LEAST, the
 * last one. The first line is whole; the last one may still be growing. */
bool progress_from_log(const char *p, size_t len, const char *pattern, enum progress_source least,
                       struct progress *ret);

/* Agent: what the shim last wrote into the attempt's folder; false when there is none. */
bool progress_read(const char *folder, struct progress *ret);
/* Shim. */
int progress_write(const char *folder, const struct progress *p, struct err *e);

#endif
