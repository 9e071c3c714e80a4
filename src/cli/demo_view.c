#include "cli/demo_view.h"

#include "base/mem.h"
#include "cli/figure.h"
#include "cli/json_view.h"
#include "cli/table.h"
#include "cli/width.h"

#include <ctype.h>
#include <inttypes.h>

/* LINE cut to the width, with a newline. LINE is emptied. */
static void put_line(struct text *out, struct text *line, const char *color, int columns)
{
    size_t len = text_fit(text_get(line), columns, NULL);
    text_add(out, color);
    text_add_bytes(out, text_get(line), len);
    text_add(out, *color ? COLOR_OFF : "");
    text_add_char(out, '\n');
    text_clear(line);
}

static void add_clock(struct text *out, int64_t ms)
{
    text_addf(out, "%02d:%02d", (int)(ms / 60000), (int)(ms / 1000 % 60));
}

static void device_line(struct text *line, const json_t *d)
{
    double util = view_number(d, "gpu_utilization", -1);
    int64_t used = view_int(d, "memory_used_mib", -1), total = view_int(d, "memory_total_mib", 0);
    auto_text struct text model = {0};
    text_add_printable(&model, view_text(d, "model"));
    text_add_padded(line, text_get(&model), 24, false);
    text_add_char(line, ' ');
    figure_bar(line, util, 12, true);
    if (util >= 0)
        text_addf(line, "%4.0f%%", util);
    text_add(line, "  ");
    figure_bar(line, total && used >= 0 ? 100.0 * (double)used / (double)total : -1, 8, true);
    if (used >= 0)
        text_addf(line, " %.1f/%.1f GiB", (double)used / 1024, (double)total / 1024);
    if (view_get(d, "power_watts"))
        text_addf(line, " %.0f W", view_number(d, "power_watts", 0));
    if (view_get(d, "temperature_celsius"))
        text_addf(line, " %" PRId64 " C", view_int(d, "temperature_celsius", 0));
}

static void job_cells(struct text *line, const json_t *job, int64_t now_ms)
{
    static const struct column cells[] = {
        {"WAIT", "wait_ms", CELL_WAIT, 0},
        {"RUN", "run_ms", CELL_RUN, 0},
    };
    const char *state = view_text(job, "state");
    double percent = view_number(job, "progress.percent", -1);
    auto_text struct text word = {0}, name = {0};

    text_addf(line, "%4" PRId64 "  ", view_int(job, "id", 0));
    text_add_printable(&name, view_text(job, "name"));
    text_add_padded(line, text_get(&name), 13, false);
    text_add_char(line, ' ');
    text_add_padded(line, view_text(job, "user"), 6, false);
    text_add_char(line, ' ');
    if (view_int(job, "position", 0))
        text_addf(&word, "%s, %" PRId64, state, view_int(job, "position", 0));
    else
        text_add(&word, state);
    text_add_padded(line, word.data, 10, false);
    text_add_char(line, ' ');
    if (strcmp(state, "Completed") == 0)
        percent = 100;
    figure_bar(line, percent, 20, true);
    if (percent >= 0)
        text_addf(line, "%4.0f%%", percent);
    else
        text_add(line, "     ");
    for (size_t i = 0; i < COUNT_OF(cells); i++) {
        auto_text struct text cell = {0};
        table_cell(&cell, &cells[i], job, now_ms);
        text_add_char(line, ' ');
        text_add_padded(line, cell.data, 6, true);
    }
}

static void count_states(const json_t *jobs, int *ret_waiting, int *ret_running, int *ret_ended)
{
    size_t i;
    json_t *job;
    *ret_waiting = *ret_running = *ret_ended = 0;
    json_array_foreach(jobs, i, job)
    {
        const char *state = view_text(job, "state");
        if (strcmp(state, "Queued") == 0)
            ++*ret_waiting;
        else if (strcmp(state, "Running") == 0 || strcmp(state, "Scheduled") == 0)
            ++*ret_running;
        else
            ++*ret_ended;
    }
}

/* What the first in the queue waits for: then so does everybody behind. */
static void put_wait(struct text *out, const json_t *jobs, int columns)
{
    auto_text struct text line = {0};
    size_t i;
    json_t *job;
    json_array_foreach(jobs, i, job)
    {
        if (view_int(job, "position", 0) != 1 || !*view_text(job, "reason"))
            continue;
        auto_text struct text whole = {0};
        text_add_printable(&whole, view_text(job, "reason"));
        const char *rest = strstr(text_get(&whole), "; ");
        text_addf(&line, "job %" PRId64 " waits: ", view_int(job, "id", 0));
        text_add_bytes(&line, text_get(&whole), rest ? (size_t)(rest - whole.data) : whole.len);
        put_line(out, &line, "", columns);
        if (rest) {
            text_addf(&line, "             %s", rest + 2);
            put_line(out, &line, "", columns);
        }
    }
}

