#include "cli/top_frame.h"

#include "base/clock.h"
#include "base/mem.h"
#include "cli/figure.h"
#include "cli/json_view.h"
#include "cli/table.h"
#include "cli/width.h"

#include <inttypes.h>
#include <time.h>

static const char *const sort_names[TOP_SORTS] = {"order", "id", "user", "state", "wait", "run"};

const char *top_sort_name(enum top_sort s)
{
    return sort_names[s];
}

enum top_sort top_sort_find(const char *word)
{
    int i = 0;
    while (i < TOP_SORTS && strcmp(sort_names[i], word) != 0)
        i++;
    return (enum top_sort)i;
}

void top_frame_done(struct top_frame *f)
{
    for (size_t i = 0; i < f->count; i++)
        free(f->lines[i].text);
    free(f->lines);
    *f = (struct top_frame){0};
}

/* TEXT is emptied. */
static void add_line(struct top_frame *f, const struct top_look *look, struct text *text,
                     enum top_style style)
{
    if ((int)f->count < look->rows) {
        struct text cut = {0};
        text_add_padded(&cut, text_get(text), look->columns, false);
        f->lines = mem_resize_array(f->lines, f->count + 1);
        f->lines[f->count++] = (struct top_line){text_take(&cut), style};
    }
    text_clear(text);
}

static void add_head(struct top_frame *f, const struct top_data *d, const struct top_look *look)
{
    auto_text struct text left = {0}, line = {0};
    time_t now = (time_t)(d->now_ms / 1000);
    struct tm tm;
    char clock[16];
    localtime_r(&now, &tm);
    strftime(clock, sizeof clock, "%H:%M:%S", &tm);

    text_addf(&left, "reeve %s", view_text(d->status, "version"));
    if (*view_text(d->status, "site"))
        text_addf(&left, "  site %s", view_text(d->status, "site"));
    if (view_get(d->status, "uptime_ms")) {
        text_add(&left, "  up ");
        figure_span(&left, view_int(d->status, "uptime_ms", 0));
    }
    text_add_padded(&line, text_get(&left), look->columns > 9 ? look->columns - 9 : 1, false);
    text_addf(&line, " %s", clock);
    add_line(f, look, &line, TOP_TITLE);

    text_addf(&line, "%" PRId64 " waiting, %" PRId64 " running",
              view_int(d->queue, "queue_length", 0), view_int(d->queue, "running", 0));
    double busy = view_number(d->status, "gpu_busy_percent", -1);
    if (busy >= 0)
        text_addf(&line, "  GPUs %.0f%% busy", busy);
    if (view_get(d->status, "submit_to_start_ms.p99")) {
        text_add(&line, "  start p99 ");
        figure_span(&line, view_int(d->status, "submit_to_start_ms.p99", 0));
    }
    text_add(&line, "  today ");
    figure_money(&line, view_int(d->status, "cost_today_micros", 0), "USD");
    text_add(&line, ", ");
    figure_energy(&line, view_number(d->status, "energy_today_joules", 0));
    add_line(f, look, &line, TOP_PLAIN);
    if (d->trouble) {
        text_add_printable(&line, d->trouble);
        add_line(f, look, &line, TOP_BAD);
    }
}

/* ---- GPUs ---- */

static enum top_style device_style(const json_t *device)
{
    const char *state = view_text(device, "state");
    if (strcmp(state, "faulty") == 0 || strcmp(state, "unknown") == 0)
        return TOP_BAD;
    if (strcmp(state, "busy") == 0)
        return TOP_WAITING;
    return strcmp(state, "allocated") == 0 ? TOP_GOOD : TOP_PLAIN;
}

/* What tells GPUs apart: not their maker. */
static const char *short_model(const char *model)
{
    static const char *const common[] = {"NVIDIA ", "GeForce ", "AMD ", "Intel "};
    for (size_t i = 0; i < COUNT_OF(common); i++)
        if (text_starts_with(model, common[i]))
            model += strlen(common[i]);
    return model;
}

enum { NAME_COLUMNS = 22 };

