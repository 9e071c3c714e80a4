#include "base/mem.h"
#include "kube/base64.h"
#include "kube/path.h"
#include "kube/quantity.h"
#include "kube/timestamp.h"
#include "test.h"

static int64_t amount(const char *s, int64_t scale)
{
    int64_t value = -12345;
    ck_assert_msg(kube_quantity(s, strlen(s), scale, &value), "no amount: %s", s);
    return value;
}

TEST("amounts are read with every suffix, exactly")
{
    CHECK_INT(amount("16Gi", 1), INT64_C(16) << 30);
    CHECK_INT(amount("1.5Gi", 1), INT64_C(1536) << 20);
    CHECK_INT(amount("7Ei", 1), INT64_C(7) << 60);
    CHECK_INT(amount("500m", 1000), 500);
    CHECK_INT(amount("0.1", 1000), 100);
    CHECK_INT(amount("2", 1000), 2000);
    CHECK_INT(amount("156340n", 1000), 1); /* rounded up */
    CHECK_INT(amount("250u", 1000), 1);
    CHECK_INT(amount("1e3", 1), 1000);
    CHECK_INT(amount("1E3", 1), 1000);
    CHECK_INT(amount("12e-1", 1000), 1200);
    CHECK_INT(amount("1E", 1), INT64_C(1000000000000000000));
    CHECK_INT(amount("3k", 1), 3000);
    CHECK_INT(amount("4M", 1), 4000000);
    CHECK_INT(amount("5T", 1), INT64_C(5000000000000));
    CHECK_INT(amount("6P", 1), INT64_C(6000000000000000));
    CHECK_INT(amount("1024Ki", 1), 1 << 20);
    CHECK_INT(amount("+5", 1), 5);
    CHECK_INT(amount("-5", 1), -5);
    CHECK_INT(amount(".5", 1000), 500);
    CHECK_INT(amount("5.", 1), 5);
    CHECK_INT(amount("0", 1), 0);
    CHECK_INT(amount("00012", 1), 12);
    CHECK_INT(amount("100m", 1), 1); /* a tenth of a byte is a byte */
    CHECK_INT(amount("0.0000000000001", 1), 1);
    CHECK_INT(amount("1.000000000", 1), 1);
    CHECK_INT(amount("1.3333333333G", 1), 1333333334);
    CHECK_INT(amount("1.3333333333G", 1000), INT64_C(1333333333300));
    CHECK_INT(amount("1234567.5n", 1000), 2);
    CHECK_INT(amount("1.0000000000000000001Ei", 1), (INT64_C(1) << 60) + 1);
}

TEST("amounts past what we hold are the most we hold")
{
    CHECK_INT(amount("8Ei", 1), INT64_MAX);
    CHECK_INT(amount("9223372036854775807", 1), INT64_MAX);
    CHECK_INT(amount("9223372036854775807", 1000), INT64_MAX);
    CHECK_INT(amount("9223372036854775806", 1), INT64_MAX - 1);
    CHECK_INT(amount("99999999999999999999999999999999999999", 1), INT64_MAX);
    CHECK_INT(amount("1e40", 1), INT64_MAX);
    CHECK_INT(amount("1e99999999999999", 1), INT64_MAX);
    CHECK_INT(amount("0e99999999999999", 1), 0);
    CHECK_INT(amount("7e-99999999999999", 1), 1);
    CHECK_INT(amount("9999999999999999999.999999999Ei", 1000), INT64_MAX);
    CHECK_INT(amount("0.999999999Ei", 1), INT64_C(1152921503453925472)); /* rounded up */
}

TEST("what is no amount is refused")
{
    static const char *const bad[] = {"",      "Gi",   "1 Gi", "1gi", "1K",   "1e", "1e+", "1e3x",
                                      "1.2.3", "0x10", "-",    ".",   "1Gi ", "m",  "1KiB"};
    int64_t value;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        ck_assert_msg(!kube_quantity(bad[i], strlen(bad[i]), 1, &value), "taken: '%s'", bad[i]);
}

