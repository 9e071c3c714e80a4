/* Runs every TEST that is linked into this program, in the order of the sources. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

struct err test_err;
static struct test_case *first, **last = &first;

void test_register(struct test_case *c)
{
    *last = c;
    last = &c->next;
}

int main(int argc, char **argv)
{
    Suite *suite = suite_create(argv[0]);
    TCase *group = tcase_create("all");
    tcase_set_timeout(group, 120);
    for (struct test_case *c = first; c; c = c->next)
        if (argc < 2 || strstr(c->name, argv[1]))
            tcase_add_test(group, c->test);
    suite_add_tcase(suite, group);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
