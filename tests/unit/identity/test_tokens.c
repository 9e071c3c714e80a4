#include "base/mem.h"
#include "identity/tokens.h"
#include "test.h"

static bool finds(struct tokens *t, const char *token, int64_t now_ms, struct token_holder *ret)
{
    struct digest hash = token_hash(token);
    return tokens_find(t, &hash, now_ms, ret);
}

static void put(struct tokens *t, const char *token, enum token_kind kind, int64_t id,
                int64_t holder, int64_t expires_ms)
{
    struct digest hash = token_hash(token);
    tokens_put(
        t, &hash,
        &(struct token_holder){.kind = kind, .id = id, .holder = holder, .expires_ms = expires_ms});
}

TEST("a token that was made is found by its text, another one is not")
{
    struct tokens *t = tokens_new();
    struct digest hash;
    auto_free char *token = token_make(&hash);
    tokens_put(t, &hash, &(struct token_holder){.kind = TOKEN_API, .id = 7, .holder = 3});

    struct token_holder who;
    CHECK(finds(t, token, 1000, &who));
    CHECK_INT(who.id, 7);
    CHECK_INT(who.holder, 3);
    CHECK(!finds(t, "rv_00", 1000, &who));
    CHECK(!finds(t, "", 1000, &who));
    tokens_free(t);
}

TEST("a token has 256 bits and is never made twice")
{
    struct digest one, two;
    auto_free char *a = token_make(&one), *b = token_make(&two);
    CHECK_INT(strlen(a), 3 + 64);
    CHECK(strcmp(a, b) != 0);
    CHECK(!digest_equal(&one, &two));
}

static void note_expired(void *arg, const struct token_holder *holder)
{
    *(int64_t *)arg += holder->id;
}

TEST("sessions and links that have ended are forgotten, tokens are not; each kind is counted")
{
    struct tokens *t = tokens_new();
    int64_t ids = 0;
    put(t, "token", TOKEN_API, 1, 5, 100);
    put(t, "session", TOKEN_SESSION, 10, 5, 100);
    put(t, "link", TOKEN_LINK, 100, 5, 100);
    put(t, "later", TOKEN_SESSION, 1000, 5, 101);
    CHECK_INT(tokens_count(t, TOKEN_SESSION, 5), 2);
    CHECK_INT(tokens_count(t, TOKEN_SESSION, 6), 0);
    tokens_expire(t, 99, 10, note_expired, &ids);
    CHECK_INT(ids, 0);
    tokens_expire(t, 100, 10, note_expired, &ids);
    CHECK_INT(ids, 110);
    CHECK_INT(tokens_count(t, TOKEN_SESSION, 5), 1);
    CHECK_INT(tokens_count(t, TOKEN_API, 5), 1);
    tokens_free(t);
}

TEST("a code has 128 bits and is found by its text")
{
    struct digest hash;
    auto_free char *code = token_code_make(&hash);
    struct digest again = token_hash(code);
    CHECK_INT(strlen(code), 32);
    CHECK(digest_equal(&hash, &again));
}

TEST("a token is good until its time is over, and for ever without one")
{
    struct tokens *t = tokens_new();
    put(t, "short", TOKEN_API, 1, 1, 5000);
    put(t, "long", TOKEN_API, 2, 1, 0);

    struct token_holder who;
    CHECK(finds(t, "short", 4999, &who));
    CHECK(!finds(t, "short", 5000, &who));
    CHECK(finds(t, "long", INT64_MAX, &who));
    tokens_free(t);
}

TEST("removing a holder removes all of its tokens of that kind, and nobody else's")
{
    struct tokens *t = tokens_new();
    put(t, "a", TOKEN_API, 1, 5, 0);
    put(t, "b", TOKEN_API, 2, 5, 0);
    put(t, "c", TOKEN_API, 3, 6, 0);
    put(t, "d", TOKEN_NODE, 4, 5, 0);
    tokens_remove_holder(t, TOKEN_API, 5);

    struct token_holder who;
    CHECK(!finds(t, "a", 1, &who));
    CHECK(!finds(t, "b", 1, &who));
    CHECK(finds(t, "c", 1, &who));
    CHECK(finds(t, "d", 1, &who));

    struct digest hash = token_hash("c");
    tokens_remove(t, &hash);
    tokens_remove(t, &hash);
    CHECK(!finds(t, "c", 1, &who));
    tokens_free(t);
}

TEST("a token is found by its number, of its own kind only, also when its time is over")
{
    struct tokens *t = tokens_new();
    struct digest hash = token_hash("a"), found;
    struct token_holder holder;
    put(t, "a", TOKEN_API, 7, 3, 1);
    put(t, "b", TOKEN_NODE, 8, 4, 0);

    CHECK(tokens_find_id(t, TOKEN_API, 7, &found, &holder));
    CHECK(digest_equal(&found, &hash));
    CHECK_INT(holder.holder, 3);
    CHECK(!tokens_find_id(t, TOKEN_API, 8, &found, &holder));
    CHECK(!tokens_find_id(t, TOKEN_NODE, 7, &found, &holder));
    tokens_free(t);
}

static void count_postponed(void *arg, const struct digest *hash, const struct token_holder *holder)
{
    (void)hash;
    CHECK(holder->expires_ms > 200);
    ++*(int *)arg;
}

TEST("a clock that steps forward postpones what had not ended, and nothing else")
{
    struct tokens *t = tokens_new();
    struct token_holder who;
    put(t, "over", TOKEN_API, 1, 3, 100);
    put(t, "short", TOKEN_API, 2, 3, 300);
    put(t, "long", TOKEN_API, 3, 3, INT64_MAX - 10);
    put(t, "always", TOKEN_API, 4, 3, 0);
    int heard = 0;
    tokens_postpone(t, 200, 7200, count_postponed, &heard);
    CHECK_INT(heard, 2);

    CHECK(!finds(t, "over", 200, &who));
    CHECK(finds(t, "short", 7499, &who));
    CHECK(!finds(t, "short", 7500, &who));
    CHECK(finds(t, "long", 7500, &who));
    CHECK(finds(t, "always", 7500, &who));
    tokens_free(t);
}

TEST("a thousand tokens are all found, and putting one again changes its holder")
{
    struct tokens *t = tokens_new();
    char name[16];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "t%d", i);
        put(t, name, TOKEN_API, i + 1, i + 1, 0);
    }
    put(t, "t500", TOKEN_API, 501, 9999, 0);

    struct token_holder who;
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "t%d", i);
        CHECK(finds(t, name, 1, &who));
        CHECK_INT(who.holder, i == 500 ? 9999 : i + 1);
    }
    tokens_free(t);
}
