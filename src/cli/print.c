#include "cli/print.h"

#include "base/clock.h"
#include "base/mem.h"
#include "cli/client.h"
#include "cli/json_view.h"
#include "cli/width.h"
#include "cli/yaml_out.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <time.h>

struct table_style cli_style(const struct cli *c)
{
    return (struct table_style){.now_ms = clock_wall_ms(),
                                .columns = c->columns,
                                .wide = c->format == OUTPUT_WIDE,
                                .color = c->color};
}

void print_text(const struct text *t)
{
    fwrite(text_get(t), 1, t->len, stdout);
    fflush(stdout);
}

void say(struct cli *c, const char *fmt, ...)
{
    if (c->format != OUTPUT_TABLE && c->format != OUTPUT_WIDE)
        return;
    va_list args;
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
}

static void render_names(const struct view *v, const json_t *answer, struct text *out)
{
    const struct column name = {"", v->name_key, CELL_TEXT, 0};
    struct table_style style = {.no_header = true};
    if (v->one) {
        table_cell(out, &name, answer, 0);
        text_add_char(out, '\n');
        return;
    }
    table_write(out, &name, 1, view_items(answer), &style);
}

static void render_table(struct cli *c, const struct view *v, const json_t *answer,
                         struct text *out)
{
    struct table_style style = cli_style(c);
    if (v->above)
        v->above(c, answer, out);
    if (v->one)
        table_write_one(out, v->columns, v->count, answer, &style);
    else if (json_array_size(view_items(answer)) || !v->empty)
        table_write(out, v->columns, v->count, view_items(answer), &style);
    else
        text_addf(out, "%s\n", v->empty);
    if (v->below)
        v->below(c, answer, out);
}

void view_render(struct cli *c, const struct view *v, const json_t *answer, struct text *out)
{
    if (c->format == OUTPUT_JSON) {
        auto_free char *json = json_dumps(answer, JSON_INDENT(2) | JSON_ENCODE_ANY);
        text_addf(out, "%s\n", json ? json : "null");
    } else if (c->format == OUTPUT_YAML) {
        yaml_write(out, answer);
    } else if (c->format == OUTPUT_NAME && v->name_key) {
        render_names(v, answer, out);
    } else {
        render_table(c, v, answer, out);
    }
}

void view_print(struct cli *c, const struct view *v, const json_t *answer)
{
    auto_text struct text out = {0};
    view_render(c, v, answer, &out);
    print_text(&out);
}

/* ---- watching ---- */

static int terminal_rows(struct cli *c)
{
    struct winsize size;
    if (!c->terminal || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_row)
        return 0;
    c->columns = size.ws_col;
    return size.ws_row;
}

/* The frame over the one before, without a flicker: each line ends by clearing what is behind it.
 */
static void redraw(struct cli *c, const char *frame, bool first)
{
    auto_text struct text out = {0};
    int rows = terminal_rows(c);
    text_add(&out, first ? "\033[2J\033[H" : "\033[H");
    for (int row = 1; *frame; row++) {
        size_t len = strcspn(frame, "\n");
        text_add_bytes(&out, frame, len);
        text_add(&out, "\033[K");
        frame += len + (frame[len] == '\n');
        if (rows && row == rows)
            break;
        if (*frame || !rows || row < rows - 1)
            text_add(&out, "\n");
    }
    text_add(&out, "\033[J");
    print_text(&out);
}

