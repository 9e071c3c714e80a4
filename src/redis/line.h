/*
 * One job as it stands in Redis: its JSON text, the same for the same facts, so that after a
 * restart what stands there already is known again by its hash. Never changes; counted, one thread.
 */
#ifndef REDIS_LINE_H
#define REDIS_LINE_H

#include "base/text.h"
#include "core/fleet/fleet.h"

enum { LINE_HASH = 16 /* hex digits of its SHA-1 */ };

struct line {
    int64_t job;
    unsigned refs;
    char hash[LINE_HASH + 1];
    size_t len;
    char text[];
};

struct line *line_new(int64_t job, const char *text, size_t len);
struct line *line_ref(struct line *l);
void line_unref(struct line *l); /* NULL is fine */

/* A list of them, each counted. All zero is an empty one. */
struct lines {
    struct line **all;
    size_t count, room;
};
void lines_add(struct lines *l, struct line *line);
void lines_set(struct lines *l, struct line *const *all, size_t count);
void lines_sort(struct lines *l);                            /* by job */
struct line *lines_find(const struct lines *l, int64_t job); /* sorted before; NULL: not there */
void lines_done(struct lines *l);

/* Every text of ours begins with this, whichever Reeve wrote it; nothing that does is taken for a
 * job handed in. */
#define LINE_MARK "{\"reeve\":\""

/* The job's number, and whether the text is ours. Only the beginning of TEXT needs to be there. */
bool line_is_ours(const char *text, int64_t *ret_job);

/* All of a waiting or running job but what the store knows. MASK leaves out whose it is. */
void line_write_head(const struct fleet_view *v, const struct job *j, bool mask, struct text *out);
/* The rest: PATHS as line_read_paths() found them; NULL: not to be shown. */
void line_write_tail(const char *paths, struct text *out);
/* Out of a job's spec: "config_file":...,"work_dir":... The caller frees it. */
char *line_read_paths(const char *spec);

#endif
