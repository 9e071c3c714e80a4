#include "base/digest.h"
#include "base/mem.h"
#include "base/text.h"
#include "test.h"
#include "tsdb/remote_write.h"

#include <snappy-c.h>

static int note(void *arg, const struct series *s)
{
    struct text *t = arg;
    for (size_t i = 0; i < s->label_count; i++)
        text_addf(t, "%s=%s,", s->labels[i].name, s->labels[i].value);
    for (size_t i = 0; i < s->sample_count; i++)
        text_addf(t, " %d:%g", (int)s->samples[i].t_ms, s->samples[i].value);
    text_add(t, ";");
    return 0;
}

/* Messages by hand: bytes as C strings, packed as one literal. */
static int decode_raw(const char *message, size_t len, struct text *t)
{
    size_t packed = snappy_max_compressed_length(len);
    auto_free char *body = mem_alloc(1, packed);
    CHECK_INT(snappy_compress(message, len, body, &packed), SNAPPY_OK);
    text_clear(t);
    return remote_write_decode(body, packed, note, t, &test_err);
}
#define RAW(bytes) decode_raw("" bytes, sizeof bytes - 1, &t)

static const struct label labels[] = {
    {"__name__", "DCGM_FI_DEV_GPU_UTIL"}, {"gpu", "0"}, {"user", "\uae40\ubbfc\uc218"}};
static const struct sample samples[] = {{1000, 97}, {2000, 0.5}, {3000, -1e300}};

TEST("what was encoded is decoded: labels, values, times")
{
    struct series series[] = {
        {labels, 3, samples, 3}, {labels, 1, samples, 1}, {labels, 2, NULL, 0}};
    void *body;
    size_t len;
    auto_text struct text t = {0};
    CHECK_OK(remote_write_encode(series, 3, &body, &len, &test_err));
    CHECK_OK(remote_write_decode(body, len, note, &t, &test_err));
    CHECK_TEXT(text_get(&t),
               "__name__=DCGM_FI_DEV_GPU_UTIL,gpu=0,user=\uae40\ubbfc\uc218, 1000:97 2000:0.5 "
               "3000:-1e+300;__name__=DCGM_FI_DEV_GPU_UTIL, 1000:97;"
               "__name__=DCGM_FI_DEV_GPU_UTIL,gpu=0,;");
    free(body);
    CHECK_OK(remote_write_encode(NULL, 0, &body, &len, &test_err));
    text_clear(&t);
    CHECK_OK(remote_write_decode(body, len, note, &t, &test_err));
    CHECK_TEXT(text_get(&t), "");
    free(body);
}

TEST("the message is the one that Prometheus sends, byte by byte")
{
    auto_text struct text t = {0};
    /* timeseries{labels{"__name__","up"} labels{"a","b"} samples{1.0, 5}} and metadata, field 3 */
    CHECK_OK(RAW("\x0a\x25\x0a\x0e\x0a\x08__name__\x12\x02up\x0a\x06\x0a\x01"
                 "a\x12\x01"
                 "b\x12\x0b\x09\x00\x00\x00\x00\x00\x00\xf0\x3f\x10\x05\x1a\x02\x08\x01"));
    CHECK_TEXT(text_get(&t), "__name__=up,a=b, 5:1;");
}

TEST("labels are put in order, and empty ones are none")
{
    auto_text struct text t = {0};
    struct label wild[] = {{"b", "2"}, {"c", ""}, {"__name__", "up"}, {"a", "1"}};
    struct series series = {wild, 4, samples, 1};
    void *body;
    size_t len;
    CHECK_OK(remote_write_encode(&series, 1, &body, &len, &test_err));
    CHECK_OK(remote_write_decode(body, len, note, &t, &test_err));
    CHECK_TEXT(text_get(&t), "__name__=up,a=1,b=2, 1000:97;");
    free(body);
}

/* One series with these two labels. */
static int decode_labels(const char *name, const char *value, const char *name2, const char *value2)
{
    struct label two[] = {{name, value}, {name2, value2}};
    struct series series = {two, 2, samples, 1};
    void *body;
    size_t len;
    auto_text struct text t = {0};
    CHECK_OK(remote_write_encode(&series, 1, &body, &len, NULL));
    int rc = remote_write_decode(body, len, note, &t, &test_err);
    free(body);
    return rc;
}

TEST("labels that no series has are refused")
{
    CHECK_FAILS(decode_labels("a", "1", "b", "2"), ERR_INVALID, "no label '__name__'");
    CHECK_FAILS(decode_labels("__name__", "", "b", "2"), ERR_INVALID, "no label '__name__'");
    CHECK_FAILS(decode_labels("__name__", "up", "__name__", "up"), ERR_INVALID, "twice");
    CHECK_FAILS(decode_labels("__name__", "up", "a-b", "x"), ERR_INVALID, "letters");
    CHECK_FAILS(decode_labels("__name__", "up", "9a", "x"), ERR_INVALID, "letters");
    CHECK_FAILS(decode_labels("__name__", "up", "", "x"), ERR_INVALID, "letters");
    CHECK_FAILS(decode_labels("__name__", "up", "a", "\xff"), ERR_INVALID, "not UTF-8");
    auto_free char *longer = mem_alloc(1, TSDB_LABEL_BYTES_MOST + 1);
    memset(longer, 'x', TSDB_LABEL_BYTES_MOST);
    CHECK_FAILS(decode_labels("__name__", "up", "a", longer), ERR_TOO_LARGE, "4096 bytes");
}

