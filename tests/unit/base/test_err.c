#include "test.h"

#include <errno.h>

TEST("a failure holds the whole road, outermost first")
{
    struct err e = {0};
    err_sys(&e, ENOENT, "could not open file '%s'", "/etc/limits");
    err_wrap(&e, "could not load limits");

    CHECK_TEXT(
        e.text,
        "could not load limits: could not open file '/etc/limits': No such file or directory");
    CHECK_INT(e.code, ERR_NOT_FOUND);
}

TEST("every code has a slug, a status and a title of its own kind")
{
    for (int c = 1; c < ERR_CODE_COUNT; c++) {
        CHECK(strlen(err_slug((enum err_code)c)) > 0);
        CHECK_INT(err_from_http(err_http((enum err_code)c)), c);
    }
    CHECK_TEXT(err_slug(ERR_NOT_FOUND), "not-found");
}

TEST("a sentence that is too long is cut, never overflows")
{
    char long_text[2000];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    struct err e = {0};
    err_set(&e, ERR_INVALID, "%s", long_text);
    err_wrap(&e, "%s", long_text);
    CHECK_INT(strlen(e.text), sizeof e.text - 1);
}

TEST("the field to blame outlives a wrapping, but not the next failure")
{
    struct err e = {0};
    err_set(&e, ERR_INVALID, "field 'gpus' is 99");
    CHECK_INT(err_blame(&e, "jobs[%d].gpus", 3), -1);
    err_wrap(&e, "could not submit");
    CHECK_TEXT(e.field, "jobs[3].gpus");
    err_set(&e, ERR_CONFLICT, "something else");
    CHECK_TEXT(e.field, "");
    CHECK_INT(err_blame(NULL, "x"), -1);
}
