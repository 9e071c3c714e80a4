#include "node/progress.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DIGITS_MOST 15

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A whole number at P; returns its length, 0 when there is none or it is too long. */
static size_t number_at(const char *p, const char *end, int64_t *ret)
{
    size_t len = 0;
    int64_t value = 0;
    *ret = 0;
    while (p + len < end && is_digit(p[len])) {
        if (len == DIGITS_MOST)
            return 0;
        value = value * 10 + (p[len++] - '0');
    }
    *ret = value;
    return len;
}

/* "45" or "45.5" as DONE of TOTAL; at most three decimals count. */
static size_t percent_at(const char *p, const char *end, int64_t *ret_done, int64_t *ret_total)
{
    int64_t done, total = 100;
    size_t len = number_at(p, end, &done);
    if (!len || len > 3)
        return 0;
    if (p + len + 1 < end && p[len] == '.' && is_digit(p[len + 1])) {
        len++;
        for (int i = 0; p + len < end && is_digit(p[len]); i++, len++)
            if (i < 3) {
                done = done * 10 + (p[len] - '0');
                total *= 10;
            }
    }
    *ret_done = done;
    *ret_total = total;
    return len;
}

static bool accept(int64_t done, int64_t total, enum progress_source source, struct progress *ret)
{
    if (total <= 0 || done < 0 || done > total)
        return false;
    *ret = (struct progress){done, total, source};
    return true;
}

/* What may stand around a ratio: not a part of a path, a date, a version or a longer number. */
static bool is_edge(char c)
{
    return !isalnum((unsigned char)c) && !strchr("/.-_\\", c);
}

/* "N/M" or "N / M" from P on. */
static bool ratio_at(const char *line, const char *p, const char *end, enum progress_source source,
                     struct progress *ret)
{
    int64_t n, m;
    if (p > line && !is_edge(p[-1]))
        return false;
    size_t len = number_at(p, end, &n);
    if (!len)
        return false;
    const char *at = p + len;
    while (at < end && *at == ' ')
        at++;
    if (at == end || *at != '/')
        return false;
    at++;
    while (at < end && *at == ' ')
        at++;
    len = number_at(at, end, &m);
    if (!len)
        return false;
    at += len;
    if (at < end && !is_edge(*at) && !(*at == '.' && (at + 1 == end || at[1] == ' ')))
        return false;
    return accept(n, m, source, ret);
}

static bool find_epoch(const char *line, const char *end, struct progress *ret)
{
    bool found = false;
    for (const char *p = line; p + 5 < end; p++) {
        if (strncasecmp(p, "epoch", 5) != 0)
            continue;
        const char *at = p + 5;
        while (at < end && (strchr(" [(:=#\t", *at) || strncasecmp(at, "s", 1) == 0))
            at++;
        found |= at > p + 5 && ratio_at(at, at, end, PROGRESS_EPOCH, ret);
        p += 4;
    }
    return found;
}

static bool find_ratio(const char *line, const char *end, struct progress *ret)
{
    bool found = false;
    for (const char *p = line; p < end; p++) {
        if (!is_digit(*p))
            continue;
        found |= ratio_at(line, p, end, PROGRESS_RATIO, ret);
        while (p + 1 < end && is_digit(p[1]))
            p++;
    }
    return found;
}

static bool find_percent(const char *line, const char *end, struct progress *ret)
{
    bool found = false;
    for (const char *p = line; p < end; p++) {
        int64_t done, total;
        if (!is_digit(*p))
            continue;
        size_t len = percent_at(p, end, &done, &total);
        if (len && (p == line || is_edge(p[-1])) && p + len < end && p[len] == '%')
            found |= accept(done, total, PROGRESS_PERCENT, ret);
        while (p + 1 < end && is_digit(p[1]))
            p++;
    }
    return found;
}

/* A pattern's segment between two stars. */
struct match {
    int64_t n, m, done, total;
    bool has_n, has_m, has_p;
};

/* What stands for a number in a pattern. */
enum place { PLACE_NONE, PLACE_DONE, PLACE_TOTAL, PLACE_PERCENT };

