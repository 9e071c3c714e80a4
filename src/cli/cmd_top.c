/* top: GPUs and queue on the whole screen, live. */
#include "base/clock.h"
#include "base/mem.h"
#include "cli/client.h"
#include "cli/json_view.h"
#include "cli/print.h"
#include "cli/table.h"
#include "cli/top_frame.h"

#include <curses.h>
#include <langinfo.h>
#include <locale.h>

struct top_options {
    bool once;
    char *sort;
    int64_t interval_ms, width;
};

static const struct option_spec specs[] = {
    {"once", '1', OPTION_FLAG, offsetof(struct top_options, once), NULL, NULL, 0, 0,
     "print one picture as text and end", .flag_only = true},
    {"sort", 's', OPTION_TEXT, offsetof(struct top_options, sort), "KEY", "order", 0, 0,
     "how jobs are sorted at first: order, id, user, state, wait or run", .flag_only = true},
    {"interval", 'i', OPTION_DURATION, offsetof(struct top_options, interval_ms), "TIME", "1s", 100,
     3600000, "how often to look", .flag_only = true},
    {"width", 0, OPTION_INT, offsetof(struct top_options, width), "COLUMNS", NULL, 40, 1000,
     "of the picture of --once (default: of the terminal, else 100)", .flag_only = true},
};

/* The newest answers, and the ETags that save asking for the same again. */
struct top {
    struct client *client;
    json_t *status, *devices, *queue;
    struct client_etag devices_etag, queue_etag;
    struct err trouble;
};

static void top_done(struct top *t)
{
    json_decref(t->status);
    json_decref(t->devices);
    json_decref(t->queue);
}

static void replace(json_t **at, json_t *by)
{
    if (!by)
        return;
    json_decref(*at);
    *at = by;
}

static int look_again(struct top *t, struct err *e)
{
    json_t *status = NULL, *devices = NULL, *queue = NULL;
    if (client_get(t->client, "/api/v1/status", &status, e) < 0)
        return -1;
    replace(&t->status, status);
    if (client_get_changed(t->client, "/api/v1/queue?limit=1000", &t->queue_etag, &queue, e) < 0)
        return -1;
    replace(&t->queue, queue);
    /* GPUs are not for everybody; the queue is worth a look without them. */
    if (client_get_changed(t->client, "/api/v1/devices?limit=1000", &t->devices_etag, &devices, e) <
        0) {
        if (e->code != ERR_DENIED)
            return -1;
        *e = (struct err){0};
    }
    replace(&t->devices, devices);
    return 0;
}

static struct top_data top_data(const struct top *t)
{
    return (struct top_data){.status = t->status,
                             .devices = t->devices,
                             .queue = t->queue,
                             .now_ms = clock_wall_ms(),
                             .trouble = t->trouble.code ? t->trouble.text : NULL};
}

static const char *const once_colors[] = {
    [TOP_PLAIN] = "",        [TOP_TITLE] = COLOR_BOLD, [TOP_HEADER] = COLOR_BOLD,
    [TOP_GOOD] = "\033[32m", [TOP_WAITING] = "",       [TOP_BAD] = "\033[31m",
    [TOP_BUSY] = "\033[33m",
};

static void print_once(struct cli *c, const struct top *t, const struct top_options *o,
                       enum top_sort sort)
{
    struct top_data data = top_data(t);
    int rows = 10 + (int)json_array_size(view_items(t->queue)) +
               2 * (int)json_array_size(view_items(t->devices));
    struct top_look look = {.columns = o->width     ? (int)o->width
                                       : c->columns ? c->columns
                                                    : 100,
                            .rows = rows,
                            .sort = sort};
    struct top_frame f;
    top_frame_make(&f, &data, &look);
    size_t count = f.count ? f.count - 1 : 0; /* without the line of keys */
    while (count && strspn(f.lines[count - 1].text, " ") == strlen(f.lines[count - 1].text))
        count--;
    for (size_t i = 0; i < count; i++) {
        char *text = f.lines[i].text;
        size_t len = strlen(text);
        while (len && text[len - 1] == ' ')
            len--;
        const char *color = c->color ? once_colors[f.lines[i].style] : "";
        printf("%s%.*s%s\n", color, (int)len, text, *color ? COLOR_OFF : "");
    }
    top_frame_done(&f);
}

/* ---- the screen ---- */

static void choose_colors(void)
{
    static const short colors[] = {[TOP_GOOD] = COLOR_GREEN,
                                   [TOP_WAITING] = COLOR_YELLOW,
                                   [TOP_BAD] = COLOR_RED,
                                   [TOP_BUSY] = COLOR_CYAN};
    start_color();
    use_default_colors();
    for (short i = 0; i < (short)COUNT_OF(colors); i++)
        if (colors[i])
            init_pair(i, colors[i], -1);
}

static attr_t attribute(enum top_style s, bool color)
{
    if (s == TOP_TITLE)
        return A_BOLD;
    if (s == TOP_HEADER)
        return A_REVERSE;
    return color && s != TOP_PLAIN ? COLOR_PAIR((int)s) : A_NORMAL;
}

