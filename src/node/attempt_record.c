/* The texts of the records of an attempt's start and end: lines of key=value between a first and a
 * last line. A record without its last line is a damaged one. */
#include "node/attempt_record.h"
#include "node/attempt_folder.h"

#include "base/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STARTED_FIRST "reeve-started 1\n"
#define EXIT_FIRST    "reeve-exit 1\n"
#define LAST          "end\n"

static const char *const causes[ATTEMPT_CAUSE_COUNT] = {
#define X(code, word) [ATTEMPT_##code] = word,
    ATTEMPT_CAUSES(X)
#undef X
};

const char *attempt_cause_name(enum attempt_cause cause)
{
    return causes[cause];
}

const char *attempt_status_name(enum attempt_state state)
{
    static const char *const names[] = {"never-started", "running", "ended", "lost"};
    return names[state];
}

enum kind { INT64, INT, BOOL, CHARS, OWNED, CAUSE, PID, TICKS };
struct field {
    const char *name;
    enum kind kind;
    size_t offset, room;
    bool required;
};
#define ROOM(type, member) sizeof(((type *)0)->member)
#define FIELD(type, name, kind, member)                                                            \
    {                                                                                              \
        name, kind, offsetof(type, member), ROOM(type, member), 0                                  \
    }
#define NEEDED(type, name, kind, member)                                                           \
    {                                                                                              \
        name, kind, offsetof(type, member), ROOM(type, member), 1                                  \
    }

static const struct field started_fields[] = {
    NEEDED(struct attempt_started, "id", CHARS, id),
    FIELD(struct attempt_started, "boot_id", CHARS, boot_id),
    FIELD(struct attempt_started, "shim_pid", PID, shim.pid),
    FIELD(struct attempt_started, "shim_start", TICKS, shim.start_ticks),
    FIELD(struct attempt_started, "job_pid", PID, job.pid),
    FIELD(struct attempt_started, "job_start", TICKS, job.start_ticks),
    FIELD(struct attempt_started, "wall_ms", INT64, wall_ms),
    FIELD(struct attempt_started, "cgroup_unified", OWNED, cgroup.unified),
    FIELD(struct attempt_started, "cgroup_memory", OWNED, cgroup.memory),
    FIELD(struct attempt_started, "cgroup_cpu", OWNED, cgroup.cpu),
    FIELD(struct attempt_started, "cgroup_pids", OWNED, cgroup.pids),
};

static const struct field exit_fields[] = {
    NEEDED(struct attempt_exit, "id", CHARS, id),
    NEEDED(struct attempt_exit, "cause", CAUSE, cause),
    NEEDED(struct attempt_exit, "status", INT, status),
    NEEDED(struct attempt_exit, "signal", INT, signal),
    FIELD(struct attempt_exit, "core_dumped", BOOL, core_dumped),
    FIELD(struct attempt_exit, "warned", BOOL, warned),
    FIELD(struct attempt_exit, "out_of_memory", BOOL, out_of_memory),
    FIELD(struct attempt_exit, "oom_kills", INT64, oom_kills),
    FIELD(struct attempt_exit, "left", INT64, left),
    FIELD(struct attempt_exit, "start_ms", INT64, start_ms),
    FIELD(struct attempt_exit, "end_ms", INT64, end_ms),
    FIELD(struct attempt_exit, "run_ms", INT64, run_ms),
    FIELD(struct attempt_exit, "user_us", INT64, user_us),
    FIELD(struct attempt_exit, "system_us", INT64, system_us),
    FIELD(struct attempt_exit, "max_rss_bytes", INT64, max_rss_bytes),
    FIELD(struct attempt_exit, "memory_peak_bytes", INT64, memory_peak_bytes),
    FIELD(struct attempt_exit, "log_bytes", INT64, log_bytes),
    FIELD(struct attempt_exit, "log_dropped_bytes", INT64, log_dropped_bytes),
    FIELD(struct attempt_exit, "limits", CHARS, limits),
    FIELD(struct attempt_exit, "result", CHARS, result),
    FIELD(struct attempt_exit, "reason", CHARS, reason),
};

/* One line of text: control characters, newlines above all, become blanks. */
static void add_line(struct text *out, const char *key, const char *value)
{
    text_add(out, key);
    text_add_char(out, '=');
    for (; *value; value++)
        text_add_char(out, (char)((unsigned char)*value < ' ' ? ' ' : *value));
    text_add_char(out, '\n');
}

static int64_t number_at(const void *p, enum kind kind)
{
    switch (kind) {
    case INT64:
        return *(const int64_t *)p;
    case TICKS:
        return (int64_t) * (const uint64_t *)p;
    case BOOL:
        return *(const bool *)p;
    default:
        return *(const int *)p;
    }
}

