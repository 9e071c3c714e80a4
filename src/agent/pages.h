/* What the agent serves over HTTP: /status, /metrics, /healthz; without a token, from the last
 * samples. */
#ifndef AGENT_PAGES_H
#define AGENT_PAGES_H

#include "agent/agent.h"

/* Listens; agent.ports then names the real port. */
int pages_start(struct agent *agent, struct err *e);

#endif
