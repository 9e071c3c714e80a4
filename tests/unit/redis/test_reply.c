#include "base/text.h"
#include "redis/reply.h"

#include "test.h"

#define auto_reader __attribute__((cleanup(reader_freep)))
static void reader_freep(struct redis_reader **r)
{
    redis_reader_free(*r);
}

static struct redis_reply *read_all(const char *bytes)
{
    auto_reader struct redis_reader *r = redis_reader_new();
    struct redis_reply *reply = NULL;
    CHECK_OK(redis_reader_feed(r, bytes, strlen(bytes), &test_err));
    CHECK_OK(redis_reader_next(r, &reply, &test_err));
    return reply;
}

TEST("answers are read as what they are")
{
    auto_redis_reply struct redis_reply *r =
        read_all("*5\r\n:42\r\n$5\r\nhe\r\no\r\n$-1\r\n+OK\r\n*1\r\n$2\r\n17\r\n");
    CHECK_INT(r->type, REDIS_LIST);
    CHECK_INT(r->count, 5);
    CHECK_INT(redis_int(r, 0), 42);
    CHECK_TEXT(redis_text(r, 1), "he\r\no");
    CHECK_INT(redis_item(r, 2)->type, REDIS_NIL);
    CHECK_INT(redis_item(r, 3)->type, REDIS_STATUS);
    CHECK_INT(redis_int(redis_item(r, 4), 0), 17);
}

TEST("what is not there reads as nothing")
{
    auto_redis_reply struct redis_reply *r = read_all("*1\r\n:1\r\n");
    CHECK_TEXT(redis_text(r, 7), "");
    CHECK_INT(redis_int(r, 7), 0);
    CHECK_INT(redis_int(NULL, 0), 0);
    CHECK(!redis_is_error(NULL, "ERR"));
}

TEST("an error is known by its first word")
{
    auto_redis_reply struct redis_reply *r = read_all("-NOSCRIPT No matching script\r\n");
    CHECK(redis_is_error(r, "NOSCRIPT"));
    CHECK(!redis_is_error(r, "NO"));
}

TEST("an answer may come byte by byte, and several at once")
{
    auto_reader struct redis_reader *r = redis_reader_new();
    static const char bytes[] = "*2\r\n$3\r\nabc\r\n:7\r\n+PONG\r\n";
    int count = 0;
    for (const char *c = bytes; *c; c++) {
        auto_redis_reply struct redis_reply *reply = NULL;
        CHECK_OK(redis_reader_feed(r, c, 1, &test_err));
        CHECK_OK(redis_reader_next(r, &reply, &test_err));
        count += reply != NULL;
    }
    CHECK_INT(count, 2);
}

static void check_refused(const char *bytes)
{
    auto_reader struct redis_reader *r = redis_reader_new();
    auto_redis_reply struct redis_reply *reply = NULL;
    int rc = redis_reader_feed(r, bytes, strlen(bytes), &test_err);
    if (rc == 0)
        rc = redis_reader_next(r, &reply, &test_err);
    ck_assert_msg(rc < 0, "should be refused: %s", bytes);
    CHECK_INT(test_err.code, ERR_INVALID);
}

TEST("what is no Redis is refused, and so is one that says too much")
{
    check_refused("HTTP/1.1 400 Bad Request\r\n\r\n");
    check_refused("*2147483647\r\n");
    check_refused("*4294967297\r\n:1\r\n*1000000\r\n");
    check_refused("*200000\r\n");
    check_refused("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n");
}

TEST("a value that never ends is refused")
{
    auto_reader struct redis_reader *r = redis_reader_new();
    static char megabyte[1 << 20];
    int rc = redis_reader_feed(r, "$999999999\r\n", 12, &test_err);
    for (int i = 0; i < 64 && rc == 0; i++) {
        struct redis_reply *reply = NULL;
        rc = redis_reader_feed(r, megabyte, sizeof megabyte, &test_err);
        if (rc == 0)
            rc = redis_reader_next(r, &reply, &test_err);
    }
    CHECK(rc < 0);
}

TEST("a command may hold any bytes")
{
    auto_text struct text t = {0};
    redis_command_write(&t, (struct redis_arg[]){{"SET", 3}, {"k\r\n", 3}, {"\0%s", 3}}, 3);
    static const char expected[] = "*3\r\n$3\r\nSET\r\n$3\r\nk\r\n\r\n$3\r\n\0%s\r\n";
    CHECK_INT(t.len, sizeof expected - 1);
    CHECK(memcmp(t.data, expected, t.len) == 0);
}