static void write_fields(struct text *out, const void *from, const struct field *fields, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct field *f = &fields[i];
        const char *p = (const char *)from + f->offset;
        if (f->kind == CHARS)
            add_line(out, f->name, p);
        else if (f->kind == CAUSE)
            add_line(out, f->name, causes[*(const enum attempt_cause *)(const void *)p]);
        else if (f->kind == OWNED && *(char *const *)(const void *)p)
            add_line(out, f->name, *(char *const *)(const void *)p);
        else if (f->kind != OWNED)
            text_addf(out, "%s=%lld\n", f->name, (long long)number_at(p, f->kind));
    }
    text_add(out, LAST);
}

static bool read_cause(const char *value, enum attempt_cause *ret)
{
    for (int i = 0; i < ATTEMPT_CAUSE_COUNT; i++)
        if (strcmp(causes[i], value) == 0) {
            *ret = (enum attempt_cause)i;
            return true;
        }
    return false;
}

static bool read_value(const struct field *f, char *value, void *into)
{
    char *p = (char *)into + f->offset;
    if (f->kind == CHARS) {
        snprintf(p, f->room, "%s", value);
        return true;
    }
    if (f->kind == OWNED) {
        free(*(char **)(void *)p);
        *(char **)(void *)p = mem_strdup(value);
        return true;
    }
    if (f->kind == CAUSE)
        return read_cause(value, (enum attempt_cause *)(void *)p);

    int64_t n;
    bool is_small = f->kind == INT || f->kind == PID;
    if (text_to_int(value, is_small ? INT32_MIN : INT64_MIN, is_small ? INT32_MAX : INT64_MAX,
                    f->name, &n, NULL) < 0)
        return false;
    if (f->kind == INT64)
        *(int64_t *)(void *)p = n;
    else if (f->kind == TICKS)
        *(uint64_t *)(void *)p = (uint64_t)n;
    else if (f->kind == BOOL)
        *(bool *)(void *)p = n != 0;
    else
        *(int *)(void *)p = (int)n;
    return true;
}

static bool read_fields(const char *first, const char *p, size_t len, const struct field *fields,
                        size_t n, void *into)
{
    size_t start = strlen(first), tail = strlen(LAST);
    if (len < start + tail || memcmp(p, first, start) != 0 || memchr(p, '\0', len) ||
        memcmp(p + len - tail, LAST, tail) != 0)
        return false;

    auto_free char *copy = mem_strndup(p + start, len - start - tail);
    bool seen[32] = {false};
    assert(n <= COUNT_OF(seen));
    char *rest = copy;
    for (char *line; (line = strsep(&rest, "\n"));) {
        char *equals = strchr(line, '=');
        if (!line[0])
            continue;
        if (!equals)
            return false;
        *equals = '\0';
        for (size_t i = 0; i < n; i++) {
            if (strcmp(fields[i].name, line) != 0)
                continue;
            if (seen[i] || !read_value(&fields[i], equals + 1, into))
                return false;
            seen[i] = true;
        }
    }
    for (size_t i = 0; i < n; i++)
        if (fields[i].required && !seen[i])
            return false;
    return true;
}

void attempt_started_text(const struct attempt_started *s, struct text *out)
{
    text_add(out, STARTED_FIRST);
    write_fields(out, s, started_fields, COUNT_OF(started_fields));
}

void attempt_exit_text(const struct attempt_exit *x, struct text *out)
{
    text_add(out, EXIT_FIRST);
    write_fields(out, x, exit_fields, COUNT_OF(exit_fields));
}

bool attempt_started_parse(const char *p, size_t len, struct attempt_started *ret)
{
    struct attempt_started s = {0};
    if (!read_fields(STARTED_FIRST, p, len, started_fields, COUNT_OF(started_fields), &s)) {
        attempt_started_done(&s);
        return false;
    }
    *ret = s;
    return true;
}

bool attempt_exit_parse(const char *p, size_t len, struct attempt_exit *ret)
{
    struct attempt_exit x = {.memory_peak_bytes = -1};
    if (!read_fields(EXIT_FIRST, p, len, exit_fields, COUNT_OF(exit_fields), &x) || x.status < -1 ||
        x.status > 255 || x.signal < 0 || x.signal > 64)
        return false;
    *ret = x;
    return true;
}

void attempt_started_done(struct attempt_started *s)
{
    cgroup_parent_done(&s->cgroup);
    *s = (struct attempt_started){0};
}