TEST("a body that is cut anywhere, or not what it says, is refused")
{
    struct series series[] = {{labels, 3, samples, 3}, {labels, 3, samples, 3}};
    void *body;
    size_t len;
    auto_text struct text t = {0};
    CHECK_OK(remote_write_encode(series, 2, &body, &len, &test_err));
    for (size_t cut = 0; cut < len; cut++)
        CHECK_FAILS(remote_write_decode(body, cut, note, &t, &test_err), ERR_INVALID, "");
    free(body);

    CHECK_FAILS(remote_write_decode("hello", 5, note, &t, &test_err), ERR_INVALID,
                "no snappy block");
    CHECK_FAILS(RAW("\x0a\x05\x0a"), ERR_INVALID,
                "no remote-write request");                               /* longer than it is */
    CHECK_FAILS(RAW("\x08\x05"), ERR_INVALID, "no remote-write request"); /* field 1 as a number */
    CHECK_FAILS(RAW("\x0b"), ERR_INVALID, "no remote-write request");     /* a group */
    CHECK_FAILS(RAW("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), ERR_INVALID,
                "no remote-write");
    CHECK_FAILS(RAW("\x0a\x02\x0a\x7f"), ERR_INVALID, "no remote-write request");
    /* A length near 2^64 must not wrap. */
    CHECK_FAILS(RAW("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), ERR_INVALID,
                "no remote-write");
}

TEST("a small body that unpacks to a huge message is refused before it is unpacked")
{
    auto_text struct text t = {0};
    auto_free char *zeros = mem_alloc(1, REMOTE_WRITE_BYTES_MOST + 1);
    CHECK_FAILS(decode_raw(zeros, REMOTE_WRITE_BYTES_MOST + 1, &t), ERR_TOO_LARGE,
                "16777216 bytes");
    CHECK_FAILS(remote_write_decode("\xff\xff\xff\xff\x0f", 5, note, &t, &test_err), ERR_TOO_LARGE,
                "bytes");
}

static int count(void *arg, const struct series *s)
{
    (void)s;
    return ++*(int *)arg == 3;
}

TEST("many samples, and many empty series, are held to their limits")
{
    enum { MANY = REMOTE_WRITE_SAMPLES_MOST + 1 };
    auto_text struct text t = {0};
    /* A million empty samples in one series take two bytes each. */
    auto_free char *message = mem_alloc(1, 2 * MANY + 32);
    char *p = message;
    memcpy(p, "\x0a\x92\x89\x7a\x0a\x0e\x0a\x08__name__\x12\x02up", 20);
    for (p += 20; p < message + 20 + 2 * MANY; p += 2)
        memcpy(p, "\x12\x00", 2);
    CHECK_FAILS(decode_raw(message, (size_t)(p - message), &t), ERR_TOO_LARGE, "too many samples");

    /* Eleven series of 100,000. */
    struct series series[11];
    struct sample *all = mem_new_array(struct sample, 100000);
    for (int i = 0; i < 11; i++)
        series[i] = (struct series){labels, 1, all, 100000};
    void *body;
    size_t len;
    CHECK_FAILS(remote_write_encode(series, 11, &body, &len, &test_err), ERR_TOO_LARGE,
                "1000000 samples");
    free(all);

    for (p = message; p < message + 2 * MANY; p += 2)
        memcpy(p, "\x0a\x00", 2);
    CHECK_FAILS(decode_raw(message, 2 * MANY, &t), ERR_INVALID, "no label '__name__'");
}

TEST("whoever takes the series can stop")
{
    struct series series[5];
    for (int i = 0; i < 5; i++)
        series[i] = (struct series){labels, 1, samples, 1};
    void *body;
    size_t len;
    int seen = 0;
    CHECK_OK(remote_write_encode(series, 5, &body, &len, &test_err));
    test_err = (struct err){0};
    CHECK(remote_write_decode(body, len, count, &seen, &test_err) < 0);
    CHECK_INT(seen, 3);
    CHECK_INT(test_err.code, ERR_NONE);
    free(body);
}

TEST("random changes to a good body are survived")
{
    struct series series[] = {{labels, 3, samples, 3}, {labels, 2, samples, 2}};
    void *body;
    size_t len;
    auto_text struct text t = {0};
    CHECK_OK(remote_write_encode(series, 2, &body, &len, &test_err));
    auto_free unsigned char *copy = mem_alloc(1, len);
    srand(4);
    for (int i = 0; i < 20000; i++) {
        memcpy(copy, body, len);
        for (int k = rand() % 4; k >= 0; k--)
            copy[(size_t)rand() % len] = (unsigned char)rand();
        text_clear(&t);
        remote_write_decode(copy, len, note, &t, &test_err);
    }
    free(body);
}
