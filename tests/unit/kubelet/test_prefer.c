#include "kubelet/prefer.h"

#include "base/mem.h"

#include "test.h"

/* Devices as their NUMA nodes, "!" behind those that have to be in; the answer as their places. */
static const char *choose(const char *nodes, size_t wanted)
{
    static char answer[64];
    struct prefer_device devices[16] = {0};
    size_t count = 0;
    for (const char *p = nodes; *p; p++) {
        if (*p == '!')
            devices[count - 1].must = true;
        else
            devices[count++].numa_node = *p == '-' ? -1 : *p - '0';
    }
    CHECK_OK(prefer_choose(devices, count, wanted, &test_err));
    char *at = answer;
    for (size_t i = 0; i < count; i++)
        if (devices[i].is_chosen)
            *at++ = (char)('a' + i);
    *at = '\0';
    return answer;
}

TEST("one device comes from the NUMA node that has fewest left")
{
    CHECK_TEXT(choose("000011", 1), "e");
    CHECK_TEXT(choose("00001", 1), "e");
    CHECK_TEXT(choose("0011", 1), "a");
}

TEST("several come from one node, the smallest that has enough")
{
    CHECK_TEXT(choose("00001111", 2), "ab");
    CHECK_TEXT(choose("0111222", 3), "bcd");
    CHECK_TEXT(choose("01112222", 4), "efgh");
    CHECK_TEXT(choose("0101", 2), "ac");
}

TEST("more than any node has come from as few nodes as possible")
{
    CHECK_TEXT(choose("0011122", 4), "acde");
    CHECK_TEXT(choose("012", 3), "abc");
}

TEST("those that have to be in draw the others to their node")
{
    CHECK_TEXT(choose("00001!111", 2), "ef");
    CHECK_TEXT(choose("0!000111", 2), "ab");
    CHECK_TEXT(choose("01!", 1), "b");
}

TEST("devices of which nothing is known are of one node, and nothing is nothing")
{
    CHECK_TEXT(choose("--00", 2), "ab");
    CHECK_TEXT(choose("", 0), "");
    CHECK_TEXT(choose("01", 0), "");
}

TEST("what cannot be chosen is said to be so")
{
    struct prefer_device devices[2] = {{.must = true}, {.must = true}};
    CHECK_FAILS(prefer_choose(devices, 2, 3, &test_err), ERR_INVALID, "3 of 2");
    CHECK_FAILS(prefer_choose(devices, 2, 1, &test_err), ERR_INVALID, "cannot be chosen");
}
