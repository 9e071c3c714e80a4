#include "cli/figure.h"
#include "cli/json_view.h"
#include "cli/table.h"
#include "cli/yaml_out.h"
#include "test.h"

static json_t *parse(const char *text)
{
    json_t *value = NULL;
    CHECK_OK(json_parse(text, strlen(text), &value, &test_err));
    return value;
}

static const struct column columns[] = {
    {"ID", "id", CELL_TEXT, COLUMN_RIGHT},
    {"NAME", "name", CELL_TEXT, 0},
    {"STATE", "state", CELL_STATE, 0},
    {"ENERGY", "energy_joules", CELL_ENERGY, COLUMN_RIGHT | COLUMN_WIDE},
    {"REASON", "reason", CELL_TEXT, 0},
};

#define ROWS                                                                                       \
    "[{\"id\":7,\"name\":\"학습\",\"state\":\"Running\",\"energy_joules\":1234.5},"              \
    "{\"id\":12,\"name\":\"train.py\",\"state\":\"Queued\",\"reason\":\"needs 1 GPU with 8192 "    \
    "MiB "                                                                                         \
    "free\"}]"

TEST("columns are aligned, whatever script their cells are in")
{
    auto_json json_t *rows = parse(ROWS);
    auto_text struct text t = {0};
    table_write(&t, columns, 5, rows, &(struct table_style){0});
    CHECK_TEXT(t.data, "ID  NAME      STATE    REASON\n"
                       " 7  학습      Running  -\n"
                       "12  train.py  Queued   needs 1 GPU with 8192 MiB free\n");
}

TEST("no line is longer than the terminal is wide")
{
    auto_json json_t *rows = parse(ROWS);
    auto_text struct text t = {0};
    table_write(&t, columns, 5, rows, &(struct table_style){.columns = 40});
    CHECK_TEXT(t.data, "ID  NAME      STATE    REASON\n"
                       " 7  학습      Running  -\n"
                       "12  train.py  Queued   needs 1 GPU with…\n");
}

TEST("the wide form has more columns, and states have colours only when asked for")
{
    auto_json json_t *rows = parse(ROWS);
    auto_text struct text t = {0};
    table_write(&t, columns, 5, rows, &(struct table_style){.wide = true, .color = true});
    CHECK(strstr(t.data, "1.2 kJ") != NULL);
    CHECK(strstr(t.data, "\033[32mRunning\033[0m") != NULL);
}

TEST("a waiting job's wait is counted up to now, a running job's until its start")
{
    static const struct column wait = {"WAIT", "wait_ms", CELL_WAIT, 0};
    auto_json json_t *rows =
        parse("[{\"state\":\"Queued\",\"submitted_at\":\"1970-01-01T00:00:10.000Z\",\"wait_ms\":1},"
              "{\"state\":\"Running\",\"submitted_at\":\"1970-01-01T00:00:10.000Z\",\"wait_ms\":"
              "4200}]");
    auto_text struct text t = {0};
    table_cell(&t, &wait, json_array_get(rows, 0), 100000);
    CHECK_TEXT(t.data, "1m30s");
    text_clear(&t);
    table_cell(&t, &wait, json_array_get(rows, 1), 100000);
    CHECK_TEXT(t.data, "4.2s");
}

TEST("words of a command that a shell would split are quoted")
{
    static const struct column words = {"COMMAND", "command", CELL_WORDS, 0};
    auto_json json_t *job = parse("{\"command\":[\"sh\",\"-c\",\"echo a; b\",\"\"]}");
    auto_text struct text t = {0};
    table_cell(&t, &words, job, 0);
    CHECK_TEXT(t.data, "sh -c 'echo a; b' ''");
}

TEST("figures keep what small amounts are about")
{
    auto_text struct text t = {0};
    figure_money(&t, 412, "USD");
    text_add(&t, " | ");
    figure_money(&t, 12345678, "USD");
    text_add(&t, " | ");
    figure_energy(&t, 3.6e6);
    text_add(&t, " | ");
    figure_mib(&t, 10240);
    text_add(&t, " | ");
    figure_bar(&t, 50, 12, false);
    text_add(&t, " | ");
    figure_bar(&t, 33, 10, true);
    CHECK_TEXT(t.data, "0.000412 USD | 12.35 USD | 1.00 kWh | 10 GiB | [#####-----] | [██▋     ]");
}

TEST("times of the server are read, and nothing else")
{
    int64_t ms = 0;
    CHECK(time_parse("2026-01-31T09:00:00.250Z", &ms));
    CHECK_INT(ms, 1769850000250);
    CHECK(time_parse("2026-01-31T09:00:00Z", &ms));
    CHECK(!time_parse("2026-01-31 09:00", &ms));
    CHECK(!time_parse("", &ms));
}

TEST("YAML out is read by our own YAML in as the same value")
{
    const char *json =
        "{\"items\":[{\"id\":7,\"name\":\"a: b\",\"n\":null,\"yes\":\"yes\",\"list\":[[1,2],"
        "[]],\"o\":{}},{\"id\":8,\"pi\":3.25,\"t\":\"2026-01-31\",\"k\":\"학습\",\"num\":"
        "\"12\",\"multi\":\"x\\ny\"}],\"next_cursor\":null}";
    auto_json json_t *value = parse(json), *back = NULL;
    auto_text struct text t = {0};
    yaml_write(&t, value);
    CHECK_OK(yaml_parse(t.data, t.len, &back, &test_err));
    CHECK(json_equal(value, back));
}
