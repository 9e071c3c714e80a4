#include "net/sse.h"

#include "base/mem.h"

void sse_write(struct text *out, const char *id, const char *event, const char *data, size_t len)
{
    if (id)
        text_addf(out, "id: %s\n", id);
    if (event)
        text_addf(out, "event: %s\n", event);
    const char *end = data + len;
    for (const char *line = data;;) {
        const char *stop = line;
        while (stop < end && *stop != '\n' && *stop != '\r')
            stop++;
        text_add(out, "data: ");
        text_add_bytes(out, line, (size_t)(stop - line));
        text_add_char(out, '\n');
        if (stop == end)
            break;
        line = stop + (stop + 1 < end && stop[0] == '\r' && stop[1] == '\n' ? 2 : 1);
    }
    text_add_char(out, '\n');
}

void sse_write_comment(struct text *out, const char *comment)
{
    text_addf(out, ": %s\n\n", comment);
}

struct sse_parser {
    size_t most;
    bool begun;   /* the first line was seen: no byte order mark after that */
    bool skip_lf; /* the line ended with CR: a LF that follows belongs to it */
    bool has_data;
    struct text line, id, event, data;
    struct text last_id; /* of the newest event that was given out */
    int64_t retry_ms;
};

struct sse_parser *sse_parser_new(size_t most)
{
    struct sse_parser *p = mem_new(struct sse_parser);
    p->most = most;
    p->retry_ms = -1;
    return p;
}

void sse_parser_free(struct sse_parser *p)
{
    if (!p)
        return;
    text_done(&p->line);
    text_done(&p->id);
    text_done(&p->event);
    text_done(&p->data);
    text_done(&p->last_id);
    free(p);
}

static void set(struct text *t, const char *p, size_t len)
{
    text_clear(t);
    text_add_bytes(t, p, len);
}

static void take_field(struct sse_parser *p, const char *name, size_t name_len, const char *value,
                       size_t len)
{
    if (name_len == 4 && memcmp(name, "data", 4) == 0) {
        if (p->has_data)
            text_add_char(&p->data, '\n');
        text_add_bytes(&p->data, value, len);
        p->has_data = true;
    } else if (name_len == 5 && memcmp(name, "event", 5) == 0) {
        if (!memchr(value, '\0', len))
            set(&p->event, value, len);
    } else if (name_len == 2 && memcmp(name, "id", 2) == 0) {
        if (!memchr(value, '\0', len))
            set(&p->id, value, len);
    } else if (name_len == 5 && memcmp(name, "retry", 5) == 0) {
        int64_t ms;
        auto_free char *number = mem_strndup(value, len);
        if (text_to_int(number, 0, 86400000, "retry", &ms, NULL) == 0)
            p->retry_ms = ms;
    }
}

/* An empty line: the event is complete. False: the caller wants no more. */
static bool give_out(struct sse_parser *p, bool (*on_event)(void *, const struct sse_event *),
                     void *arg)
{
    bool go_on = true;
    set(&p->last_id, text_get(&p->id), p->id.len);
    if (p->has_data) {
        struct sse_event event = {
            .id = text_get(&p->last_id),
            .event = p->event.len ? text_get(&p->event) : "message",
            .data = text_get(&p->data),
            .len = p->data.len,
        };
        go_on = on_event(arg, &event);
    }
    p->has_data = false;
    text_clear(&p->event);
    text_clear(&p->data);
    return go_on;
}

static bool take_line(struct sse_parser *p, bool (*on_event)(void *, const struct sse_event *),
                      void *arg)
{
    const char *line = text_get(&p->line);
    size_t len = p->line.len;
    if (!p->begun && len >= 3 && memcmp(line, "\xEF\xBB\xBF", 3) == 0) {
        line += 3;
        len -= 3;
    }
    p->begun = true;

    bool go_on = true;
    if (len == 0) {
        go_on = give_out(p, on_event, arg);
    } else if (line[0] != ':') {
        const char *colon = memchr(line, ':', len);
        size_t name_len = colon ? (size_t)(colon - line) : len;
        const char *value = colon ? colon + 1 : line + len;
        if (value < line + len && *value == ' ')
            value++;
        take_field(p, line, name_len, value, (size_t)(line + len - value));
    }
    text_clear(&p->line);
    return go_on;
}

int sse_parse(struct sse_parser *p, const char *bytes, size_t len,
              bool (*on_event)(void *arg, const struct sse_event *event), void *arg, struct err *e)
{
    const char *end = bytes + len;
    while (bytes < end) {
        if (p->skip_lf && *bytes == '\n')
            bytes++;
        p->skip_lf = false;

        const char *stop = bytes;
        while (stop < end && *stop != '\n' && *stop != '\r')
            stop++;
        size_t piece = (size_t)(stop - bytes);
        if (p->line.len + p->data.len + piece > p->most)
            return err_set(e, ERR_TOO_LARGE, "an event of the stream has more than %zu bytes",
                           p->most);
        text_add_bytes(&p->line, bytes, piece);
        if (stop == end)
            break;
        p->skip_lf = *stop == '\r';
        bytes = stop + 1;
        if (!take_line(p, on_event, arg))
            break;
    }
    return 0;
}

const char *sse_last_id(const struct sse_parser *p)
{
    return text_get(&p->last_id);
}

int64_t sse_retry_ms(const struct sse_parser *p)
{
    return p->retry_ms;
}
