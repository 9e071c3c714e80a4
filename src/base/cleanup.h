/*
 * Ownership in the declaration: a variable with an auto_ word is cleaned up on every way out of its
 * block. Declare it with a start value (NULL, -1) on the same line.
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Runs FN on the variable when it goes out of scope, on every way out of the block. */
#define AUTO(fn)    __attribute__((cleanup(fn)))
#define auto_free   AUTO(freep)   /* memory */
#define auto_fclose AUTO(fclosep) /* FILE * */
#define auto_close  AUTO(closep)  /* descriptors; -1 is none */

/* Makes job_freep() out of job_free(); its header then defines auto_job as AUTO(job_freep). */
#define DEFINE_AUTO(type, fn)                                                                      \
    static inline void fn##p(type **p)                                                             \
    {                                                                                              \
        fn(*p);                                                                                    \
    }

/* Hands the value on and empties the variable, so its cleanup has nothing left to do. */
#ifdef __cppcheck__ /* whose trees break where __typeof__ is given a member */
#define TAKE(p) take_(&(p))
#else
#define TAKE(p) ((__typeof__(p))take_(&(p)))
#endif
static inline void *take_(void *pp)
{
    void *value, *none = NULL;
    memcpy(&value, pp, sizeof value);
    memcpy(pp, &none, sizeof none);
    return value;
}

/* The same for a descriptor: the variable holds -1 afterwards. */
static inline int take_fd(int *fd)
{
    int value = *fd;
    *fd = -1;
    return value;
}

static inline void freep(void *pp)
{
    free(take_(pp));
}

static inline void fclosep(FILE **f)
{
    if (*f)
        fclose(*f);
}

static inline void closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

#endif
