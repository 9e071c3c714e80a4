/*
 * What the control plane says on the command stream, one JSON object a line
 * (docs/agent-protocol.md). Pure: everything is checked for form here, nothing for sense.
 */
#ifndef AGENT_COMMAND_H
#define AGENT_COMMAND_H

#include "agent/gate.h"
#include "base/json.h"
#include "base/text.h"

enum command_type {
    COMMAND_OTHER, /* a word of a newer control plane: passed over */
    COMMAND_WELCOME,
    COMMAND_GATE,
    COMMAND_START,
    COMMAND_CANCEL,
    COMMAND_FORGET,
    COMMAND_END,
    COMMAND_CHECK, /* of an attempt that runs, or is to run, as a pod here */
    COMMAND_METER,
};

enum {
    COMMAND_LINE_MOST = 4 << 20,
    COMMAND_DEVICES_MOST = 64,
};

/* Texts are borrowed from the tree; absent ones are "" and absent numbers 0. */
struct command {
    enum command_type type;
    json_t *tree; /* owned */
    int64_t epoch;

    /* welcome */
    int64_t server_time_ms, node_id, sample_ms;
    const char *site;
    struct gate_limits gate; /* also gate; the usual ones where it says nothing */

    /* all others */
    const char *attempt; /* 32 lower-case hex digits */
    int64_t job, n;
    const char *why;

    int64_t ago_ms; /* meter: since it began */

    /* start; check and meter have the devices, check the memory */
    const char *boot_id, *data_id, *name, *job_name, *user;
    const char *devices[COMMAND_DEVICES_MOST];
    size_t device_count;
    int64_t gpu_memory_mib, cpu_milli, memory_mib, time_limit_ms;
    const json_t *spec;
};

/* ERR_INVALID: not such a line; the rest of the stream is still good. */
int command_parse(const char *line, size_t len, struct command *ret, struct err *e);
void command_done(struct command *c);

#define auto_command AUTO(command_done)

#endif