static int64_t time_of(const char *s)
{
    int64_t ms = -1;
    ck_assert_msg(kube_time(s, strlen(s), &ms), "no time: %s", s);
    return ms;
}

TEST("times are read with fractions and offsets, and written with six places")
{
    char buf[KUBE_TIME_SIZE];
    CHECK_INT(time_of("1970-01-01T00:00:00Z"), 0);
    CHECK_INT(time_of("2026-01-31T09:00:00Z"), INT64_C(1769850000000));
    CHECK_INT(time_of("2026-01-31T18:00:00+09:00"), INT64_C(1769850000000));
    CHECK_INT(time_of("2026-01-31T09:00:00.123456789Z"), INT64_C(1769850000123));
    CHECK_INT(time_of("2024-02-29T23:59:59.9Z"), INT64_C(1709251199900));
    CHECK_INT(time_of("1969-12-31T23:59:59Z"), -1000);
    CHECK_TEXT(kube_time_format(INT64_C(1769850000250), buf), "2026-01-31T09:00:00.250000Z");
    CHECK_TEXT(kube_time_format(-1, buf), "1969-12-31T23:59:59.999000Z");
    CHECK_INT(time_of(kube_time_format(INT64_C(1769850000250), buf)), INT64_C(1769850000250));
    static const char *const bad[] = {"",
                                      "2026-01-31",
                                      "2026-01-31T09:00:00",
                                      "2026-13-31T09:00:00Z",
                                      "2026-01-32T09:00:00Z",
                                      "2026-01-31 09:00:00Z",
                                      "2026-01-31T24:00:00Z",
                                      "2026-01-31T09:00:00.Z",
                                      "2026-01-31T09:00:00+9:00",
                                      "2026-01-31T09:00:00Zx",
                                      "-026-01-31T09:00:00Z"};
    int64_t ms;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        ck_assert_msg(!kube_time(bad[i], strlen(bad[i]), &ms), "taken: '%s'", bad[i]);
}

TEST("addresses are made of escaped parts")
{
    struct kube_resource_name jobs = {"batch", "v1", "jobs"}, pods = {"", "v1", "pods"};
    auto_text struct text t = {0};
    kube_path(&t, &jobs, "team a", "x/../y", "status");
    CHECK_TEXT(text_get(&t), "/apis/batch/v1/namespaces/team%20a/jobs/x%2F..%2Fy/status");
    text_clear(&t);
    kube_path(&t, &pods, NULL, NULL, NULL);
    kube_query(&t, "labelSelector", "a=b,!c");
    kube_query(&t, "fieldSelector", NULL);
    kube_query_int(&t, "limit", 500);
    CHECK_TEXT(text_get(&t), "/api/v1/pods?labelSelector=a%3Db%2C%21c&limit=500");
    text_clear(&t);
    kube_path(&t, &pods, "..", NULL, NULL);
    CHECK_TEXT(text_get(&t), "/api/v1/namespaces/%2E%2E/pods");
    CHECK(kube_name_is_valid("reeve-a1-7-1") && kube_name_is_valid("n1.example.com"));
    CHECK(!kube_name_is_valid("") && !kube_name_is_valid("A") && !kube_name_is_valid("-a") &&
          !kube_name_is_valid("a/b") && !kube_name_is_valid("a."));
}

TEST("base64 is read with line breaks in it, and nothing else is")
{
    size_t len;
    auto_free char *a = kube_base64_decode("aGVs\nbG8=", 9, &len);
    CHECK_TEXT(a, "hello");
    CHECK_INT(len, 5);
    auto_free char *none = kube_base64_decode("", 0, &len);
    CHECK(none && len == 0);
    CHECK(!kube_base64_decode("aGVsbG8", 7, &len));
    CHECK(!kube_base64_decode("aGV=bG8=", 8, &len));
    CHECK(!kube_base64_decode("aG*s", 4, &len));
    CHECK(!kube_base64_decode("a===", 4, &len));
}
