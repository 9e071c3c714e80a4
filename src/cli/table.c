#include "cli/table.h"

#include "base/clock.h"
#include "base/mem.h"
#include "cli/figure.h"
#include "cli/json_view.h"
#include "cli/row.h"
#include "cli/width.h"

#include <time.h>

const char *state_color(const char *state)
{
    static const struct {
        const char *state, *color;
    } colors[] = {
        {"Running", "\033[32m"},   {"Scheduled", "\033[36m"}, {"Completed", "\033[34m"},
        {"Failed", "\033[31m"},    {"Cancelled", "\033[33m"}, {"ready", "\033[32m"},
        {"unknown", "\033[33m"},   {"lost", "\033[31m"},      {"available", "\033[32m"},
        {"allocated", "\033[36m"}, {"busy", "\033[33m"},      {"faulty", "\033[31m"},
        {"ok", "\033[32m"},        {"warn", "\033[33m"},      {"fail", "\033[31m"},
    };
    for (size_t i = 0; i < COUNT_OF(colors); i++)
        if (strcasecmp(colors[i].state, state) == 0)
            return colors[i].color;
    return "";
}

/* ---- cells ---- */

enum { ALSO_MOST = 3 };

/* What a cell is made from: the value at the column's key, and those that its kind looks at. */
struct cell {
    struct row *row;
    size_t own, also[ALSO_MOST];
    const char *path; /* of its own, behind the first point of its key */
    int64_t now_ms;
};

static struct value own_value(const struct cell *c)
{
    return row_value(c->row, c->own, c->path);
}

static struct value also_value(const struct cell *c, size_t i)
{
    return row_value(c->row, c->also[i], NULL);
}

static void cell_plain(struct text *out, const struct cell *c)
{
    struct value v = own_value(c);
    if (v.kind == JSON_PART_TEXT) {
        text_add_printable(out, v.text);
    } else if (v.kind == JSON_PART_INT) {
        text_add_int(out, v.whole);
    } else if (v.kind == JSON_PART_REAL) {
        text_addf(out, "%.6g", v.number);
    } else if (v.kind == JSON_PART_TRUE || v.kind == JSON_PART_FALSE) {
        text_add(out, v.kind == JSON_PART_TRUE ? "true" : "false");
    } else {
        auto_free char *json = json_dumps(v.tree, JSON_ENCODE_ANY | JSON_COMPACT);
        text_add_printable(out, json ? json : "");
    }
}

static void cell_yes(struct text *out, const struct cell *c)
{
    text_add(out, own_value(c).kind == JSON_PART_TRUE ? "yes" : "");
}

static void cell_age(struct text *out, const struct cell *c)
{
    struct value v = own_value(c);
    int64_t ms = value_time(&v);
    if (ms)
        figure_span(out, c->now_ms - ms);
}

static void cell_time(struct text *out, const struct cell *c)
{
    struct value v = own_value(c);
    int64_t ms = value_time(&v);
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    char buf[32];
    if (!ms)
        return;
    localtime_r(&seconds, &tm);
    strftime(buf, sizeof buf, "%Y-%m-%d %H:%M:%S", &tm);
    text_add(out, buf);
}

static void cell_span(struct text *out, const struct cell *c)
{
    struct value v = own_value(c);
    figure_span(out, value_int(&v, 0));
}

static void cell_seconds(struct text *out, const struct cell *c)
{
    struct value v = own_value(c);
    int64_t number = value_int(&v, 0);
    figure_span(out, number < INT64_MAX / 1000 && number > 0 ? number * 1000 : 0);
}

/* A waiting job's wait grows while we look at it; the server's figure is of the moment it answered.
 */
static void cell_wait(struct text *out, const struct cell *c)
{
    struct value state = also_value(c, 0), submitted = also_value(c, 1), wait = also_value(c, 2);
    int64_t ms;
    if (strcmp(value_text(&state), "Queued") == 0 && (ms = value_time(&submitted)))
        figure_span(out, c->now_ms - ms);
    else if (wait.kind != JSON_PART_NONE)
        figure_span(out, value_int(&wait, 0));
}

