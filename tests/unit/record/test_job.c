#include "record/job.h"
#include "test.h"

TEST("an ended job only comes back by waiting again")
{
    for (int from = JOB_COMPLETED; from < JOB_STATES; from++)
        for (int to = 0; to < JOB_STATES; to++)
            CHECK_INT(job_state_may_become((enum job_state)from, (enum job_state)to),
                      to == JOB_QUEUED);
}

TEST("states and outcomes are found by the names they are shown under")
{
    for (int s = 0; s < JOB_STATES; s++)
        CHECK_INT(job_state_find(job_state_name((enum job_state)s)), s);
    for (int o = 0; o < OUTCOMES; o++)
        CHECK_INT(outcome_find(outcome_name((enum attempt_outcome)o)), o);
    CHECK_INT(job_state_find("queued"), JOB_QUEUED);
    CHECK_INT(job_state_find("Eaten"), -1);
}

TEST("an attempt's id depends on store, job and number")
{
    char a[ATTEMPT_ID_SIZE], b[ATTEMPT_ID_SIZE];
    attempt_id(a, "one", 1, 11);
    attempt_id(b, "one", 11, 1);
    CHECK_INT(strlen(a), 32);
    CHECK(strcmp(a, b) != 0);
    attempt_id(b, "two", 1, 11);
    CHECK(strcmp(a, b) != 0);
    attempt_id(b, "one", 1, 11);
    CHECK_TEXT(a, b);
}
