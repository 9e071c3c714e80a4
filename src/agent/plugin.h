/*
 * The agent's GPUs, offered to kubelet (kubelet/device_plugin.h): which there are, which are well,
 * and what a container gets with them.
 */
#ifndef AGENT_PLUGIN_H
#define AGENT_PLUGIN_H

#include "agent/agent.h"

/* NULL with --device-plugin off. */
int plugin_start(struct agent *agent, struct plugin **ret, struct err *e);
/* kubelet takes the GPUs off; pods that have some go on. NULL is fine. */
void plugin_stop(struct plugin *p);

/* There are new readings. NULL is fine. */
void plugin_feed(struct plugin *p, const struct gpu_report *report);

/* "off", "absent", "waiting", "yielding", "serving". */
const char *plugin_state_word(const struct plugin *p);

#endif