void demo_draw(struct text *out, const struct demo_picture *p)
{
    auto_text struct text line = {0};
    int waiting, running, ended;
    size_t i;
    json_t *item;

    count_states(p->jobs, &waiting, &running, &ended);
    add_clock(&line, p->elapsed_ms);
    text_addf(&line, "  %d waiting, %d running, %d ended", waiting, running, ended);
    put_line(out, &line, p->color ? COLOR_BOLD : "", p->columns);
    json_array_foreach(view_items(p->devices), i, item)
    {
        if (i == 4)
            break;
        device_line(&line, item);
        put_line(out, &line, "", p->columns);
    }
    text_add(&line,
             "  ID  NAME          USER   STATE      PROGRESS                    WAIT    RUN");
    put_line(out, &line, p->color ? COLOR_BOLD : "", p->columns);
    json_array_foreach(p->jobs, i, item)
    {
        job_cells(&line, item, p->now_ms);
        put_line(out, &line, p->color ? state_color(view_text(item, "state")) : "", p->columns);
    }
    put_wait(out, p->jobs, p->columns);
}

void demo_line(struct text *out, const json_t *job, int64_t elapsed_ms)
{
    const char *state = view_text(job, "state");
    add_clock(out, elapsed_ms);
    text_addf(out, "  job %" PRId64 " (", view_int(job, "id", 0));
    text_add_printable(out, view_text(job, "name"));
    text_addf(out, ") of %s: %s", view_text(job, "user"), state);
    int64_t position = view_int(job, "position", 0);
    if (position)
        text_addf(out, ", position %" PRId64, position);
    else if (strcmp(state, "Running") == 0 && view_get(job, "progress.percent"))
        text_addf(out, ", %.0f %%", view_number(job, "progress.percent", 0));
    /* The first in the queue says what all of them wait for. */
    if (*view_text(job, "reason") && (position == 1 || strcmp(state, "Failed") == 0)) {
        text_add(out, ": ");
        text_add_printable(out, view_text(job, "reason"));
    }
    text_add_char(out, '\n');
}

/* What the rows of the table are made of: the job, with its accuracy, and its state in small
 * letters because it is a word of a sentence here. */
static json_t *table_rows(const json_t *jobs, const json_t *accuracy)
{
    json_t *rows = json_array(), *job;
    size_t i;
    json_array_foreach(jobs, i, job)
    {
        char id[24];
        json_t *row = json_copy(job);
        auto_free char *state = mem_strdup(view_text(job, "state"));
        for (char *p = state; *p; p++)
            *p = (char)tolower((unsigned char)*p);
        json_object_set_new(row, "state", json_string(state));
        snprintf(id, sizeof id, "%" PRId64, view_int(job, "id", 0));
        json_t *value = json_object_get(accuracy, id);
        if (json_is_number(value))
            json_object_set_new(row, "accuracy", json_real(100 * json_number_value(value)));
        json_array_append_new(rows, row);
    }
    return rows;
}

static void table_total(struct text *out, const json_t *jobs)
{
    double joules = 0;
    int64_t micros = 0, run_ms = 0;
    size_t i;
    json_t *job;
    json_array_foreach(jobs, i, job)
    {
        joules += view_number(job, "energy_joules", 0);
        micros += view_int(job, "cost_micros", 0);
        run_ms += view_int(job, "run_ms", 0);
    }
    text_addf(out, "\nTogether ");
    figure_span(out, run_ms);
    text_add(out, " of GPU time, ");
    figure_energy(out, joules);
    text_add(out, ", ");
    figure_money(out, micros, "USD");
    text_add(out, ".\n");
}

void demo_table(struct text *out, const json_t *jobs, const json_t *accuracy, bool color)
{
    static const struct column columns[] = {
        {"id", "id", CELL_TEXT, COLUMN_RIGHT},
        {"name", "name", CELL_TEXT, 0},
        {"user", "user", CELL_TEXT, 0},
        {"state", "state", CELL_STATE, 0},
        {"wait", "wait_ms", CELL_SPAN, COLUMN_RIGHT},
        {"run", "run_ms", CELL_SPAN, COLUMN_RIGHT},
        {"energy", "energy_joules", CELL_ENERGY, COLUMN_RIGHT},
        {"cost", "cost_micros", CELL_MONEY, COLUMN_RIGHT},
        {"accuracy", "accuracy", CELL_PERCENT, COLUMN_RIGHT},
        {"reason", "reason", CELL_TEXT, 0},
    };
    auto_json json_t *rows = table_rows(jobs, accuracy);
    bool reasons = false;
    size_t i;
    json_t *job;
    json_array_foreach(jobs, i, job)
    {
        reasons = reasons || (strcmp(view_text(job, "state"), "Completed") != 0);
    }
    table_write(out, columns, COUNT_OF(columns) - !reasons, rows,
                &(struct table_style){.color = color});
    table_total(out, jobs);
}
