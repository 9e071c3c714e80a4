/* nodes, devices, node lost, node retire. */
#include "base/mem.h"
#include "cli/client.h"
#include "cli/json_view.h"
#include "cli/print.h"

static const struct column node_columns[] = {
    {"NAME", "name", CELL_TEXT, 0},
    {"STATE", "state", CELL_STATE, 0},
    {"SINCE", "since", CELL_AGE, COLUMN_RIGHT},
    {"GPUS", "devices", CELL_COUNT, COLUMN_RIGHT},
    {"CPU", "cpu", CELL_TEXT, COLUMN_RIGHT},
    {"MEMORY", "memory", CELL_MIB, COLUMN_RIGHT},
    {"ISOLATION", "isolation", CELL_TEXT, 0},
    {"CLUSTER", "cluster", CELL_TEXT, COLUMN_WIDE},
    {"REFUSES", "refuses", CELL_TEXT, COLUMN_WIDE},
    {"SKEW", "skew_ms", CELL_TEXT, COLUMN_RIGHT | COLUMN_WIDE},
    {"HEARD", "last_report_at", CELL_AGE, COLUMN_RIGHT},
    {"VERSION", "version", CELL_TEXT, 0},
};

static const struct view nodes_view = {
    .columns = node_columns,
    .count = COUNT_OF(node_columns),
    .name_key = "name",
    .empty = "no nodes; 'reeve enrol' makes a token for a new one",
};

static const struct column device_columns[] = {
    {"ID", "id", CELL_TEXT, COLUMN_RIGHT},
    {"NODE", "node", CELL_TEXT, 0},
    {"GPU", "index", CELL_TEXT, COLUMN_RIGHT},
    {"MODEL", "model", CELL_TEXT, 0},
    {"UUID", "uuid", CELL_TEXT, COLUMN_WIDE},
    {"STATE", "state", CELL_STATE, 0},
    {"UTIL", "gpu_utilization", CELL_PERCENT, COLUMN_RIGHT},
    {"USED", "memory_used_mib", CELL_MIB, COLUMN_RIGHT},
    {"MEMORY", "memory_total_mib", CELL_MIB, COLUMN_RIGHT},
    {"POWER", "power_watts", CELL_WATTS, COLUMN_RIGHT},
    {"TEMP", "temperature_celsius", CELL_TEXT, COLUMN_RIGHT},
    {"HEALTH", "health", CELL_TEXT, COLUMN_WIDE},
    {"JOB", "job.id", CELL_TEXT, COLUMN_RIGHT},
    {"USER", "job.user", CELL_TEXT, 0},
};

static const struct view devices_view = {
    .columns = device_columns,
    .count = COUNT_OF(device_columns),
    .name_key = "id",
    .empty = "no GPUs",
};

struct fleet_options {
    int64_t limit;
};

static const struct option_spec fleet_specs[] = {
    {"limit", 'n', OPTION_INT, offsetof(struct fleet_options, limit), "N", "1000", 1, 1000000,
     "at most so many", .flag_only = true},
};

static int run_nodes(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    if (argc)
        return err_set(e, ERR_INVALID, "'%.64s' is too much", argv[0]);
    return view_show(c, &nodes_view, "/api/v1/nodes", ((struct fleet_options *)own)->limit, e);
}

static int run_devices(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    if (argc)
        return err_set(e, ERR_INVALID, "'%.64s' is too much", argv[0]);
    return view_show(c, &devices_view, "/api/v1/devices", ((struct fleet_options *)own)->limit, e);
}

const struct command cmd_nodes = {
    .name = "nodes",
    .summary = "list machines",
    .operands = "",
    .specs = fleet_specs,
    .count = COUNT_OF(fleet_specs),
    .size = sizeof(struct fleet_options),
    .flags = COMMAND_CONNECTS | COMMAND_WATCHES,
    .run = run_nodes,
};

const struct command cmd_devices = {
    .name = "devices",
    .summary = "list GPUs and who has them",
    .operands = "",
    .specs = fleet_specs,
    .count = COUNT_OF(fleet_specs),
    .size = sizeof(struct fleet_options),
    .flags = COMMAND_CONNECTS | COMMAND_WATCHES,
    .run = run_devices,
};

static int one_node(struct cli *c, int argc, char **argv, enum http_method method,
                    const char *suffix, const char *done, struct err *e)
{
    struct client *client;
    auto_text struct text path = {0};
    if (argc != 1)
        return err_set(e, ERR_INVALID, "name one node; 'reeve nodes' shows them");
    text_add(&path, "/api/v1/nodes/");
    url_add(&path, argv[0]);
    text_add(&path, suffix);
    if (cli_client(c, &client, e) < 0 || client_send(client, method, path.data, NULL, NULL, e) < 0)
        return -1;
    say(c, "node '%s' %s", argv[0], done);
    return 0;
}

static int run_node_lost(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    (void)own;
    return one_node(c, argc, argv, HTTP_POST, "/lost", "is lost; its jobs are tried elsewhere", e);
}

static int run_node_retire(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    (void)own;
    return one_node(c, argc, argv, HTTP_DELETE, "", "is retired", e);
}

const struct command cmd_node_lost = {
    .name = "node lost",
    .summary = "say that a silent machine is over, so that its jobs start elsewhere",
    .operands = "NAME",
    .flags = COMMAND_CONNECTS,
    .operand = OPERAND_NODE,
    .run = run_node_lost,
    .text = ".Pp\nSilence is not death: a machine that is not heard may still run its jobs,\n"
            "and a job started twice can do harm.\nSay this only when you know that the machine is "
            "off.\n",
};

const struct command cmd_node_retire = {
    .name = "node retire",
    .summary = "remove a machine for good",
    .operands = "NAME",
    .flags = COMMAND_CONNECTS,
    .operand = OPERAND_NODE,
    .run = run_node_retire,
};
