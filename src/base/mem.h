/*
 * Memory whose size we choose ourselves: if there is none, the program stops with a sentence, and
 * the store survives that. Sizes from outside have a limit and are checked before they come here.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include "base/cleanup.h"

#include <stddef.h>

/* Zeroed memory for COUNT things; never NULL. Free with free(). */
void *mem_alloc(size_t count, size_t size);
/* Grows or shrinks; what is new is not zeroed. Never NULL unless COUNT * SIZE is 0. */
void *mem_resize(void *p, size_t count, size_t size);
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t len);
void *mem_dup(const void *p, size_t len);
/* printf into memory of its own. The caller frees it. */
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define mem_new(type)          ((type *)mem_alloc(1, sizeof(type)))
#define mem_new_array(type, n) ((type *)mem_alloc((n), sizeof(type)))
#define mem_resize_array(p, n) ((__typeof__(p))mem_resize((p), (n), sizeof *(p)))

#define COUNT_OF(array)        (sizeof(array) / sizeof *(array))

#endif