static void device_line(struct text *out, const json_t *device, int bar)
{
    auto_text struct text name = {0}, memory = {0};
    int64_t used = view_int(device, "memory_used_mib", -1),
            total = view_int(device, "memory_total_mib", 0);
    double util = view_number(device, "gpu_utilization", -1);
    text_add_printable(&name, view_text(device, "node"));
    text_addf(&name, ":%" PRId64 " ", view_int(device, "index", 0));
    text_add_printable(&name, short_model(view_text(device, "model")));
    text_add_padded(out, text_get(&name), NAME_COLUMNS, false);
    text_add_char(out, ' ');
    figure_bar(out, util, bar, true);
    if (util >= 0)
        text_addf(out, "%4.0f%% ", util);
    else
        text_add(out, "   -  ");
    figure_bar(out, total && used >= 0 ? 100.0 * (double)used / (double)total : -1, bar, true);
    if (used >= 0)
        text_addf(&memory, "%.1f/%.1fG", (double)used / 1024, (double)total / 1024);
    text_add_padded(out, memory.len ? memory.data : "-", 10, true);
    if (view_get(device, "power_watts"))
        text_addf(out, " %4.0fW", view_number(device, "power_watts", 0));
    else
        text_add(out, "    - ");
    if (view_get(device, "temperature_celsius"))
        text_addf(out, " %3" PRId64 "C", view_int(device, "temperature_celsius", 0));
    else
        text_add(out, "   - ");
    if (view_get(device, "job.id")) {
        text_addf(out, " job %" PRId64 " ", view_int(device, "job.id", 0));
        text_add_printable(out, view_text(device, "job.user"));
    } else {
        text_addf(out, " %s", view_text(device, "state"));
    }
}

static void add_devices(struct top_frame *f, const struct top_data *d, const struct top_look *look)
{
    const json_t *items = view_items(d->devices);
    auto_text struct text line = {0};
    int room = (look->rows - 6) / 2, bar = look->columns >= 110 ? 16 : 8;
    int count = (int)json_array_size(items), from = look->device_scroll;
    f->devices = count;
    if (room < 1)
        room = 1;
    if (from > count - room)
        from = count > room ? count - room : 0;
    text_add_padded(&line, "GPU", NAME_COLUMNS, false);
    text_add_char(&line, ' ');
    text_add_padded(&line, "UTIL", bar + 6, false);
    text_add_padded(&line, "MEMORY", bar + 10, false);
    text_add(&line, " POWER TEMP HELD BY");
    add_line(f, look, &line, TOP_HEADER);
    for (int i = from; i < count && i < from + room; i++) {
        const json_t *device = json_array_get(items, (size_t)i);
        device_line(&line, device, bar);
        add_line(f, look, &line, device_style(device));
    }
    if (!count) {
        text_add(&line, d->devices ? "no GPUs" : "");
        add_line(f, look, &line, TOP_PLAIN);
    } else if (count > room) {
        text_addf(&line, "%d to %d of %d GPUs; [ and ] move", from + 1,
                  from + room < count ? from + room : count, count);
        add_line(f, look, &line, TOP_PLAIN);
    }
}

/* ---- jobs ---- */

static const struct column job_columns[] = {
    {"POS", "position", CELL_TEXT, COLUMN_RIGHT},
    {"ID", "id", CELL_TEXT, COLUMN_RIGHT},
    {"USER", "user", CELL_TEXT, 0},
    {"STATE", "state", CELL_TEXT, 0},
    {"WAIT", "wait_ms", CELL_WAIT, COLUMN_RIGHT},
    {"RUN", "run_ms", CELL_RUN, COLUMN_RIGHT},
    {"PROGRESS", "progress", CELL_PROGRESS, 0},
    {"NAME", "name", CELL_TEXT, 0},
};
static const int job_widths[] = {5, 6, 10, 9, 7, 7, 17, 0};

struct ranked {
    const json_t *job;
    size_t at; /* place in the queue: decides between equals */
    int64_t wait_ms, run_ms;
};

/* qsort() has no argument for these. One thread. */
static enum top_sort sorting;
static bool reversed;

static int state_rank(const json_t *job)
{
    const char *state = view_text(job, "state");
    return strcmp(state, "Running") == 0 ? 0 : strcmp(state, "Scheduled") == 0 ? 1 : 2;
}

