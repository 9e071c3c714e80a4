/* status: how the whole is doing, with the figures that the queue is judged by. */
#include "base/mem.h"
#include "cli/client.h"
#include "cli/figure.h"
#include "cli/json_view.h"
#include "cli/print.h"
#include "cli/width.h"

#include <inttypes.h>

static const struct column status_columns[] = {
    {"Version", "version", CELL_TEXT, 0},  {"Site", "site", CELL_TEXT, 0},
    {"Up for", "uptime_ms", CELL_SPAN, 0}, {"Waiting", "queue_length", CELL_TEXT, 0},
    {"Running", "running", CELL_TEXT, 0},
};

/* "3 of 4 ready, 1 unknown": the parts that are not zero. */
static void add_parts(struct text *out, const char *title, const json_t *counts)
{
    const char *key, *comma = "";
    json_t *value;
    text_addf(out, "%-8s %" PRId64, title, view_int(counts, "total", 0));
    json_object_foreach((json_t *)counts, key, value)
    {
        if (strcmp(key, "total") == 0 || !json_integer_value(value))
            continue;
        text_addf(out, "%s%lld %s", *comma ? comma : ": ", (long long)json_integer_value(value),
                  key);
        comma = ", ";
    }
    text_add_char(out, '\n');
}

/* A figure against its target: "submit to start  p50 12ms, p99 41ms  (aim: under 30s)  ok". */
static void add_target(struct cli *c, struct text *out, const char *title, const char *value,
                       const char *aim, int verdict)
{
    static const char *const words[] = {"-", "ok", "missed"};
    const char *color = !c->color || !verdict ? "" : verdict == 1 ? "\033[32m" : "\033[31m";
    text_addf(out, "  %-16s  %-24s  %-22s  %s%s%s\n", title, value, aim, color, words[verdict],
              *color ? COLOR_OFF : "");
}

static void add_percentiles(struct cli *c, struct text *out, const char *title, const json_t *pair,
                            const char *aim, double most_ms)
{
    auto_text struct text value = {0};
    if (!view_get(pair, "p99")) {
        add_target(c, out, title, "nothing measured yet", aim, 0);
        return;
    }
    double p99 = view_number(pair, "p99", 0), p50 = view_number(pair, "p50", 0);
    if (p99 < 10)
        text_addf(&value, "p50 %.2f ms, p99 %.2f ms", p50, p99);
    else {
        text_add(&value, "p50 ");
        figure_span(&value, (int64_t)p50);
        text_add(&value, ", p99 ");
        figure_span(&value, (int64_t)p99);
    }
    add_target(c, out, title, value.data, aim, p99 < most_ms ? 1 : 2);
}

static void add_targets(struct cli *c, const json_t *s, struct text *out)
{
    text_add(out, "\nWhat the queue is judged by\n");
    add_percentiles(c, out, "submit to start", view_get(s, "submit_to_start_ms"), "aim: under 30 s",
                    30000);
    add_percentiles(c, out, "status answer", view_get(s, "status_latency_ms"), "aim: under 100 ms",
                    100);
    auto_text struct text busy = {0}, ratio = {0};
    double percent = view_number(s, "gpu_busy_percent", -1),
           wait = view_number(s, "wait_run_ratio", -1);
    if (percent < 0)
        text_add(&busy, "nothing measured yet");
    else
        text_addf(&busy, "%.1f%%", percent);
    if (wait < 0)
        text_add(&ratio, "nothing measured yet");
    else
        text_addf(&ratio, "%.2f : 1", wait);
    add_target(c, out, "GPU busy", busy.data, "aim: over 80 %",
               percent < 0    ? 0
               : percent > 80 ? 1
                              : 2);
    add_target(c, out, "wait : run", ratio.data, "aim: under 2 : 1",
               wait < 0   ? 0
               : wait < 2 ? 1
                          : 2);
}

/* The buckets of today's device time, which together are all of it. */
static void add_time(const json_t *time, struct text *out)
{
    static const struct {
        const char *key, *title;
    } parts[] = {
        {"jobs_us", "jobs"},
        {"reserved_us", "reserved and unused"},
        {"idle_us", "idle"},
        {"maintenance_us", "maintenance"},
        {"faulty_us", "faulty"},
        {"foreign_us", "foreign processes"},
        {"unmeasured_us", "unmeasured"},
        {"system_us", "system"},
    };
    double total = 0;
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        total += view_number(time, parts[i].key, 0);
    if (total <= 0)
        return;
    text_add(out, "\nWhere the GPUs' time of today went\n");
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        double share = 100 * view_number(time, parts[i].key, 0) / total;
        if (share <= 0)
            continue;
        text_addf(out, "  %-20s ", parts[i].title);
        figure_bar(out, share, 26, true);
        text_addf(out, " %5.1f %%  ", share);
        figure_span(out, view_int(time, parts[i].key, 0) / 1000);
        text_add_char(out, '\n');
    }
}

static void status_below(struct cli *c, const json_t *s, struct text *out)
{
    const json_t *nodes = view_get(s, "nodes"), *devices = view_get(s, "devices");
    if (json_is_object(nodes))
        add_parts(out, "Nodes", nodes);
    if (json_is_object(devices))
        add_parts(out, "GPUs", devices);
    if (view_get(s, "cost_today_micros") || view_get(s, "energy_today_joules")) {
        text_addf(out, "%-8s ", "Today");
        figure_money(out, view_int(s, "cost_today_micros", 0),
                     *view_text(s, "currency") ? view_text(s, "currency") : "USD");
        text_add(out, ", ");
        figure_energy(out, view_number(s, "energy_today_joules", 0));
        text_add_char(out, '\n');
    }
    if (view_get(s, "redis")) {
        text_addf(out, "%-8s %s%s", "Redis", view_text(s, "redis.state"),
                  json_is_true(view_get(s, "redis.in_step")) ? ", shows the queue" : "");
        if (*view_text(s, "redis.why"))
            text_add(out, ": ");
        text_add_printable(out, view_text(s, "redis.why"));
        text_add_char(out, '\n');
    }
    add_targets(c, s, out);
    add_time(view_get(s, "time"), out);
}

static const struct view status_view = {
    .columns = status_columns,
    .count = COUNT_OF(status_columns),
    .name_key = "site",
    .one = true,
    .below = status_below,
};

static int run_status(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    (void)own;
    if (argc)
        return err_set(e, ERR_INVALID, "'%.64s' is too much; 'reeve show ID' shows a job", argv[0]);
    return view_show(c, &status_view, "/api/v1/status", 1, e);
}

const struct command cmd_status = {
    .name = "status",
    .summary = "say how the whole is doing: queue, GPUs, targets, today's cost",
    .operands = "",
    .flags = COMMAND_CONNECTS | COMMAND_WATCHES,
    .run = run_status,
};
