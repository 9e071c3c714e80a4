#include "curve.h"
#include "test.h"

static struct curve curve;

static int read_curve(const char *json)
{
    auto_json json_t *value = NULL;
    /* A curve is a value, not a document: wrapped for the parser. */
    char text[512];
    snprintf(text, sizeof text, "[%s]", json);
    ck_assert_int_eq(json_parse(text, strlen(text), &value, &test_err), 0);
    return curve_read(json_array_get(value, 0), 100, "load", &curve, &test_err);
}

#define AT(seconds) ((int)(curve_at(&curve, seconds) * 1000 + 0.5))

TEST("a number is the same for ever")
{
    CHECK_OK(read_curve("42"));
    CHECK_INT(AT(0), 42000);
    CHECK_INT(AT(1e9), 42000);
    curve_done(&curve);
}

TEST("between points a curve is straight, before and behind them it is flat")
{
    CHECK_OK(read_curve("[[10, 0], [20, 100], [40, 50]]"));
    CHECK_INT(AT(-5), 0);
    CHECK_INT(AT(10), 0);
    CHECK_INT(AT(15), 50000);
    CHECK_INT(AT(20), 100000);
    CHECK_INT(AT(30), 75000);
    CHECK_INT(AT(1000), 50000);
    curve_done(&curve);
}

TEST("a loop begins anew behind its last point, a step holds its value")
{
    CHECK_OK(
        read_curve("{\"points\": [[0, 10], [5, 20], [10, 30]], \"loop\": true, \"step\": true}"));
    CHECK_INT(AT(4.9), 10000);
    CHECK_INT(AT(5), 20000);
    CHECK_INT(AT(12), 10000);
    CHECK_INT(AT(106), 20000);
    curve_done(&curve);
}

TEST("a sine stays within bounds")
{
    CHECK_OK(read_curve("{\"sine\": {\"mean\": 80, \"amplitude\": 40, \"period\": 60}}"));
    CHECK_INT(AT(0), 80000);
    CHECK_INT(AT(15), 100000);
    CHECK_INT(AT(45), 40000);
    curve_done(&curve);
}

TEST("what is no curve is refused with the reason")
{
    CHECK_FAILS(read_curve("101"), ERR_INVALID, "not between 0 and 100");
    CHECK_FAILS(read_curve("\"much\""), ERR_INVALID, "neither a number");
    CHECK_FAILS(read_curve("[]"), ERR_INVALID, "1 to 1000 points");
    CHECK_FAILS(read_curve("[[1]]"), ERR_INVALID, "not [seconds, value]");
    CHECK_FAILS(read_curve("[[5, 1], [4, 1]]"), ERR_INVALID, "earlier");
    CHECK_FAILS(read_curve("[[0, 200]]"), ERR_INVALID, "not between");
    CHECK_FAILS(read_curve("{\"loop\": true}"), ERR_INVALID, "either points or sine");
    CHECK_FAILS(read_curve("{\"pionts\": []}"), ERR_INVALID, "pionts");
    CHECK_FAILS(read_curve("{\"sine\": {\"mean\": 1, \"amplitude\": 1, \"period\": 0}}"),
                ERR_INVALID, "period above 0");
}
