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
    size_t i;
    json_t *item;
    if (v->one) {
        table_cell(out, &name, answer, 0);
        text_add_char(out, '\n');
        return;
    }
    json_array_foreach(view_items(answer), i, item)
    {
        table_cell(out, &name, item, 0);
        text_add_char(out, '\n');
    }
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

int view_show(struct cli *c, const struct view *v, const char *path, int64_t most, struct err *e)
{
    struct client *client;
    auto_json json_t *answer = NULL;
    if (cli_client(c, &client, e) < 0)
        return -1;
    if (c->opt.watch) {
        auto_free char *at = v->one
                                 ? mem_strdup(path)
                                 : mem_printf("%s%climit=%d", path, strchr(path, '?') ? '&' : '?',
                                              (int)(most < 1000 ? most : 1000));
        return watch(c, v, client, at, e);
    }
    if ((v->one ? client_get(client, path, &answer, e)
                : client_list(client, path, most, &answer, e)) < 0)
        return -1;
    view_print(c, v, answer);
    return 0;
}
