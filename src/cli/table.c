#include "cli/table.h"

#include "base/clock.h"
#include "base/mem.h"
#include "cli/figure.h"
#include "cli/json_view.h"
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

static void cell_time(struct text *out, int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    char buf[32];
    localtime_r(&seconds, &tm);
    strftime(buf, sizeof buf, "%Y-%m-%d %H:%M:%S", &tm);
    text_add(out, buf);
}

/* A waiting job's wait grows while we look at it; the server's figure is of the moment it answered.
 */
static void cell_wait(struct text *out, const json_t *job, int64_t now_ms)
{
    int64_t submitted = view_time(job, "submitted_at");
    if (strcmp(view_text(job, "state"), "Queued") == 0 && submitted)
        figure_span(out, now_ms - submitted);
    else if (view_get(job, "wait_ms"))
        figure_span(out, view_int(job, "wait_ms", 0));
}

static void cell_run(struct text *out, const json_t *job, int64_t now_ms)
{
    int64_t started = view_time(job, "started_at");
    if (strcmp(view_text(job, "state"), "Running") == 0 && started)
        figure_span(out, now_ms - started);
    else if (view_get(job, "run_ms") && started)
        figure_span(out, view_int(job, "run_ms", 0));
}

static void cell_progress(struct text *out, const json_t *job)
{
    double percent = view_number(job, "progress.percent", -1);
    if (percent < 0)
        return;
    figure_bar(out, percent, 12, true);
    text_addf(out, " %3.0f%%", percent);
}

static void cell_devices(struct text *out, const json_t *list)
{
    size_t i;
    json_t *device;
    json_array_foreach(list, i, device)
    {
        if (i)
            text_add_char(out, ',');
        text_add_printable(out, view_text(device, "node"));
        text_addf(out, ":%lld", (long long)view_int(device, "index", 0));
    }
}

static void cell_words(struct text *out, const json_t *list)
{
    size_t i;
    json_t *word;
    json_array_foreach(list, i, word)
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

static void cell_pairs(struct text *out, const json_t *object)
{
    const char *key, *comma = "";
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        text_add(out, comma);
        text_add_printable(out, key);
        text_add_char(out, '=');
        text_add_printable(out, json_is_string(value) ? json_string_value(value) : "");
        comma = ",";
    }
}

static void cell_plain(struct text *out, const json_t *value)
{
    if (json_is_string(value))
        text_add_printable(out, json_string_value(value));
    else if (json_is_real(value))
        text_addf(out, "%.6g", json_real_value(value));
    else if (value) {
        auto_free char *json = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        text_add_printable(out, json ? json : "");
    }
}

static void cell_value(struct text *out, const struct column *c, const json_t *item,
                       const json_t *value, int64_t now_ms)
{
    int64_t number;
    switch (c->kind) {
    case CELL_YES:
        text_add(out, json_is_true(value) ? "yes" : "");
        break;
    case CELL_AGE:
        if (view_time(item, c->key))
            figure_span(out, now_ms - view_time(item, c->key));
        break;
    case CELL_TIME:
        if (view_time(item, c->key))
            cell_time(out, view_time(item, c->key));
        break;
    case CELL_SPAN:
        figure_span(out, view_int(item, c->key, 0));
        break;
    case CELL_SECONDS:
        number = view_int(item, c->key, 0);
        figure_span(out, number < INT64_MAX / 1000 && number > 0 ? number * 1000 : 0);
        break;
    case CELL_MONEY:
        figure_money(out, view_int(item, c->key, 0),
                     *view_text(item, "currency") ? view_text(item, "currency") : "USD");
        break;
    case CELL_ENERGY:
        figure_energy(out, view_number(item, c->key, 0));
        break;
    case CELL_MIB:
        figure_mib(out, view_int(item, c->key, 0));
        break;
    case CELL_PERCENT:
        text_addf(out, "%.0f%%", view_number(item, c->key, 0));
        break;
    case CELL_WATTS:
        text_addf(out, "%.0f W", view_number(item, c->key, 0));
        break;
    case CELL_DEVICES:
        cell_devices(out, value);
        break;
    case CELL_WORDS:
        cell_words(out, value);
        break;
    case CELL_PAIRS:
        cell_pairs(out, value);
        break;
    default:
        cell_plain(out, value);
    }
}

