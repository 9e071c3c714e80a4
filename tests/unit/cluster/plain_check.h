/* test.h for a program that is no test: what is not so ends it. Included before anything else. */
#ifndef UNIT_TEST_H
#define UNIT_TEST_H

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern struct err test_err;

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s:%d: not so: %s: %s\n", __FILE__, __LINE__, #what, test_err.text);  \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)
#define CHECK_OK(call)           CHECK((call) == 0)
#define CHECK_INT(a, b)          CHECK((a) == (b))
#define ck_assert_msg(what, ...) CHECK(what)

#endif
