/* The files of an attempt: what is taken is written again and taken again. */
#include "base/mem.h"
#include "node/attempt_folder.h"
#include "node/attempt_record.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse_spec(const char *p, size_t len)
{
    auto_attempt_spec struct attempt_spec s, again;
    struct err e = {0};
    attempt_spec_init(&s);
    attempt_spec_init(&again);
    if (attempt_spec_parse(&s, p, len, &e) < 0) {
        assert(e.text[0]);
        return;
    }
    auto_text struct text t = {0};
    attempt_spec_write(&s, &t);
    assert(attempt_spec_parse(&again, t.data, t.len, &e) == 0);
    assert(list_count(s.command) == list_count(again.command));
}

static void parse_records(const char *p, size_t len)
{
    auto_text struct text t = {0};
    struct attempt_started started;
    if (attempt_started_parse(p, len, &started)) {
        attempt_started_text(&started, &t);
        attempt_started_done(&started);
        assert(attempt_started_parse(t.data, t.len, &started));
        attempt_started_done(&started);
    }
    struct attempt_exit x;
    text_clear(&t);
    if (attempt_exit_parse(p, len, &x)) {
        attempt_exit_text(&x, &t);
        assert(attempt_exit_parse(t.data, t.len, &x));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_free char *exact = mem_alloc(size + 1, 1);
    memcpy(exact, data, size);
    parse_spec(exact, size);
    parse_records(exact, size);
    return 0;
}
