/*
 * A few words over libcheck, so that a test reads as a sentence:
 *
 *     TEST("a late job waits") { CHECK_INT(queue_length(q), 1); }
 *
 * Each file links with tests/unit/main.c, which runs every TEST of the program. Each test runs in a
 * process of its own, except under sanitizers (CK_FORK=no): none may rely on it.
 */
#ifndef UNIT_TEST_H
#define UNIT_TEST_H

#include <check.h>

struct test_case {
    const char *name;
    const TTest *test;
    struct test_case *next;
};
void test_register(struct test_case *c);

#define TEST_JOIN_(a, b)     a##b
#define TEST_JOIN(a, b)      TEST_JOIN_(a, b)
#define TEST(sentence)       TEST_AS(sentence, __COUNTER__)
#define TEST_AS(sentence, n) TEST_AS_(sentence, n)
#define TEST_AS_(sentence, n)                                                                      \
    static void test_fn_##n(int _i);                                                               \
    static const TTest test_t_##n = {sentence, test_fn_##n, __FILE__, __LINE__};                   \
    static struct test_case test_case_##n = {sentence, &test_t_##n, 0};                            \
    __attribute__((constructor)) static void test_reg_##n(void)                                    \
    {                                                                                              \
        test_register(&test_case_##n);                                                             \
    }                                                                                              \
    static void test_fn_##n(int _i __attribute__((unused)))

#define CHECK(what)      ck_assert_msg(what, "not so: %s", #what)
#define CHECK_INT(a, b)  ck_assert_int_eq(a, b)
#define CHECK_TEXT(a, b) ck_assert_pstr_eq(a, b)
#define CHECK_OK(call)                                                                             \
    do {                                                                                           \
        int check_rc_ = (call);                                                                    \
        ck_assert_msg(check_rc_ == 0, "failed: %s: %s", #call, test_err.text);                     \
    } while (0)
/* The call fails with this code and its sentence holds WORDS. Both use &test_err as the error. */
#define CHECK_FAILS(call, err_code, words)                                                         \
    do {                                                                                           \
        test_err = (struct err){0};                                                                \
        ck_assert_msg((call) < 0, "should fail: %s", #call);                                       \
        ck_assert_msg(test_err.code == (err_code), "other code %d: %s", (int)test_err.code,        \
                      test_err.text);                                                              \
        ck_assert_msg(strstr(test_err.text, words), "'%s' is not in: %s", words, test_err.text);   \
    } while (0)

#include "base/err.h"
#include <string.h>
extern struct err test_err;

#endif