static enum place place_at(const char *at, const char **ret_next)
{
    static const char *const names[] = {
        [PLACE_DONE] = "{done}", [PLACE_TOTAL] = "{total}", [PLACE_PERCENT] = "{percent}"};
    for (size_t i = PLACE_DONE; i < COUNT_OF(names); i++) {
        size_t len = strlen(names[i]);
        if (strncmp(at, names[i], len) == 0) {
            *ret_next = at + len;
            return (enum place)i;
        }
    }
    return PLACE_NONE;
}

/* One element of a pattern at AT, against the line at P. Returns the bytes of the line it takes, or
 * -1; *RET_NEXT is the next element. */
static ssize_t match_element(const char *at, const char **ret_next, const char *p, const char *end,
                             struct match *m)
{
    size_t len;
    enum place place = place_at(at, ret_next);
    if (place == PLACE_DONE || place == PLACE_TOTAL) {
        len = number_at(p, end, place == PLACE_DONE ? &m->n : &m->m);
        m->has_n |= place == PLACE_DONE;
        m->has_m |= place == PLACE_TOTAL;
        return len ? (ssize_t)len : -1;
    }
    if (place == PLACE_PERCENT) {
        len = percent_at(p, end, &m->done, &m->total);
        m->has_p = true;
        return len ? (ssize_t)len : -1;
    }
    if (*at == ' ') {
        while (*at == ' ')
            at++;
        *ret_next = at;
        for (len = 0; p + len < end && (p[len] == ' ' || p[len] == '\t');)
            len++;
        return len ? (ssize_t)len : -1;
    }
    /* A number behind {done} stands for {total}: "{done}/5000". */
    if (is_digit(*at) && m->has_n && !m->has_m) {
        const char *at_end = at + strlen(at);
        int64_t fixed, seen;
        size_t digits = number_at(at, at_end, &fixed);
        len = number_at(p, end, &seen);
        *ret_next = at + digits;
        if (!digits || len != digits || seen != fixed)
            return -1;
        m->m = fixed;
        m->has_m = true;
        return (ssize_t)len;
    }
    if (*at == '\\' && at[1])
        at++;
    *ret_next = at + 1;
    return p < end && *p == *at ? 1 : -1;
}

/* The segment at AT (up to a star or the end) against the line at P exactly. */
static const char *match_segment(const char *at, const char *p, const char *end, struct match *m)
{
    while (*at && *at != '*') {
        ssize_t len = match_element(at, &at, p, end, m);
        if (len < 0)
            return NULL;
        p += len;
    }
    return p;
}

static const char *skip_segment(const char *at)
{
    while (*at && *at != '*')
        at += *at == '\\' && at[1] ? 2 : 1;
    return at;
}

static bool match_pattern(const char *line, const char *end, const char *pattern,
                          struct progress *ret)
{
    struct match m = {0};
    const char *p = line;
    for (const char *at = pattern; *at; at = skip_segment(at)) {
        if (*at == '*') {
            at++;
            if (!*at)
                break;
        }
        /* The first place where the segment fits is as good as any: what follows it is searched
         * from there, so no step back is ever needed. */
        const char *behind = NULL;
        for (; !behind && p <= end; p++) {
            /* Not from the middle of a number. */
            if (strncmp(at, "{", 1) == 0 && p > line && is_digit(p[-1]))
                continue;
            struct match try = m;
            behind = match_segment(at, p, end, &try);
            if (behind)
                m = try;
        }
        if (!behind)
            return false;
        p = behind;
    }
    if (m.has_p)
        return accept(m.done, m.total, PROGRESS_PATTERN, ret);
    return m.has_n && m.has_m && accept(m.n, m.m, PROGRESS_PATTERN, ret);
}