static void draw(const struct top *t, struct top_look *look, int *ret_jobs, int *ret_devices,
                 bool color)
{
    struct top_data data = top_data(t);
    struct top_frame f;
    getmaxyx(stdscr, look->rows, look->columns);
    top_frame_make(&f, &data, look);
    erase();
    for (size_t i = 0; i < f.count; i++) {
        attrset(attribute(f.lines[i].style, color));
        mvaddstr((int)i, 0, f.lines[i].text);
    }
    attrset(A_NORMAL);
    refresh();
    *ret_jobs = f.jobs;
    *ret_devices = f.devices;
    top_frame_done(&f);
}

static int within(int value, int most)
{
    return value > most ? (most > 0 ? most : 0) : value < 0 ? 0 : value;
}

/* True when the picture must be drawn again; *RET_END when the user leaves. */
static bool on_key(int key, struct top_look *look, int jobs, int devices, bool *ret_end)
{
    int page = look->rows / 2;
    switch (key) {
    case ERR:
        return false;
    case 'q':
    case 'Q':
        *ret_end = true;
        return false;
    case 's':
        look->sort = (enum top_sort)((look->sort + 1) % TOP_SORTS);
        return true;
    case 'r':
        look->reverse = !look->reverse;
        return true;
    case 'h':
    case '?':
        look->help = !look->help;
        return true;
    case KEY_UP:
    case KEY_DOWN:
        look->job_scroll = within(look->job_scroll + (key == KEY_UP ? -1 : 1), jobs - 1);
        return true;
    case KEY_PPAGE:
    case KEY_NPAGE:
        look->job_scroll = within(look->job_scroll + (key == KEY_PPAGE ? -page : page), jobs - 1);
        return true;
    case KEY_HOME:
        look->job_scroll = 0;
        return true;
    case '[':
    case ']':
        look->device_scroll = within(look->device_scroll + (key == '[' ? -1 : 1), devices - 1);
        return true;
    default:
        return true;
    }
}

static void run_screen(struct cli *c, struct top *t, const struct top_options *o,
                       enum top_sort sort)
{
    struct top_look look = {.sort = sort};
    int jobs = 0, devices = 0;
    bool end = false;
    const char *none = getenv("NO_COLOR");

    /* Bars and names are UTF-8, and so is what we write; curses must be told, whatever the locale.
     */
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        setlocale(LC_CTYPE, "C.UTF-8");
    /* These would freeze the size of the screen at what it was when somebody set them. */
    unsetenv("LINES");
    unsetenv("COLUMNS");
    initscr();
    cbreak();
    noecho();
    curs_set(0);
    keypad(stdscr, TRUE);
    bool color =
        has_colors() && !(none && *none) && !(c->opt.color && strcmp(c->opt.color, "never") == 0);
    if (color)
        choose_colors();
    for (int64_t next_ms = 0; !end;) {
        int64_t now = clock_mono_ms();
        if (now >= next_ms) {
            t->trouble = (struct err){0};
            (void)look_again(t, &t->trouble);
            draw(t, &look, &jobs, &devices, color);
            next_ms = clock_mono_ms() + o->interval_ms;
        }
        timeout((int)(next_ms > now ? next_ms - now : 0));
        int key = getch();
        if (key == ' ')
            next_ms = 0;
        else if (on_key(key, &look, jobs, devices, &end))
            draw(t, &look, &jobs, &devices, color);
    }
    endwin();
}

static int run_top(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    const struct top_options *o = own;
    struct top t = {0};
    enum top_sort sort = top_sort_find(o->sort);
    if (argc)
        return err_set(e, ERR_INVALID, "'%.64s' is too much", argv[0]);
    if (sort == TOP_SORTS)
        return err_set(e, ERR_INVALID, "sort '%.40s' is not order, id, user, state, wait or run",
                       o->sort);
    if (!o->once && !(c->terminal && isatty(STDIN_FILENO)))
        return err_set(e, ERR_INVALID, "this is no terminal; --once prints one picture");
    if (cli_client(c, &t.client, e) < 0)
        return -1;

    int rc = look_again(&t, e);
    if (rc == 0 && o->once)
        print_once(c, &t, o, sort);
    else if (rc == 0)
        run_screen(c, &t, o, sort);
    top_done(&t);
    return rc;
}

const struct command cmd_top = {
    .name = "top",
    .summary = "show GPUs and queue on the whole screen, live",
    .operands = "",
    .specs = specs,
    .count = COUNT_OF(specs),
    .size = sizeof(struct top_options),
    .flags = COMMAND_CONNECTS,
    .run = run_top,
    .text = ".Pp\nKeys:\n.Ic q\nleaves,\n.Ic s\nsorts by the next key,\n.Ic r\nreverses,\n.Ic "
            "h\nhelps,\n"
            "the arrows move in the queue,\n.Ic \\&[\nand\n.Ic \\&]\nin the GPUs.\n",
};
