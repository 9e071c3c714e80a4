#include "cli/figure.h"

#include "base/clock.h"

void figure_money(struct text *out, int64_t micros, const char *currency)
{
    uint64_t size = micros < 0 ? 0 - (uint64_t)micros : (uint64_t)micros;
    unsigned unit = size >= 1000000 || size == 0 ? 10000 : size >= 10000 ? 100 : 1; /* of a micro */
    uint64_t rounded = (size + unit / 2) / unit, whole = 1000000 / unit;
    if (micros < 0)
        text_add_char(out, '-');
    text_add_int(out, (int64_t)(rounded / whole));
    text_add_char(out, '.');
    for (uint64_t rest = rounded % whole; whole > 1; rest %= whole) {
        whole /= 10;
        text_add_char(out, (char)('0' + rest / whole));
    }
    text_add_char(out, ' ');
    text_add(out, currency);
}

void figure_energy(struct text *out, double joules)
{
    if (joules < 1000)
        text_addf(out, "%.0f J", joules);
    else if (joules < 3.6e6 / 10)
        text_addf(out, "%.1f kJ", joules / 1e3);
    else
        text_addf(out, "%.2f kWh", joules / 3.6e6);
}

void figure_mib(struct text *out, int64_t mib)
{
    if (mib < 1024)
        text_addf(out, "%lld MiB", (long long)mib);
    else if (mib % 1024 == 0)
        text_addf(out, "%lld GiB", (long long)mib / 1024);
    else
        text_addf(out, "%.1f GiB", (double)mib / 1024);
}

void figure_span(struct text *out, int64_t ms)
{
    char buf[CLOCK_TEXT_SIZE];
    text_add(out, clock_format_span(ms < 0 ? 0 : ms, buf));
}

void figure_bar(struct text *out, double percent, int columns, bool unicode)
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    int room = columns > 2 ? columns - 2 : 0;
    double part = percent < 0 ? 0 : percent > 100 ? 1 : percent / 100;
    int filled = (int)(part * room * 8 + 0.5), at = 0;

    text_add_char(out, '[');
    for (; at < filled / 8; at++)
        text_add(out, unicode ? "█" : "#");
    if (unicode && filled % 8 && at < room) {
        text_add(out, eighths[filled % 8]);
        at++;
    }
    for (; at < room; at++)
        text_add(out, percent < 0 ? "." : unicode ? " " : "-");
    text_add_char(out, ']');
}
