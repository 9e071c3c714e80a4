/* The specs of jobs submitted lately, so that starting one on an idle system needs no read. */
#ifndef ENGINE_SPECS_H
#define ENGINE_SPECS_H

#include <stdint.h>

struct specs;

struct specs *specs_new(void);
void specs_free(struct specs *s);

/* Copies. The oldest goes when there are too many or they are too large. */
void specs_put(struct specs *s, int64_t job, const char *name, const char *spec);
/* Borrowed until the next put; false: not here, read the store. */
int specs_find(const struct specs *s, int64_t job, const char **ret_name, const char **ret_spec);

#endif