static void cell_run(struct text *out, const struct cell *c)
{
    struct value state = also_value(c, 0), started = also_value(c, 1), run = also_value(c, 2);
    int64_t ms = value_time(&started);
    if (strcmp(value_text(&state), "Running") == 0 && ms)
        figure_span(out, c->now_ms - ms);
    else if (run.kind != JSON_PART_NONE && ms)
        figure_span(out, value_int(&run, 0));
}

static void cell_money(struct text *out, const struct cell *c)
{
    struct value v = own_value(c), currency = also_value(c, 0);
    figure_money(out, value_int(&v, 0), *value_text(&currency) ? value_text(&currency) : "USD");
}

static void cell_energy(struct text *out, const struct cell *c)
{
    struct value v = own_value(c);
    figure_energy(out, value_number(&v, 0));
}

static void cell_mib(struct text *out, const struct cell *c)
{
    struct value v = own_value(c);
    figure_mib(out, value_int(&v, 0));
}

static void cell_percent(struct text *out, const struct cell *c)
{
    struct value v = own_value(c);
    text_addf(out, "%.0f%%", value_number(&v, 0));
}

static void cell_watts(struct text *out, const struct cell *c)
{
    struct value v = own_value(c);
    text_addf(out, "%.0f W", value_number(&v, 0));
}

static void cell_progress(struct text *out, const struct cell *c)
{
    double percent = view_number(also_value(c, 0).tree, "percent", -1);
    if (percent < 0)
        return;
    figure_bar(out, percent, 12, true);
    text_addf(out, " %3.0f%%", percent);
}

static void cell_devices(struct text *out, const struct cell *c)
{
    size_t i;
    json_t *device;
    json_array_foreach(own_value(c).tree, i, device)
    {
        if (i)
            text_add_char(out, ',');
        text_add_printable(out, view_text(device, "node"));
        text_addf(out, ":%lld", (long long)view_int(device, "index", 0));
    }
}

static void cell_count(struct text *out, const struct cell *c)
{
    struct value v = own_value(c);
    if (v.kind == JSON_PART_LIST)
        text_addf(out, "%zu", json_array_size(v.tree));
}

static void cell_words(struct text *out, const struct cell *c)
{
    size_t i;
    json_t *word;
    json_array_foreach(own_value(c).tree, i, word)
    {
        if (i)
            text_add_char(out, ' ');
        const char *s = json_string_value(word);
        bool quote = s && (!*s || strpbrk(s, " \t\n'\"$\\;&|<>()*?"));
        text_add(out, quote ? "'" : "");
        text_add_printable(out, s ? s : "");
        text_add(out, quote ? "'" : "");
    }
}

static void cell_pairs(struct text *out, const struct cell *c)
{
    const char *key, *comma = "";
    json_t *value;
    json_object_foreach((json_t *)own_value(c).tree, key, value)
    {
        text_add(out, comma);
        text_add_printable(out, key);
        text_add_char(out, '=');
        text_add_printable(out, json_is_string(value) ? json_string_value(value) : "");
        comma = ",";
    }
}

/* How cells of a kind are written, where there is a value, and the keys that it looks at besides
 * the column's; ALWAYS: whether there is a value or not. */
