#include "redis/url.h"

#include "test.h"

#define auto_url __attribute__((cleanup(redis_url_done)))

static void check_written(const char *text, const char *written)
{
    auto_url struct redis_url u = {0};
    auto_text struct text t = {0};
    CHECK_OK(redis_url_parse(text, &u, &test_err));
    redis_url_write(&u, &t);
    CHECK_TEXT(text_get(&t), written);
}

TEST("an address says host, port and database, and what is missing is as usual")
{
    check_written("redis://localhost", "redis://localhost:6379");
    check_written("redis://localhost/", "redis://localhost:6379");
    check_written("redis://10.0.0.7:7000/3", "redis://10.0.0.7:7000/3");
    check_written("rediss://redis.example.org", "rediss://redis.example.org:6379");
    check_written("redis://[::1]:6380/1", "redis://[::1]:6380/1");
    check_written("redis://[::1]", "redis://[::1]:6379");
    check_written("unix:/run/redis.sock", "unix:/run/redis.sock");
    check_written("unix:///run/redis.sock?db=2", "unix:/run/redis.sock?db=2");
}

TEST("user and password are read, and never written")
{
    auto_url struct redis_url u = {0};
    CHECK_OK(redis_url_parse("redis://re%40eve:s%3Aec%2Fret@h:1/0", &u, &test_err));
    CHECK_TEXT(u.user, "re@eve");
    CHECK_TEXT(u.password, "s:ec/ret");
    check_written("redis://reeve:secret@h:1", "redis://h:1");
    check_written("redis://:p@ss@h:1", "redis://h:1");
    check_written("unix://reeve:secret@/run/r.sock", "unix:/run/r.sock");
}

TEST("a password alone has no user")
{
    auto_url struct redis_url u = {0};
    CHECK_OK(redis_url_parse("redis://:secret@h", &u, &test_err));
    CHECK(!u.user);
    CHECK_TEXT(u.password, "secret");
}

TEST("what is no address is refused with the reason, which never has the password in it")
{
    static const char *const wrong[] = {
        "",
        "localhost:6379",
        "http://h",
        "redis://",
        "redis://:6379",
        "redis://h:0",
        "redis://h:99999",
        "redis://h:x",
        "redis://h/x",
        "redis://h/-1",
        "redis://h/0/1",
        "redis://h?db=1",
        "redis://u:SECRET%@h",
        "redis://u:SECRET%0@h",
        "redis://u:SECRET%00@h",
        "redis://u:SECRET@",
        "redis://1:2:3",
        "unix:relative",
        "unix:",
        "unix:///p?x=1",
        "unix:///p?db=x",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct redis_url u = {0};
        CHECK_FAILS(redis_url_parse(wrong[i], &u, &test_err), ERR_INVALID, "Redis");
        CHECK(!strstr(test_err.text, "SECRET"));
    }
}
