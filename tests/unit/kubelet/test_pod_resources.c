#include "kubelet/pod_resources.h"

#include "test.h"

/* As kubelet writes it: pod team-a/trainer, container main, two devices of one resource; a pod
 * without any; fields that we do not know in between. */
static const uint8_t list[] = "\x0a\x3b"
                              "\x0a\x07trainer"
                              "\x12\x06team-a"
                              "\x1a\x28"
                              "\x0a\x04main"
                              "\x12\x1b"
                              "\x0a\x0envidia.com/gpu"
                              "\x12\x05GPU-a"
                              "\x12\x02"
                              "GB"
                              "\x18\x01"
                              "\x2a\x01x"
                              "\x0a\x07"
                              "\x0a\x05other";

TEST("kubelet's list tells which container holds which device")
{
    struct pod_holdings h = {0};
    CHECK_OK(pod_holdings_read(list, sizeof list - 1, &h, &test_err));
    CHECK_INT(h.count, 2);
    const struct pod_holding *a = pod_holdings_find(&h, "GPU-a");
    CHECK(a);
    CHECK_TEXT(a->resource, "nvidia.com/gpu");
    CHECK_TEXT(a->namespace, "team-a");
    CHECK_TEXT(a->pod, "trainer");
    CHECK_TEXT(a->container, "main");
    CHECK(pod_holdings_find(&h, "GB"));
    CHECK(!pod_holdings_find(&h, "GPU-"));
    CHECK(!pod_holdings_find(&h, "GPU-c"));
    pod_holdings_done(&h);
    CHECK_INT(h.count, 0);
}

TEST("a shared device's ids are that device's")
{
    struct pod_holding items[] = {{.device = "GPU-abc::3"}, {.device = "GPU-abcd"}};
    const struct pod_holdings h = {.items = items, .count = 2};
    CHECK(pod_holdings_find(&h, "GPU-abc") == &items[0]);
    CHECK(pod_holdings_find(&h, "GPU-abcd") == &items[1]);
    CHECK(!pod_holdings_find(&h, "GPU-ab"));
}

TEST("a list that is cut, or not one, is refused")
{
    struct pod_holdings h = {0};
    CHECK_FAILS(pod_holdings_read(list, sizeof list - 3, &h, &test_err), ERR_INVALID,
                "no such message");
    CHECK_FAILS(pod_holdings_read((const uint8_t *)"\xff\xff", 2, &h, &test_err), ERR_INVALID,
                "list of pods");
    CHECK_OK(pod_holdings_read(NULL, 0, &h, &test_err));
    CHECK_INT(h.count, 0);
    pod_holdings_done(&h);
}

TEST("a list made to take much memory is refused, not unpacked")
{
    auto_text struct text many = {0};
    struct pod_holdings h = {0};
    for (int i = 0; i < 1000000; i++)
        text_add_bytes(&many, "\x0a\0", 2);
    CHECK_FAILS(pod_holdings_read((const uint8_t *)many.data, many.len, &h, &test_err), ERR_INVALID,
                "too large");
}

TEST("the devices that kubelet could give away are counted by resource")
{
    static const uint8_t bytes[] = "\x0a\x0d"
                                   "\x0a\x05"
                                   "a/gpu"
                                   "\x12\x01x\x12\x01y"
                                   "\x0a\x0a"
                                   "\x0a\x05"
                                   "b/gpu"
                                   "\x12\x01z";
    CHECK_INT(pod_allocatable_read(bytes, sizeof bytes - 1, "a/gpu", &test_err), 2);
    CHECK_INT(pod_allocatable_read(bytes, sizeof bytes - 1, "b/gpu", &test_err), 1);
    CHECK_INT(pod_allocatable_read(bytes, sizeof bytes - 1, "c/gpu", &test_err), 0);
    CHECK_INT(pod_allocatable_read((const uint8_t *)"x", 1, "c/gpu", &test_err), -1);
}