static const struct {
    void (*write)(struct text *out, const struct cell *c);
    bool always;
    const char *also[ALSO_MOST];
} kinds[] = {
    [CELL_TEXT] = {cell_plain},
    [CELL_YES] = {cell_yes},
    [CELL_STATE] = {cell_plain},
    [CELL_AGE] = {cell_age},
    [CELL_TIME] = {cell_time},
    [CELL_SPAN] = {cell_span},
    [CELL_SECONDS] = {cell_seconds},
    [CELL_WAIT] = {cell_wait, true, {"state", "submitted_at", "wait_ms"}},
    [CELL_RUN] = {cell_run, true, {"state", "started_at", "run_ms"}},
    [CELL_MONEY] = {cell_money, false, {"currency"}},
    [CELL_ENERGY] = {cell_energy},
    [CELL_MIB] = {cell_mib},
    [CELL_PERCENT] = {cell_percent},
    [CELL_WATTS] = {cell_watts},
    [CELL_PROGRESS] = {cell_progress, true, {"progress"}},
    [CELL_DEVICES] = {cell_devices},
    [CELL_COUNT] = {cell_count},
    [CELL_WORDS] = {cell_words},
    [CELL_PAIRS] = {cell_pairs},
    [CELL_JSON] = {cell_plain},
};

static struct cell prepare(struct row *r, const struct column *column, int64_t now_ms)
{
    const char *point = strchr(column->key, '.');
    struct cell c = {.row = r,
                     .own = row_want(r, column->key),
                     .path = point ? point + 1 : NULL,
                     .now_ms = now_ms};
    for (size_t i = 0; i < ALSO_MOST && kinds[column->kind].also[i]; i++)
        c.also[i] = row_want(r, kinds[column->kind].also[i]);
    return c;
}

static void write_cell(struct text *out, enum cell_kind kind, const struct cell *c)
{
    size_t before = out->len;
    if (kinds[kind].always || own_value(c).kind != JSON_PART_NONE)
        kinds[kind].write(out, c);
    if (out->len == before)
        text_add_char(out, '-');
}

void table_cell(struct text *out, const struct column *column, const json_t *item, int64_t now_ms)
{
    struct row row = {0};
    struct cell c = prepare(&row, column, now_ms);
    row_fill(&row, item);
    write_cell(out, column->kind, &c);
    row_done(&row);
}

/* ---- tables ---- */

enum { MOST_COLUMNS = 32 };

struct table {
    const struct table_style *style;
    size_t shown; /* columns */
    const struct column *columns[MOST_COLUMNS];
    struct cell cells[MOST_COLUMNS];
    int widths[MOST_COLUMNS];
    struct row row; /* the one being added */

    struct text texts; /* of all cells, row by row, each with a NUL behind it */
    struct place {
        size_t at;
        int width;
    } * places;
    size_t rows, room;
};

static bool is_shown(const struct column *c, bool wide)
{
    return wide || !(c->flags & COLUMN_WIDE);
}

struct table *table_new(const struct column *columns, size_t count, const struct table_style *style)
{
    struct table *t = mem_new(struct table);
    t->style = style;
    for (size_t i = 0; i < count && t->shown < MOST_COLUMNS; i++) {
        if (!is_shown(&columns[i], style->wide))
            continue;
        t->columns[t->shown] = &columns[i];
        t->cells[t->shown] = prepare(&t->row, &columns[i], style->now_ms);
        t->widths[t->shown++] = style->no_header ? 0 : text_width(columns[i].title);
    }
    return t;
}

void table_free(struct table *t)
{
    if (!t)
        return;
    row_done(&t->row);
    text_done(&t->texts);
    free(t->places);
    free(t);
}

size_t table_row_count(const struct table *t)
{
    return t->rows;
}

static void add_row(struct table *t)
{
    if (t->rows == t->room) {
        t->room = t->room ? 2 * t->room : 64;
        t->places = mem_resize_array(t->places, t->room * t->shown);
    }
    for (size_t k = 0; k < t->shown; k++) {
        struct place *p = &t->places[t->rows * t->shown + k];
        p->at = t->texts.len;
        write_cell(&t->texts, t->columns[k]->kind, &t->cells[k]);
        p->width = text_width(t->texts.data + p->at);
        text_add_char(&t->texts, '\0');
        if (p->width > t->widths[k])
            t->widths[k] = p->width;
    }
    t->rows++;
}

