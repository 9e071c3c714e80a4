#include "cli/command.h"

#include "base/mem.h"

/* Each is defined beside what it does. */
extern const struct command cmd_up, cmd_submit, cmd_list, cmd_show, cmd_logs, cmd_cancel, cmd_retry,
    cmd_delete, cmd_hold, cmd_release, cmd_queue, cmd_top, cmd_nodes, cmd_node_lost,
    cmd_node_retire, cmd_devices, cmd_status, cmd_user_add, cmd_user_list, cmd_user_show,
    cmd_user_set, cmd_user_disable, cmd_user_enable, cmd_token_create, cmd_token_list,
    cmd_token_revoke, cmd_token_link, cmd_enrol, cmd_whoami, cmd_ledger_list, cmd_ledger_verify,
    cmd_ledger_replay, cmd_doctor, cmd_version, cmd_help, cmd_completion, cmd_complete, cmd_man;

/* In the order in which the help shows them. */
const struct command *const commands[] = {
    &cmd_up,          &cmd_submit,       &cmd_list,          &cmd_show,
    &cmd_logs,        &cmd_cancel,       &cmd_retry,         &cmd_delete,
    &cmd_hold,        &cmd_release,      &cmd_queue,         &cmd_top,
    &cmd_status,      &cmd_nodes,        &cmd_devices,       &cmd_node_lost,
    &cmd_node_retire, &cmd_user_add,     &cmd_user_list,     &cmd_user_show,
    &cmd_user_set,    &cmd_user_disable, &cmd_user_enable,   &cmd_token_create,
    &cmd_token_list,  &cmd_token_revoke, &cmd_token_link,    &cmd_enrol,
    &cmd_whoami,      &cmd_ledger_list,  &cmd_ledger_verify, &cmd_ledger_replay,
    &cmd_doctor,      &cmd_version,      &cmd_help,          &cmd_completion,
    &cmd_complete,    &cmd_man,
};
const size_t command_count = COUNT_OF(commands);

const struct command *command_find(const char *first, const char *second, int *ret_words)
{
    char two[64];
    snprintf(two, sizeof two, "%s %s", first, second ? second : "");
    for (size_t i = 0; i < command_count; i++) {
        const char *name = commands[i]->name;
        if (strcmp(name, first) == 0 || (second && strcmp(name, two) == 0)) {
            *ret_words = strchr(name, ' ') ? 2 : 1;
            return commands[i];
        }
    }
    return NULL;
}

char *command_group(const struct command *cmd, char buf[32])
{
    snprintf(buf, 32, "%.*s", (int)strcspn(cmd->name, " "), cmd->name);
    return buf;
}

bool command_is_group(const char *group)
{
    size_t len = strlen(group);
    for (size_t i = 0; i < command_count; i++)
        if (strncmp(commands[i]->name, group, len) == 0 && commands[i]->name[len] == ' ')
            return true;
    return false;
}

#define SHARED(member) offsetof(struct cli_options, member)

static const struct option_spec shared[] = {
    {"output", 'o', OPTION_TEXT, SHARED(output), "FORMAT", "table", 0, 0,
     "what the answer looks like: table, wide, json, yaml or name"},
    {"server", 0, OPTION_TEXT, SHARED(server), "URL", NULL, 0, 0,
     "where reeved is: http://HOST:PORT, https://HOST:PORT or unix:PATH; without it the socket of "
     "one that runs on this machine, else http://127.0.0.1:8081"},
    {"token", 0, OPTION_TEXT, SHARED(token), "TOKEN", NULL, 0, 0,
     "whose token to use; others on this machine can see a command line, so rather use the "
     "environment or --token-file"},
    {"token-file", 0, OPTION_TEXT, SHARED(token_file), "FILE", NULL, 0, 0,
     "a file whose last word is the token"},
    {"tls-ca", 0, OPTION_TEXT, SHARED(tls_ca), "FILE", NULL, 0, 0,
     "trust the certificates in this file instead of the system's"},
    {"tls-insecure", 0, OPTION_FLAG, SHARED(tls_insecure), NULL, NULL, 0, 0,
     "do not check the server's certificate"},
    {"timeout", 0, OPTION_DURATION, SHARED(timeout_ms), "TIME", "30s", 1, 86400000,
     "how long to wait for an answer"},
    {"color", 0, OPTION_TEXT, SHARED(color), "WHEN", "auto", 0, 0,
     "colours: auto (on a terminal, unless NO_COLOR is set), always or never"},
    {"cli-config", 0, OPTION_TEXT, SHARED(cli_config), "FILE", NULL, 0, 0,
     "file with these options (default ~/.config/reeve/config.yaml)"},
};

static const struct option_spec watching[] = {
    {"watch", 'w', OPTION_FLAG, SHARED(watch), NULL, NULL, 0, 0,
     "show it again whenever it changes, until interrupted", .flag_only = true},
    {"interval", 0, OPTION_DURATION, SHARED(interval_ms), "TIME", "1s", 100, 3600000,
     "how often to look while watching", .flag_only = true},
};

static size_t add_specs(struct option_spec *into, size_t n, const struct option_spec *from,
                        size_t count, size_t offset)
{
    for (size_t i = 0; i < count; i++) {
        into[n + i] = from[i];
        into[n + i].offset += offset;
    }
    return n + count;
}

struct option_table command_options(const struct command *cmd, char name[64])
{
    struct option_spec *specs =
        mem_new_array(struct option_spec, cmd->count + COUNT_OF(shared) + COUNT_OF(watching) + 1);
    size_t n = add_specs(specs, 0, cmd->specs, cmd->count, COMMAND_OWN_OFFSET);
    if (cmd->flags & COMMAND_WATCHES)
        n = add_specs(specs, n, watching, COUNT_OF(watching), 0);
    if (cmd->flags & COMMAND_CONNECTS)
        n = add_specs(specs, n, shared, COUNT_OF(shared), 0);
    snprintf(name, 64, "reeve %s", cmd->name);
    return (struct option_table){.program = name,
                                 .summary = cmd->summary,
                                 .operands = cmd->operands,
                                 .specs = specs,
                                 .count = n,
                                 .stop_at_operand = (cmd->flags & COMMAND_TAKES_REST) != 0};
}
