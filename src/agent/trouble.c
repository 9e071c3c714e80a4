#include "agent/trouble.h"

#include "agent/after.h"
#include "agent/agent.h"
#include "agent/link.h"
#include "base/mem.h"

#define LEAST_MS 500
#define MOST_MS  60000

static void tell(struct agent *agent)
{
    agent->tell_host = true;
    link_wake(agent->link);
}

static void on_time(void *arg)
{
    struct agent *agent = arg;
    agent->trouble = NULL;
    tell(agent);
}

void trouble_note(struct agent *agent)
{
    int64_t ms = LEAST_MS << (agent->troubles < 8 ? agent->troubles : 8);
    agent->troubles++;
    after_cancel(agent->trouble);
    agent->trouble = after_start(agent->loop, ms < MOST_MS ? ms : MOST_MS, on_time, agent);
    tell(agent);
}

void trouble_over(struct agent *agent)
{
    agent->troubles = 0;
    if (!agent->trouble)
        return;
    after_cancel(TAKE(agent->trouble));
    tell(agent);
}

void trouble_stop(struct agent *agent)
{
    after_cancel(TAKE(agent->trouble));
}