void table_add(struct table *t, const json_t *item)
{
    row_fill(&t->row, item);
    add_row(t);
}

void table_read(struct table *t, struct json_scan *s)
{
    row_read(&t->row, s);
    if (!s->why)
        add_row(t);
}

void table_keys(const struct column *columns, size_t count, bool wide, struct text *out)
{
    struct row row = {0};
    for (size_t i = 0; i < count; i++)
        if (is_shown(&columns[i], wide))
            prepare(&row, &columns[i], 0);
    for (size_t i = 0; i < row.count; i++)
        text_addf(out, "%s%.*s", i ? "," : "", (int)row.keys[i].len, row.keys[i].name);
}

/* One cell that is ready, OWN_WIDTH wide, in WIDTH columns (0: as long as it is). */
static void put_cell(struct text *out, const struct column *c, const char *cell, int own_width,
                     int width, const struct table_style *style)
{
    const char *color = style->color && c->kind == CELL_STATE ? state_color(cell) : "";
    int pad = width > own_width ? width - own_width : 0;
    text_add(out, color);
    if (width && own_width > width) {
        text_add_padded(out, cell, width, c->flags & COLUMN_RIGHT);
    } else {
        text_add_blanks(out, c->flags & COLUMN_RIGHT ? pad : 0);
        text_add(out, cell);
        text_add_blanks(out, c->flags & COLUMN_RIGHT ? 0 : pad);
    }
    text_add(out, *color ? COLOR_OFF : "");
}

/* Where the line of the terminal ends, the last column is cut, and no line wraps. */
static void fit_last(int *widths, size_t n, int columns)
{
    int used = 0;
    for (size_t k = 0; k + 1 < n; k++)
        used += widths[k] + 2;
    if (n && columns && used + widths[n - 1] > columns && columns - used >= 4)
        widths[n - 1] = columns - used;
}

/* PLACES NULL: the titles. */
static void put_row(const struct table *t, const int *widths, const struct place *places,
                    struct text *out)
{
    for (size_t k = 0; k < t->shown; k++) {
        const struct column *c = t->columns[k];
        const char *cell = places ? t->texts.data + places[k].at : c->title;
        int width = places ? places[k].width : text_width(c->title);
        /* No blanks behind the last column. */
        bool last = k + 1 == t->shown && !(c->flags & COLUMN_RIGHT) && width <= widths[k];
        if (k)
            text_add(out, "  ");
        put_cell(out, c, cell, width, last ? 0 : widths[k], t->style);
    }
    text_add_char(out, '\n');
}

void table_draw(const struct table *t, struct text *out)
{
    int widths[MOST_COLUMNS];
    memcpy(widths, t->widths, sizeof widths);
    fit_last(widths, t->shown, t->style->columns);
    if (!t->style->no_header)
        put_row(t, widths, NULL, out);
    for (size_t r = 0; r < t->rows; r++)
        put_row(t, widths, t->places + r * t->shown, out);
}

void table_write(struct text *out, const struct column *columns, size_t count, const json_t *items,
                 const struct table_style *style)
{
    auto_table struct table *t = table_new(columns, count, style);
    size_t i;
    json_t *item;
    json_array_foreach(items, i, item) table_add(t, item);
    table_draw(t, out);
}

void table_write_one(struct text *out, const struct column *columns, size_t count,
                     const json_t *item, const struct table_style *style)
{
    int width = 0;
    for (size_t i = 0; i < count; i++)
        if (text_width(columns[i].title) > width)
            width = text_width(columns[i].title);

    for (size_t i = 0; i < count; i++) {
        auto_text struct text cell = {0};
        table_cell(&cell, &columns[i], item, style->now_ms);
        if (strcmp(text_get(&cell), "-") == 0)
            continue;
        text_add_padded(out, columns[i].title, width, false);
        text_add(out, "  ");
        put_cell(out, &columns[i], cell.data, 0, 0, style);
        text_add_char(out, '\n');
    }
}
