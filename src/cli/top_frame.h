/* One picture of `reeve top` as lines of text: pure, so that it can be tested and printed. */
#ifndef CLI_TOP_FRAME_H
#define CLI_TOP_FRAME_H

#include "base/json.h"
#include "base/text.h"

enum top_sort {
    TOP_BY_ORDER,
    TOP_BY_ID,
    TOP_BY_USER,
    TOP_BY_STATE,
    TOP_BY_WAIT,
    TOP_BY_RUN,
    TOP_SORTS
};

struct top_data {
    const json_t *status, *devices, *queue; /* answers of the server; NULL: none yet */
    int64_t now_ms;
    const char *trouble; /* why the last question failed; NULL: it did not */
};

struct top_look {
    int columns, rows;
    enum top_sort sort;
    bool reverse;
    bool help;
    int job_scroll, device_scroll;
};

enum top_style { TOP_PLAIN, TOP_TITLE, TOP_HEADER, TOP_GOOD, TOP_WAITING, TOP_BAD, TOP_BUSY };

struct top_line {
    char *text; /* fits into the columns; owned by the frame */
    enum top_style style;
};

struct top_frame {
    struct top_line *lines;
    size_t count;
    int jobs, devices; /* how many there are, for scrolling */
};

/* At most LOOK->rows lines. */
void top_frame_make(struct top_frame *f, const struct top_data *data, const struct top_look *look);
void top_frame_done(struct top_frame *f);

const char *top_sort_name(enum top_sort s);
/* TOP_SORTS: no such word. */
enum top_sort top_sort_find(const char *word);

#endif
