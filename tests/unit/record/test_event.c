#include "record/event.h"
#include "test.h"

TEST("an event's body comes back as it was written")
{
    struct event ev = {.kind = EVENT_ID_ATTEMPT_DECIDED, .subject = 7};
    ev.ATTEMPT_DECIDED.n = 2;
    ev.ATTEMPT_DECIDED.node = 1;
    ev.ATTEMPT_DECIDED.devices.count = 2;
    ev.ATTEMPT_DECIDED.devices.at[0] = 3;
    ev.ATTEMPT_DECIDED.devices.at[1] = 4;
    auto_text struct text t = {0};
    event_write_body(&ev, &t);
    CHECK_TEXT(t.data, "{\"n\":2,\"node\":1,\"devices\":[3,4]}");

    struct event back = {.kind = ev.kind};
    CHECK_OK(event_read_body(&back, t.data, t.len, &test_err));
    CHECK_INT(back.ATTEMPT_DECIDED.devices.count, 2);
    CHECK_INT(back.ATTEMPT_DECIDED.devices.at[1], 4);
    CHECK_INT(back.ATTEMPT_DECIDED.node, 1);
}

TEST("the computed places of fields are those of the compiler")
{
    struct event ev = {.kind = EVENT_ID_DEVICE_SEEN};
    strcpy(ev.DEVICE_SEEN.uuid, "GPU-1");
    strcpy(ev.DEVICE_SEEN.model, "RTX 3080");
    ev.DEVICE_SEEN.memory_mib = 10240;
    auto_text struct text t = {0};
    event_write_body(&ev, &t);
    CHECK_TEXT(t.data, "{\"uuid\":\"GPU-1\",\"model\":\"RTX 3080\",\"memory_mib\":10240}");

    struct event end = {.kind = EVENT_ID_ATTEMPT_ENDED};
    end.ATTEMPT_ENDED.cost_micros = 5;
    strcpy(end.ATTEMPT_ENDED.why, "x");
    text_clear(&t);
    event_write_body(&end, &t);
    CHECK_TEXT(t.data, "{\"cost_micros\":5,\"why\":\"x\"}");
}

TEST("a body with a wrong field is refused, one with an unknown field is read")
{
    struct event ev = {.kind = EVENT_ID_NODE_ENROLLED};
    CHECK_OK(event_read_body(&ev, "{\"name\":\"a\",\"later\":1}", 22, &test_err));
    CHECK_TEXT(ev.NODE_ENROLLED.name, "a");
    CHECK_FAILS(event_read_body(&ev, "{\"name\":1}", 10, &test_err), ERR_INVALID,
                "'name' is wrong");
    CHECK_FAILS(event_read_body(&ev, "[]", 2, &test_err), ERR_INVALID, "not an object");
}

TEST("every kind has a name of its own that finds it again")
{
    for (int k = 1; k < EVENT_KINDS; k++)
        CHECK_INT(event_find(event_name((enum event_kind)k)), k);
    CHECK_INT(event_find("job.eaten"), EVENT_ID_NONE);
}

TEST("a long text is cut between characters")
{
    char long_text[600], to[EVENT_TEXT];
    memset(long_text, 'x', 254);
    strcpy(long_text + 254, "한글");
    event_set_text(to, long_text);
    CHECK_INT(strlen(to), 254);
}
