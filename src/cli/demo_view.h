/* What the demo shows: a picture while jobs run, a table at the end. Pure. */
#ifndef CLI_DEMO_VIEW_H
#define CLI_DEMO_VIEW_H

#include "base/json.h"
#include "base/text.h"

struct demo_picture {
    const json_t *jobs;    /* in the order of their ids */
    const json_t *devices; /* NULL: not known */
    int64_t now_ms, elapsed_ms;
    int columns; /* no line is longer */
    bool color;
};

/* The live picture, lines that each end with a newline. */
void demo_draw(struct text *out, const struct demo_picture *p);
/* One line about JOB's newest state, for where no picture can be drawn: "00:03 job 1 of alice ..."
 */
void demo_line(struct text *out, const json_t *job, int64_t elapsed_ms);
/* The table at the end, a row a job. ACCURACY: an object job id -> number, for those that have one.
 */
void demo_table(struct text *out, const json_t *jobs, const json_t *accuracy, bool color);

#endif
