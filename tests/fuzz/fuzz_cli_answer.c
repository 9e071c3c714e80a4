/* An answer of a server that is not ours, or that lies: shown in every form. */
#include "base/mem.h"
#include "cli/demo_view.h"
#include "cli/json_view.h"
#include "cli/table.h"
#include "cli/top_frame.h"
#include "cli/width.h"
#include "cli/yaml_out.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The rows straight out of the text; false where it holds no list of objects. */
static bool read_table(struct table *t, char *text, size_t size)
{
    struct json_scan s;
    struct json_part key, value;
    json_scan_init(&s, text, size);
    for (json_scan_object(&s); json_scan_member(&s, &key);) {
        if (!json_part_is(&key, "items"))
            json_scan_value(&s, &value);
        else
            for (json_scan_list(&s); json_scan_item(&s);)
                table_read(t, &s);
    }
    return json_scan_end(&s, NULL) == 0;
}

/* Every kind of cell on fields that may hold anything, from the tree and from the text. */
static void show_table(const json_t *answer, const uint8_t *data, size_t size)
{
    static const char *const keys[] = {"id",       "state",   "submitted_at",
                                       "progress", "devices", "command"};
    struct column columns[24];
    size_t n = 0;
    for (int kind = CELL_TEXT; kind <= CELL_JSON; kind++, n++)
        columns[n] = (struct column){"TITLE", keys[n % COUNT_OF(keys)], (enum cell_kind)kind,
                                     n % 3 ? 0 : COLUMN_RIGHT};
    auto_text struct text out = {0};
    struct table_style style = {
        .now_ms = 1700000000000, .columns = 60, .wide = true, .color = true};
    table_write(&out, columns, n, view_items(answer), &style);
    auto_table struct table *t = table_new(columns, n, &style);
    auto_free char *copy = mem_strndup((const char *)data, size);
    auto_text struct text same = {0};
    if (read_table(t, copy, size)) {
        table_draw(t, &same);
        if (strcmp(text_get(&same), text_get(&out)) != 0)
            __builtin_trap();
    }
    table_write_one(&out, columns, n, answer, &style);
}

static void show_pictures(const json_t *answer)
{
    struct top_data data = {
        .status = answer, .devices = answer, .queue = answer, .now_ms = 1700000000000};
    struct top_look look = {.columns = 50, .rows = 12, .sort = TOP_BY_WAIT};
    struct top_frame f;
    top_frame_make(&f, &data, &look);
    for (size_t i = 0; i < f.count; i++)
        if (text_width(f.lines[i].text) != look.columns)
            __builtin_trap();
    top_frame_done(&f);

    auto_text struct text out = {0};
    demo_draw(&out, &(struct demo_picture){.jobs = view_items(answer),
                                           .devices = answer,
                                           .now_ms = 1700000000000,
                                           .columns = 60});
    demo_table(&out, view_items(answer), answer, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_json json_t *answer = NULL;
    auto_text struct text yaml = {0};
    if (json_parse((const char *)data, size, &answer, NULL) < 0)
        return 0;
    show_table(answer, data, size);
    show_pictures(answer);
    yaml_write(&yaml, answer);
    return 0;
}
