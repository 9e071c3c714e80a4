#include "agent/command.h"

#include "base/mem.h"

#include <string.h>

#define AT(member) offsetof(struct command, member)
#define INT_MOST   ((int64_t)1 << 50)

/* clang-format off */
static const struct json_field all_fields[] = {
    {"epoch",          JSON_FIELD_INT,    AT(epoch),          false, 0, INT64_MAX},
    {"server_time_ms", JSON_FIELD_INT,    AT(server_time_ms), false, 0, INT64_MAX},
    {"node_id",        JSON_FIELD_INT,    AT(node_id),        false, 0, INT64_MAX},
    {"sample_ms",      JSON_FIELD_INT,    AT(sample_ms),      false, 0, 3600000},
    {"site",           JSON_FIELD_TEXT,   AT(site),           false, 0, 64},
    {"attempt",        JSON_FIELD_TEXT,   AT(attempt),        false, 32, 32},
    {"job",            JSON_FIELD_INT,    AT(job),            false, 0, INT64_MAX},
    {"n",              JSON_FIELD_INT,    AT(n),              false, 0, INT64_MAX},
    {"why",            JSON_FIELD_TEXT,   AT(why),            false, 0, 1000},
    {"ago_ms",         JSON_FIELD_INT,    AT(ago_ms),         false, 0, INT_MOST},
    {"boot_id",        JSON_FIELD_TEXT,   AT(boot_id),        false, 0, 64},
    {"data_id",        JSON_FIELD_TEXT,   AT(data_id),        false, 0, 64},
    {"name",           JSON_FIELD_TEXT,   AT(name),           false, 0, 100},
    {"job_name",       JSON_FIELD_TEXT,   AT(job_name),       false, 0, 1000},
    {"user",           JSON_FIELD_TEXT,   AT(user),           false, 0, 128},
    {"gpu_memory_mib", JSON_FIELD_INT,    AT(gpu_memory_mib), false, 0, INT_MOST},
    {"cpu_milli",      JSON_FIELD_INT,    AT(cpu_milli),      false, 0, INT_MOST},
    {"memory_mib",     JSON_FIELD_INT,    AT(memory_mib),     false, 0, (int64_t)1 << 40},
    {"time_limit_ms",  JSON_FIELD_INT,    AT(time_limit_ms),  false, 0, INT_MOST},
    {"spec",           JSON_FIELD_OBJECT, AT(spec),           false, 0, 0},
};

static const struct json_field gate_fields[] = {
    {"off",        JSON_FIELD_BOOL, offsetof(struct gate_limits, off),        false, 0, 0},
    {"free_mib",   JSON_FIELD_INT,  offsetof(struct gate_limits, free_mib),   false, 0, INT_MOST},
    {"gpu_pct",    JSON_FIELD_INT,  offsetof(struct gate_limits, gpu_pct),    false, 0, 1000},
    {"cpu_pct",    JSON_FIELD_INT,  offsetof(struct gate_limits, cpu_pct),    false, 0, 1000},
    {"memory_pct", JSON_FIELD_INT,  offsetof(struct gate_limits, memory_pct), false, 0, 1000},
};

static const struct { const char *word; enum command_type type; } words[] = {
    {"welcome", COMMAND_WELCOME}, {"gate",   COMMAND_GATE},   {"start", COMMAND_START},
    {"cancel",  COMMAND_CANCEL},  {"forget", COMMAND_FORGET}, {"end",   COMMAND_END},
    {"check",   COMMAND_CHECK},   {"meter",  COMMAND_METER},
};
/* clang-format on */

static bool is_attempt_id(const char *s)
{
    return strlen(s) == 32 && strspn(s, "0123456789abcdef") == 32;
}

static int read_devices(struct command *c, struct err *e)
{
    const json_t *list = json_object_get(c->tree, "devices"), *item;
    size_t i;
    if (!list)
        return 0;
    if (!json_is_array(list) || json_array_size(list) > COMMAND_DEVICES_MOST)
        return err_set(e, ERR_INVALID, "field 'devices' must be a list of at most %d",
                       COMMAND_DEVICES_MOST);
    json_array_foreach(list, i, item)
    {
        const char *uuid = json_string_value(item);
        if (!uuid || !uuid[0] || strlen(uuid) > 95 || strpbrk(uuid, ", \t\n"))
            return err_set(e, ERR_INVALID, "field 'devices' must hold device ids");
        c->devices[c->device_count++] = uuid;
    }
    return 0;
}

static int check(struct command *c, struct err *e)
{
    if (c->type == COMMAND_OTHER)
        return 0;
    if (c->type == COMMAND_WELCOME || c->type == COMMAND_GATE) {
        const json_t *gate = json_object_get(c->tree, "gate");
        c->gate = GATE_USUAL;
        if (gate &&
            json_read_fields(gate, gate_fields, COUNT_OF(gate_fields), false, &c->gate, e) < 0)
            return err_wrap(e, "gate");
        return c->epoch > 0 || c->type == COMMAND_GATE
                   ? 0
                   : err_set(e, ERR_INVALID, "field 'epoch' is missing");
    }
    if (!is_attempt_id(c->attempt))
        return err_set(e, ERR_INVALID, "field 'attempt' must be 32 hex digits");
    if (c->type == COMMAND_CHECK || c->type == COMMAND_METER)
        return c->job > 0 && c->n > 0
                   ? read_devices(c, e)
                   : err_set(e, ERR_INVALID, "fields 'job' and 'n' must be above 0");
    if (c->type != COMMAND_START)
        return 0;
    if (c->job <= 0 || c->n <= 0 || c->epoch <= 0)
        return err_set(e, ERR_INVALID, "fields 'job', 'n' and 'epoch' must be above 0");
    if (!text_is_name(c->name, 100) || !c->user[0] || !c->spec)
        return err_set(e, ERR_INVALID, "fields 'name', 'user' and 'spec' are needed");
    return read_devices(c, e);
}

int command_parse(const char *line, size_t len, struct command *ret, struct err *e)
{
    struct command c = {
        .site = "", .attempt = "", .why = "", .boot_id = "", .data_id = "", .name = "", .user = ""};
    if (json_parse(line, len, &c.tree, e) < 0)
        return -1;
    const char *type = json_string_value(json_object_get(c.tree, "type"));
    for (size_t i = 0; type && i < COUNT_OF(words); i++)
        if (strcmp(type, words[i].word) == 0)
            c.type = words[i].type;

    int rc = 0;
    if (!type)
        rc = err_set(e, ERR_INVALID, "field 'type' is missing");
    else if (c.type != COMMAND_OTHER)
        rc = json_read_fields(c.tree, all_fields, COUNT_OF(all_fields), false, &c, e);
    if (rc == 0)
        rc = check(&c, e);
    if (rc < 0)
        command_done(&c);
    else
        *ret = c;
    return rc;
}

void command_done(struct command *c)
{
    json_decref(c->tree);
    c->tree = NULL;
}
