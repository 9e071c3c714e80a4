#include "identity/guesses.h"

#include "test.h"

TEST("ten wrong guesses are free, then one in six seconds is")
{
    struct guesses *g = guesses_new();
    for (int i = 0; i < 10; i++) {
        CHECK_INT(guesses_wait_ms(g, "10.0.0.7:1", 5000), 0);
        guesses_wrong(g, "10.0.0.7:1", 5000);
    }
    CHECK_INT(guesses_wait_ms(g, "10.0.0.7:2", 5000), 6000);
    CHECK_INT(guesses_wait_ms(g, "10.0.0.7:2", 10999), 1);
    CHECK_INT(guesses_wait_ms(g, "10.0.0.7:2", 11000), 0);
    guesses_wrong(g, "10.0.0.7:3", 11000);
    CHECK_INT(guesses_wait_ms(g, "10.0.0.7:2", 11000), 6000);
    CHECK_INT(guesses_wait_ms(g, "10.0.0.7:2", 71000), 0);
    guesses_free(g);
}

static int64_t wait_after_many(const char *from, const char *other)
{
    struct guesses *g = guesses_new();
    for (int i = 0; i < 20; i++)
        guesses_wrong(g, from, 1000);
    int64_t wait = guesses_wait_ms(g, other, 1000);
    guesses_free(g);
    return wait;
}

TEST("a port is no other place, an address of the same IPv6 network neither; another network is")
{
    CHECK(wait_after_many("10.0.0.7:1", "10.0.0.7:65535") > 0);
    CHECK(wait_after_many("[2001:db8::1]:1", "[2001:db8::ffff:1]:2") > 0);
    CHECK(wait_after_many("unix", "unix") > 0);
    /* One in 1024 accounts is shared by chance, so not every time. */
    int shared = 0;
    for (int i = 0; i < 20; i++)
        shared += wait_after_many("[2001:db8::1]:1", "[2001:db8:0:1::1]:1") > 0;
    CHECK(shared < 5);
}
