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
