/* Why something failed: one sentence, kept by the caller. */
#ifndef PROTO_GCN_WHY_H
#define PROTO_GCN_WHY_H

#include <stddef.h>

struct why {
    char text[400];
};

/* Returns -1, so that `return why_set(...)` is one statement. */
int why_set(struct why *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Memory for COUNT zeroed things; says so and ends the program when there is none. */
void *room_for(size_t count, size_t size);

/*
 * Replaces the file PATH by DATA as a whole: whoever reads it sees the old or the new content, also
 * after a crash.
 */
int file_replace(const char *path, const void *data, size_t len, struct why *w);

#endif