void table_cell(struct text *out, const struct column *c, const json_t *item, int64_t now_ms)
{
    size_t before = out->len;
    const json_t *value = view_get(item, c->key);
    if (c->kind == CELL_WAIT)
        cell_wait(out, item, now_ms);
    else if (c->kind == CELL_RUN)
        cell_run(out, item, now_ms);
    else if (c->kind == CELL_PROGRESS)
        cell_progress(out, item);
    else if (value)
        cell_value(out, c, item, value, now_ms);
    if (out->len == before)
        text_add_char(out, '-');
}

/* One cell that is ready, in WIDTH columns (0: as long as it is). */
static void put_cell(struct text *out, const struct column *c, const char *cell, int width,
                     const struct table_style *style)
{
    const char *color = style->color && c->kind == CELL_STATE ? state_color(cell) : "";
    text_add(out, color);
    if (width)
        text_add_padded(out, cell, width, c->flags & COLUMN_RIGHT);
    else
        text_add(out, cell);
    text_add(out, *color ? COLOR_OFF : "");
}

/* The columns that are shown, and how wide each is. Returns their number. */
static size_t choose(const struct column *columns, size_t count, const struct table_style *style,
                     size_t *shown, int *widths)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if ((columns[i].flags & COLUMN_WIDE) && !style->wide)
            continue;
        widths[n] = style->no_header ? 0 : text_width(columns[i].title);
        shown[n++] = i;
    }
    return n;
}

enum { MOST_COLUMNS = 32 };

/* Where the line of the terminal ends, the last column is cut, and no line wraps. */
static void fit_last(int *widths, size_t n, int columns)
{
    int used = 0;
    for (size_t k = 0; k + 1 < n; k++)
        used += widths[k] + 2;
    if (n && columns && used + widths[n - 1] > columns && columns - used >= 4)
        widths[n - 1] = columns - used;
}

static void put_row(struct text *out, const struct column *columns, const size_t *shown,
                    const int *widths, size_t n, char *const *cells, bool header,
                    const struct table_style *style)
{
    for (size_t k = 0; k < n; k++) {
        const struct column *c = &columns[shown[k]];
        /* cppcheck-suppress nullPointer ; a header has no cells, and does not look at them */
        const char *cell = header ? c->title : cells[k];
        /* No blanks behind the last column. */
        bool last = k + 1 == n && !(c->flags & COLUMN_RIGHT) && text_width(cell) <= widths[k];
        if (k)
            text_add(out, "  ");
        put_cell(out, c, cell, last ? 0 : widths[k], style);
    }
    text_add_char(out, '\n');
}

void table_write(struct text *out, const struct column *columns, size_t count, const json_t *items,
                 const struct table_style *style)
{
    size_t shown[MOST_COLUMNS], rows = json_array_size(items);
    int widths[MOST_COLUMNS];
    size_t n = choose(columns, count < MOST_COLUMNS ? count : MOST_COLUMNS, style, shown, widths);
    auto_free char **cells = mem_new_array(char *, rows *n + 1);

    for (size_t i = 0; i < rows * n; i++) {
        struct text cell = {0};
        table_cell(&cell, &columns[shown[i % n]], json_array_get(items, i / n), style->now_ms);
        cells[i] = text_take(&cell);
        int width = text_width(cells[i]);
        if (width > widths[i % n])
            widths[i % n] = width;
    }
    fit_last(widths, n, style->columns);

    if (!style->no_header)
        put_row(out, columns, shown, widths, n, NULL, true, style);
    for (size_t r = 0; r < rows; r++)
        put_row(out, columns, shown, widths, n, cells + r * n, false, style);
    for (size_t i = 0; i < rows * n; i++)
        free(cells[i]);
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
        put_cell(out, &columns[i], cell.data, 0, style);
        text_add_char(out, '\n');
    }
}