static int by_choice(const void *pa, const void *pb)
{
    const struct ranked *a = pa, *b = pb;
    int64_t d = 0;
    switch (sorting) {
    case TOP_BY_ID:
        d = view_int(a->job, "id", 0) - view_int(b->job, "id", 0);
        break;
    case TOP_BY_USER:
        d = strcmp(view_text(a->job, "user"), view_text(b->job, "user"));
        break;
    case TOP_BY_STATE:
        d = state_rank(a->job) - state_rank(b->job);
        break;
    case TOP_BY_WAIT:
        d = b->wait_ms - a->wait_ms;
        break;
    case TOP_BY_RUN:
        d = b->run_ms - a->run_ms;
        break;
    default:
        break;
    }
    if (!d)
        d = (int64_t)a->at - (int64_t)b->at;
    if (reversed)
        d = -d;
    return (d > 0) - (d < 0);
}

static int64_t span_since(const json_t *job, const char *key, int64_t now_ms)
{
    int64_t at = view_time(job, key);
    return at ? now_ms - at : -1;
}

static enum top_style job_style(const json_t *job)
{
    int rank = state_rank(job);
    return rank == 0 ? TOP_GOOD : rank == 1 ? TOP_BUSY : TOP_PLAIN;
}

static void job_line(struct text *out, const json_t *job, int64_t now_ms)
{
    for (size_t k = 0; k < COUNT_OF(job_columns); k++) {
        auto_text struct text cell = {0};
        if (job)
            table_cell(&cell, &job_columns[k], job, now_ms);
        else
            text_add(&cell, job_columns[k].title);
        if (k)
            text_add_char(out, ' ');
        if (job_widths[k])
            text_add_padded(out, text_get(&cell), job_widths[k],
                            job_columns[k].flags & COLUMN_RIGHT);
        else
            text_add(out, text_get(&cell));
    }
}

static void add_jobs(struct top_frame *f, const struct top_data *d, const struct top_look *look)
{
    const json_t *items = view_items(d->queue);
    size_t count = json_array_size(items);
    auto_free struct ranked *order = mem_new_array(struct ranked, count + 1);
    auto_text struct text line = {0};

    for (size_t i = 0; i < count; i++) {
        const json_t *job = json_array_get(items, i);
        order[i] = (struct ranked){job, i, span_since(job, "submitted_at", d->now_ms),
                                   span_since(job, "started_at", d->now_ms)};
    }
    sorting = look->sort;
    reversed = look->reverse;
    qsort(order, count, sizeof *order, by_choice);

    f->jobs = (int)count;
    job_line(&line, NULL, 0);
    add_line(f, look, &line, TOP_HEADER);
    for (size_t i = (size_t)look->job_scroll; i < count && (int)f->count < look->rows - 1; i++) {
        job_line(&line, order[i].job, d->now_ms);
        add_line(f, look, &line, job_style(order[i].job));
    }
    if (!count && d->queue) {
        text_add(&line, "the queue is empty");
        add_line(f, look, &line, TOP_PLAIN);
    }
}

static void add_help(struct top_frame *f, const struct top_look *look)
{
    static const char *const lines[] = {
        "q            leave",
        "s            sort by the next: order, id, user, state, wait, run",
        "r            the other way round",
        "up, down     move in the queue; also page up, page down, home",
        "[ and ]      move in the GPUs",
        "blank        look again now",
        "h            this text, and back",
    };
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        auto_text struct text line = {0};
        text_add(&line, lines[i]);
        add_line(f, look, &line, TOP_PLAIN);
    }
}

void top_frame_make(struct top_frame *f, const struct top_data *data, const struct top_look *look)
{
    auto_text struct text line = {0};
    *f = (struct top_frame){0};
    add_head(f, data, look);
    add_line(f, look, &line, TOP_PLAIN);
    if (look->help) {
        add_help(f, look);
        return;
    }
    add_devices(f, data, look);
    add_line(f, look, &line, TOP_PLAIN);
    add_jobs(f, data, look);
    while ((int)f->count < look->rows - 1)
        add_line(f, look, &line, TOP_PLAIN);
    text_addf(&line, "q leave  s sort (%s%s)  r reverse  h help", sort_names[look->sort],
              look->reverse ? ", reversed" : "");
    add_line(f, look, &line, TOP_HEADER);
}
