#include "net/sse.h"
#include "test.h"

static char got[4096];

static bool note(void *arg, const struct sse_event *e)
{
    (void)arg;
    size_t len = strlen(got);
    snprintf(got + len, sizeof got - len, "[%s|%s|%s]", e->id, e->event, e->data);
    return true;
}

/* Cuts the bytes into pieces of every size: the result must be the same. */
static void check_stream(const char *bytes, const char *wanted)
{
    size_t len = strlen(bytes);
    for (size_t piece = 1; piece <= len; piece++) {
        auto_sse_parser struct sse_parser *p = sse_parser_new(1000);
        got[0] = '\0';
        for (size_t at = 0; at < len; at += piece)
            CHECK_OK(sse_parse(p, bytes + at, at + piece < len ? piece : len - at, note, NULL,
                               &test_err));
        CHECK_TEXT(got, wanted);
    }
}

TEST("events are read whatever the pieces they come in")
{
    check_stream("id: 7\nevent: job\ndata: {}\n\n", "[7|job|{}]");
    check_stream("data: a\n\ndata:b\n\n", "[|message|a][|message|b]");
    check_stream("id: 1\ndata: a\n\ndata: b\n\n", "[1|message|a][1|message|b]");
    check_stream("data: one\ndata: two\ndata\ndata: \n\n", "[|message|one\ntwo\n\n]");
    check_stream("data: a\r\ndata: b\r\n\r\ndata: c\r\r", "[|message|a\nb][|message|c]");
    check_stream("\xEF\xBB\xBF"
                 "data: bom\n\n",
                 "[|message|bom]");
    check_stream(": comment\n\nevent: x\n\ndata: y\n\n", "[|message|y]");
    check_stream("data: not complete\n", "");
    check_stream("data:  two spaces\n\n", "[|message| two spaces]");
    check_stream("id\ndata: x\n\n", "[|message|x]");
    check_stream("foo: bar\nretry: 12\ndata: x\n\n", "[|message|x]");
}

TEST("what is written is read back")
{
    auto_text struct text t = {0};
    sse_write(&t, "42", "job", "a\nb\r\n\rc", 8);
    sse_write_comment(&t, "still here");
    sse_write(&t, NULL, NULL, "", 0);
    got[0] = '\0';
    auto_sse_parser struct sse_parser *p = sse_parser_new(1000);
    CHECK_OK(sse_parse(p, t.data, t.len, note, NULL, &test_err));
    CHECK_TEXT(got, "[42|job|a\nb\n\nc][42|message|]");
    CHECK_TEXT(sse_last_id(p), "42");
}

TEST("the id to resume from is that of the last whole event")
{
    auto_sse_parser struct sse_parser *p = sse_parser_new(1000);
    const char *bytes = "id: 5\ndata: x\n\nid: 6\ndata: half";
    CHECK_OK(sse_parse(p, bytes, strlen(bytes), note, NULL, &test_err));
    CHECK_TEXT(sse_last_id(p), "5");
    CHECK_INT(sse_retry_ms(p), -1);
    CHECK_OK(sse_parse(p, "\nretry: 2500\n\n", 14, note, NULL, &test_err));
    CHECK_TEXT(sse_last_id(p), "6");
    CHECK_INT(sse_retry_ms(p), 2500);
}

static bool want_no_more(void *arg, const struct sse_event *e)
{
    (void)e;
    ++*(int *)arg;
    return false;
}

TEST("reading stops when the caller wants no more")
{
    auto_sse_parser struct sse_parser *p = sse_parser_new(1000);
    const char *bytes = "data: x\n\ndata: y\n\n";
    int count = 0;
    CHECK_OK(sse_parse(p, bytes, strlen(bytes), want_no_more, &count, &test_err));
    CHECK_INT(count, 1);
}

TEST("an event without end is refused before it fills the memory")
{
    auto_sse_parser struct sse_parser *p = sse_parser_new(1000);
    char bytes[600];
    memset(bytes, 'x', sizeof bytes);
    CHECK_OK(sse_parse(p, bytes, sizeof bytes, note, NULL, &test_err));
    CHECK_FAILS(sse_parse(p, bytes, sizeof bytes, note, NULL, &test_err), ERR_TOO_LARGE, "1000");

    auto_sse_parser struct sse_parser *many = sse_parser_new(1000);
    int rc = 0;
    for (int i = 0; i < 1000 && rc == 0; i++)
        rc = sse_parse(many, "data: 0123456789\n", 17, note, NULL, &test_err);
    CHECK_INT(rc, -1);
}