static void wait_ms(int64_t ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

static int watch(struct cli *c, const struct view *v, struct client *client, const char *path,
                 struct err *e)
{
    struct client_etag etag = {0};
    auto_json json_t *shown = NULL;
    for (bool first = true;; wait_ms(c->opt.interval_ms)) {
        json_t *answer = NULL;
        struct err trouble = {0};
        if (client_get_changed(client, path, &etag, &answer, &trouble) < 0 &&
            (!shown || !err_is_temporary(trouble.code))) {
            *e = trouble;
            return -1;
        }
        if (answer) {
            json_decref(shown);
            shown = answer;
        } else if (!c->terminal) {
            continue;
        }
        auto_text struct text frame = {0};
        terminal_rows(c);
        if (trouble.code)
            text_addf(&frame, "%s; this is the last answer\n", trouble.text);
        view_render(c, v, shown, &frame);
        if (c->terminal)
            redraw(c, text_get(&frame), first);
        else
            print_text(&frame);
        first = false;
    }
}

/* ---- lists ---- */

/* Reads one page: its items go into the table, the rest into REST. Overwrites TEXT. */
static int read_page(struct table *t, char *text, size_t len, json_t *rest, struct err *e)
{
    struct json_scan s;
    struct json_part key, value;
    bool has_items = false;
    json_scan_init(&s, text, len);
    for (json_scan_object(&s); json_scan_member(&s, &key);) {
        if (json_part_is(&key, "items") && !has_items) {
            has_items = true;
            for (json_scan_list(&s); json_scan_item(&s);)
                table_read(t, &s);
            continue;
        }
        json_t *parsed = NULL;
        const char *name = json_part_text_here(&key);
        json_scan_value(&s, &value);
        bool quoted = value.kind == JSON_PART_TEXT;
        if (value.kind != JSON_PART_NONE &&
            json_parse(value.at - quoted, value.len + 2 * quoted, &parsed, e) < 0)
            return -1;
        json_object_set_new(rest, name, parsed);
    }
    if (json_scan_end(&s, e) < 0)
        return -1;
    return has_items ? 0 : err_set(e, ERR_INTERNAL, "it holds no list");
}

static void print_table(struct cli *c, const struct view *v, const struct table *t,
                        const json_t *rest)
{
    auto_text struct text out = {0};
    if (v->above)
        v->above(c, rest, &out);
    if (table_row_count(t) || !v->empty)
        table_draw(t, &out);
    else
        text_addf(&out, "%s\n", v->empty);
    if (v->below)
        v->below(c, rest, &out);
    print_text(&out);
}

enum { CURSOR_SIZE = 32 };

/* The next page's cursor, as the end of TEXT has it, where our server puts it; false: not there.
 * Only a guess, to ask early: what counts is read later. */
static bool guess_cursor(const char *text, size_t len, char ret[CURSOR_SIZE])
{
    static const char key[] = "\"next_cursor\":\"", end[] = "\"}";
    const char *tail = text + (len > 64 ? len - 64 : 0), *found = NULL;
    for (const char *at = tail; (at = strstr(at, key)); at++)
        found = at + strlen(key);
    size_t digits = found ? strspn(found, "0123456789") : 0;
    if (!digits || digits >= CURSOR_SIZE || strcmp(found + digits, end) != 0)
        return false;
    snprintf(ret, CURSOR_SIZE, "%.*s", (int)digits, found);
    return true;
}

/* As view_print() of client_list(), but no tree is made of the items: for 10,000 jobs that took
 * longer than all the rest. */
static int show_rows(struct cli *c, const struct view *v, struct client *client, const char *path,
                     int64_t most, struct err *e)
{
    struct table_style style = cli_style(c);
    style.no_header = c->format == OUTPUT_NAME;
    auto_table struct table *t = table_new(v->columns, v->count, &style);
    auto_json json_t *rest = json_object();
    auto_free char *cursor = NULL;
    do {
        auto_free char *text = NULL;
        size_t len;
        char guess[CURSOR_SIZE];
        int64_t left = most - (int64_t)table_row_count(t);
        if (client_page(client, path, left, cursor, &text, &len, e) < 0)
            return -1;
        if (left > CLIENT_PAGE && guess_cursor(text, len, guess))
            client_page_ahead(client, path, left - CLIENT_PAGE, guess);
        if (read_page(t, text, len, rest, e) < 0)
            return err_wrap(e, "the answer of %s is not a list; is it reeved?",
                            client_where(client));
        free(cursor);
        cursor =
            *view_text(rest, "next_cursor") ? mem_strdup(view_text(rest, "next_cursor")) : NULL;
    } while (cursor && (int64_t)table_row_count(t) < most);
    print_table(c, v, t, rest);
    return 0;
}

/* PATH with the fields that are shown, where the server can leave out the others. */
static char *path_of(const struct cli *c, const struct view *v, const char *path)
{
    if (!v->picks_fields)
        return mem_strdup(path);
    struct text keys = {0};
    text_addf(&keys, "%s%cfields=", path, strchr(path, '?') ? '&' : '?');
    table_keys(v->columns, v->count, c->format == OUTPUT_WIDE, &keys);
    return text_take(&keys);
}

static int show_list(struct cli *c, const struct view *v, const char *plain_path, int64_t most,
                     struct client *client, struct err *e)
{
    /* As --output name shows it: one column, and nothing around it. */
    const struct column name = {"", v->name_key, CELL_TEXT, 0};
    const struct view names = {
        .columns = &name, .count = 1, .name_key = v->name_key, .picks_fields = v->picks_fields};
    if (c->format == OUTPUT_NAME && v->name_key)
        v = &names;
    auto_free char *path = path_of(c, v, plain_path);
    if (c->opt.watch) {
        auto_text struct text page = {0};
        text_addf(&page, "%s%climit=%lld", path, strchr(path, '?') ? '&' : '?',
                  (long long)(most < CLIENT_PAGE ? most : CLIENT_PAGE));
        return watch(c, v, client, page.data, e);
    }
    return show_rows(c, v, client, path, most, e);
}

int view_show(struct cli *c, const struct view *v, const char *path, int64_t most, struct err *e)
{
    struct client *client;
    auto_json json_t *answer = NULL;
    bool whole = c->format == OUTPUT_JSON || c->format == OUTPUT_YAML;
    if (cli_client(c, &client, e) < 0)
        return -1;
    if (!v->one && !whole)
        return show_list(c, v, path, most, client, e);
    if (c->opt.watch) {
        auto_text struct text page = {0};
        text_add(&page, path);
        if (!v->one)
            text_addf(&page, "%climit=%lld", strchr(path, '?') ? '&' : '?',
                      (long long)(most < CLIENT_PAGE ? most : CLIENT_PAGE));
        return watch(c, v, client, page.data, e);
    }
    if ((v->one ? client_get(client, path, &answer, e)
                : client_list(client, path, most, &answer, e)) < 0)
        return -1;
    view_print(c, v, answer);
    return 0;
}