int progress_check_pattern(const char *pattern, struct err *e)
{
    size_t len = strlen(pattern);
    if (!len || len > PROGRESS_PATTERN_MOST || !text_is_utf8(pattern, len))
        return err_set(e, ERR_INVALID, "a pattern has 1 to %d bytes of UTF-8",
                       PROGRESS_PATTERN_MOST);
    bool has_n = false, has_total = false, has_p = false;
    for (const char *at = pattern, *next; *at; at = next) {
        enum place place = place_at(at, &next);
        if (!place)
            next = at + 1 + (*at == '\\' && at[1]);
        has_n |= place == PLACE_DONE;
        has_total |= place == PLACE_TOTAL || (is_digit(*at) && has_n);
        has_p |= place == PLACE_PERCENT;
        if (!place && *at == '{')
            return err_set(
                e, ERR_INVALID,
                "pattern '%.200s' has a '{' that does not begin {done}, {total} or {percent}",
                pattern);
    }
    if (!has_p && !(has_n && has_total))
        return err_set(
            e, ERR_INVALID,
            "pattern '%.200s' needs {percent}, or {done} and {total} or a number behind it",
            pattern);
    return 0;
}

bool progress_from_file(const char *p, size_t len, struct progress *ret)
{
    while (len && isspace((unsigned char)p[len - 1]))
        len--;
    const char *newline = len ? memrchr(p, '\n', len) : NULL;
    const char *end = p + len, *line = newline ? newline + 1 : p;
    while (line < end && isspace((unsigned char)*line))
        line++;

    int64_t n, m;
    size_t n_len = number_at(line, end, &n);
    if (!n_len || line + n_len == end || line[n_len] != '/')
        return false;
    size_t m_len = number_at(line + n_len + 1, end, &m);
    return m_len && line + n_len + 1 + m_len == end && accept(n, m, PROGRESS_FILE, ret);
}

bool progress_from_line(const char *p, size_t len, const char *pattern, struct progress *ret)
{
    const char *end = p + (len < PROGRESS_LINE_MOST ? len : PROGRESS_LINE_MOST);
    if (pattern)
        return match_pattern(p, end, pattern, ret);
    return find_epoch(p, end, ret) || find_ratio(p, end, ret) || find_percent(p, end, ret);
}

bool progress_from_log(const char *p, size_t len, const char *pattern, enum progress_source least,
                       struct progress *ret)
{
    /* The last line may still be growing: a number at its very end may lack digits. */
    while (len && (is_digit(p[len - 1]) || p[len - 1] == '.'))
        len--;
    struct progress best = {.source = least ? least - 1 : PROGRESS_NONE};
    for (const char *end = p + len; end > p;) {
        const char *line = end;
        while (line > p && line[-1] != '\n' && line[-1] != '\r')
            line--;
        struct progress found;
        if (progress_from_line(line, (size_t)(end - line), pattern, &found) &&
            found.source > best.source)
            best = found;
        end = line > p ? line - 1 : p;
    }
    if (!best.total)
        return false;
    *ret = best;
    return true;
}

bool progress_read(const char *folder, struct progress *ret)
{
    auto_free char *path = mem_printf("%s/progress", folder);
    auto_free char *text = NULL;
    if (file_read(path, 256, &text, NULL, NULL) < 0)
        return false;
    long long done, total;
    int source;
    return sscanf(text, "%lld/%lld %d\n", &done, &total, &source) == 3 && source > PROGRESS_NONE &&
           source <= PROGRESS_FILE && accept(done, total, (enum progress_source)source, ret);
}

int progress_write(const char *folder, const struct progress *p, struct err *e)
{
    char line[96];
    int len = snprintf(line, sizeof line, "%lld/%lld %d\n", (long long)p->done, (long long)p->total,
                       p->source);
    auto_free char *path = mem_printf("%s/progress", folder);
    auto_free char *beside = mem_printf("%s/progress.new", folder);
    FILE *f = fopen(beside, "we");
    if (!f)
        return err_set(e, ERR_UNAVAILABLE, "could not create file '%s'", beside);
    bool written = fwrite(line, 1, (size_t)len, f) == (size_t)len;
    written &= fclose(f) == 0;
    if (!written || rename(beside, path) < 0)
        return err_set(e, ERR_UNAVAILABLE, "could not write file '%s'", path);
    return 0;
}
