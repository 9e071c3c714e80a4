#include "base/log.h"

#include "base/clock.h"
#include "base/json_out.h"
#include "base/mem.h"

#include <time.h>

static const char *const words[] = {"debug", "info", "warn", "error"};
static const char *program = "reeve";
static bool as_json;
static enum log_level least = LOG_LEVEL_INFO;

int log_setup(const char *name, const char *format, const char *level, struct err *e)
{
    program = name;
    if (strcmp(format, "auto") == 0)
        as_json = !isatty(STDERR_FILENO);
    else if (strcmp(format, "json") == 0 || strcmp(format, "human") == 0)
        as_json = format[0] == 'j';
    else
        return err_set(e, ERR_INVALID, "log format '%s' is not auto, human or json", format);

    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (strcmp(words[i], level) == 0) {
            least = (enum log_level)i;
            return 0;
        }
    return err_set(e, ERR_INVALID, "log level '%s' is not debug, info, warn or error", level);
}

static void add_human(struct text *t, enum log_level level, const char *message,
                      const struct log_field *f)
{
    char clock[16];
    time_t now = (time_t)(clock_wall_ms() / 1000);
    struct tm tm;
    localtime_r(&now, &tm);
    strftime(clock, sizeof clock, "%H:%M:%S", &tm);
    text_addf(t, "%s %-5s %s: %s", clock, words[level], program, message);
    for (; f->name; f++) {
        if (f->text)
            text_addf(t, " %s=%s", f->name, f->text);
        else
            text_addf(t, " %s=%lld", f->name, (long long)f->number);
    }
    for (size_t i = 0; i < t->len; i++)
        if ((unsigned char)t->data[i] < 0x20)
            t->data[i] = ' ';
    text_add_char(t, '\n');
}

static void add_json(struct text *t, enum log_level level, const char *message,
                     const struct log_field *f)
{
    struct json_out o = {.text = t};
    jo_object(&o, NULL);
    jo_time(&o, "time", clock_wall_ms());
    jo_text(&o, "level", words[level]);
    jo_text(&o, "program", program);
    jo_text(&o, "message", message);
    for (; f->name; f++) {
        if (f->text)
            jo_text(&o, f->name, f->text);
        else
            jo_int(&o, f->name, f->number);
    }
    jo_end(&o);
    text_add_char(t, '\n');
}

void log_write(enum log_level level, const char *message, const struct log_field *fields)
{
    if (level < least)
        return;

    auto_text struct text t = {0};
    if (as_json)
        add_json(&t, level, message, fields);
    else
        add_human(&t, level, message, fields);
    /* One write a line, so that lines of several threads do not mix. Lost when nobody can read it.
     */
    ssize_t written = write(STDERR_FILENO, t.data, t.len);
    (void)written;
}
