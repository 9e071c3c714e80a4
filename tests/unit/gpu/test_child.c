#include "gpu/child.h"
#include "test.h"

static struct child_output said;

#define RUN(timeout_ms, ...)                                                                       \
    child_run((const char *const[]){__VA_ARGS__, NULL}, timeout_ms, NULL, &said, &test_err)

TEST("what a program says on both ways and how it ends is kept")
{
    CHECK_OK(RUN(5000, "sh", "-c", "echo out; echo err >&2; exit 9"));
    CHECK_TEXT(text_get(&said.out), "out\n");
    CHECK_TEXT(text_get(&said.err), "err\n");
    CHECK_INT(said.status, 9);
    CHECK_OK(RUN(5000, "sh", "-c", "kill -TERM $$"));
    CHECK_INT(said.status, 128 + 15);
    CHECK_TEXT(text_get(&said.out), "");
    child_output_done(&said);
}

TEST("a program that is not there, hangs or babbles is an error")
{
    CHECK_FAILS(RUN(5000, "/nowhere/nvidia-smi"), ERR_NOT_FOUND, "could not run");
    CHECK_FAILS(RUN(100, "sleep", "10"), ERR_TIMEOUT, "took too long");
    CHECK_FAILS(RUN(100, "sh", "-c", "exec >&- 2>&-; sleep 10"), ERR_TIMEOUT, "does not end");
    CHECK_FAILS(RUN(20000, "sh", "-c", "yes"), ERR_TOO_LARGE, "too much");
    child_output_done(&said);
}
