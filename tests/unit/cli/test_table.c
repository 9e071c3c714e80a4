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

TEST("rows straight out of the text give the same table as a tree of them")
{
    static const struct column more[] = {
        {"ID", "id", CELL_TEXT, COLUMN_RIGHT},      {"NAME", "name", CELL_TEXT, 0},
        {"AGE", "submitted_at", CELL_AGE, 0},       {"WAIT", "wait_ms", CELL_WAIT, COLUMN_RIGHT},
        {"PROGRESS", "progress", CELL_PROGRESS, 0}, {"GPUS", "devices", CELL_DEVICES, 0},
        {"HOW MANY", "devices", CELL_COUNT, 0},     {"OF", "job.user", CELL_TEXT, 0},
        {"COST", "cost_micros", CELL_MONEY, 0},     {"X", "x", CELL_JSON, 0},
    };
    char text[] =
        "[{\"id\":7,\"name\":\"a\\u00e9\\\"\",\"submitted_at\":\"1970-01-01T00:00:10.000Z\","
        "\"state\":\"Queued\",\"unknown\":[{}],\"progress\":{\"percent\":50.0},"
        "\"devices\":[{\"node\":\"n\",\"index\":2}],\"x\":{\"y\":[1,2.5,null]}},"
        "{\"cost_micros\":1500000,\"currency\":\"KRW\",\"job\":{\"user\":\"bob\"},"
        "\"name\":null,\"id\":9223372036854775807,\"x\":true},{}]";
    struct table_style style = {.now_ms = 100000};
    auto_json json_t *rows = parse(text);
    auto_text struct text from_tree = {0}, from_text = {0}, keys = {0};
    table_write(&from_tree, more, 10, rows, &style);

    struct json_scan s;
    auto_table struct table *t = table_new(more, 10, &style);
    json_scan_init(&s, text, strlen(text));
    for (json_scan_list(&s); json_scan_item(&s);)
        table_read(t, &s);
    CHECK_OK(json_scan_end(&s, &test_err));
    CHECK_INT(table_row_count(t), 3);
    table_draw(t, &from_text);
    CHECK_TEXT(from_text.data, from_tree.data);
    CHECK(strstr(from_text.data, "n:2") && strstr(from_text.data, "1.50 KRW") &&
          strstr(from_text.data, "bob") && strstr(from_text.data, "aé\""));

    table_keys(more, 10, false, &keys);
    CHECK_TEXT(keys.data, "id,name,submitted_at,wait_ms,state,progress,devices,job,cost_micros,"
                          "currency,x");
}

TEST("a row whose key appears twice is refused")
{
    char text[] = "[{\"id\":7,\"x\":1,\"x\":2,\"id\":8}]";
    struct table_style style = {0};
    struct json_scan s;
    auto_table struct table *t = table_new(columns, 5, &style);
    json_scan_init(&s, text, strlen(text));
    for (json_scan_list(&s); json_scan_item(&s);)
        table_read(t, &s);
    CHECK_FAILS(json_scan_end(&s, &test_err), ERR_INVALID, "a key appears twice");
    CHECK_INT(table_row_count(t), 0);
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

TEST("money keeps six digits of little, and two of much, rounded")
{
    static const struct {
        int64_t micros;
        const char *text;
    } sums[] = {
        {0, "0.00 USD"},
        {1, "0.000001 USD"},
        {9999, "0.009999 USD"},
        {10000, "0.0100 USD"},
        {999949, "0.9999 USD"},
        {999950, "1.0000 USD"},
        {1000000, "1.00 USD"},
        {1995000, "2.00 USD"},
        {-412, "-0.000412 USD"},
        {-2500000, "-2.50 USD"},
        {INT64_MIN, "-9223372036854.78 USD"},
    };
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
        auto_text struct text t = {0};
        figure_money(&t, sums[i].micros, "USD");
        CHECK_TEXT(t.data, sums[i].text);
    }
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
