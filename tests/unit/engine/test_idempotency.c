#include "engine/idempotency.h"
#include "test.h"

#include <stdio.h>

static int expired;
static void on_expired(void *arg, const char *key)
{
    (void)arg, (void)key;
    expired++;
}

TEST("keys are found until they expire, oldest first")
{
    struct idempotency *m = idempotency_new();
    char key[32];
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "1/jobs/%d", i);
        idempotency_put(m, key, &(struct idempotency_entry){.subject = i, .expires_ms = 100 + i});
    }
    CHECK_INT(idempotency_find(m, "1/jobs/500")->subject, 500);
    CHECK(idempotency_find(m, "1/jobs/1000") == NULL);
    CHECK_INT(idempotency_expire(m, 599, 10000, on_expired, NULL), 500);
    CHECK_INT(expired, 500);
    CHECK(idempotency_find(m, "1/jobs/499") == NULL);
    CHECK(idempotency_find(m, "1/jobs/500") != NULL);
    CHECK_INT(idempotency_expire(m, 10000, 100, on_expired, NULL), 100);
    CHECK_INT(idempotency_count(m), 400);
    idempotency_free(m);
}

TEST("a step of the clock postpones the keys that were there, not those that came after it")
{
    struct idempotency *m = idempotency_new();
    int64_t day = IDEMPOTENCY_MS;
    idempotency_put(m, "over", &(struct idempotency_entry){.expires_ms = 900});
    idempotency_put(m, "there", &(struct idempotency_entry){.expires_ms = day + 500});
    idempotency_put(m, "later", &(struct idempotency_entry){.expires_ms = day + 5000});
    idempotency_postpone(m, 1000, 3000);
    CHECK_INT(idempotency_find(m, "over")->expires_ms, 900);
    CHECK_INT(idempotency_find(m, "there")->expires_ms, day + 3500);
    CHECK_INT(idempotency_find(m, "later")->expires_ms, day + 5000);
    idempotency_free(m);
}
