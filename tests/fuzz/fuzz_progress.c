/* The first line is a job's pattern, the rest its output. */
#include "base/mem.h"
#include "node/progress.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool found, const struct progress *p)
{
    assert(!found || (p->done >= 0 && p->done <= p->total && p->total > 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = (const char *)data, *newline = size ? memchr(p, '\n', size) : NULL;
    size_t first = newline ? (size_t)(newline - p) : size;
    auto_free char *pattern = mem_strndup(p, first);
    auto_free char *rest = mem_dup(p + first, size - first);
    struct progress got = {0};
    struct err e = {0};
    check(progress_from_log(rest, size - first, NULL, PROGRESS_NONE, &got), &got);
    check(progress_from_file(rest, size - first, &got), &got);
    if (progress_check_pattern(pattern, &e) == 0)
        check(progress_from_log(rest, size - first, pattern, PROGRESS_NONE, &got), &got);
    else
        assert(e.text[0]);
    return 0;
}
