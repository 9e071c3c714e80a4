#include "net/http_wire.h"

#include <string.h>
#include <strings.h>

#define LINE_MOST 65536

void http_wire_init(struct http_wire *w, bool is_head)
{
    *w = (struct http_wire){.state = WIRE_STATUS, .is_head = is_head, .is_kept = true};
}

void http_wire_done(struct http_wire *w)
{
    text_done(&w->line);
}

/* ---- lines ---- */

static int take_status(struct http_wire *w, const char *line, size_t len, struct err *e)
{
    bool is_http = len >= 12 && memcmp(line, "HTTP/1.", 7) == 0 && line[8] == ' ' &&
                   (len == 12 || line[12] == ' ');
    int status = 0;
    for (size_t i = 9; is_http && i < 12; i++) {
        is_http = line[i] >= '0' && line[i] <= '9';
        status = status * 10 + (line[i] - '0');
    }
    if (!is_http || status < 100)
        return err_set(e, ERR_UNAVAILABLE, "the answer is not HTTP");
    w->status = status;
    w->is_kept = line[7] != '0';
    w->has_length = w->is_chunked = false;
    w->state = WIRE_HEADERS;
    return 0;
}

/* True: WORD is one of the words between commas. */
static bool names(const char *list, size_t len, const char *word)
{
    size_t word_len = strlen(word);
    while (len) {
        const char *comma = memchr(list, ',', len);
        size_t part = comma ? (size_t)(comma - list) : len, room = part;
        const char *p = list;
        while (room && (*p == ' ' || *p == '\t'))
            p++, room--;
        while (room && (p[room - 1] == ' ' || p[room - 1] == '\t'))
            room--;
        if (room == word_len && strncasecmp(p, word, room) == 0)
            return true;
        list += part + (comma != NULL);
        len -= part + (comma != NULL);
    }
    return false;
}

static int take_length(struct http_wire *w, const char *value, size_t len, struct err *e)
{
    int64_t length = 0;
    if (!len || len > 18)
        return err_set(e, ERR_UNAVAILABLE, "the answer's length makes no sense");
    for (size_t i = 0; i < len; i++) {
        if (value[i] < '0' || value[i] > '9')
            return err_set(e, ERR_UNAVAILABLE, "the answer's length makes no sense");
        length = length * 10 + (value[i] - '0');
    }
    if (w->has_length && w->left != length)
        return err_set(e, ERR_UNAVAILABLE, "the answer has two lengths");
    w->has_length = true;
    w->left = length;
    return 0;
}

static int take_header(struct http_wire *w, const char *line, size_t len, struct err *e)
{
    const char *colon = memchr(line, ':', len);
    if (!colon)
        return 0;
    size_t name = (size_t)(colon - line);
    const char *value = colon + 1, *end = line + len;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    size_t room = (size_t)(end - value);
    if (name == 14 && strncasecmp(line, "content-length", name) == 0)
        return take_length(w, value, room, e);
    if (name == 10 && strncasecmp(line, "connection", name) == 0 && names(value, room, "close"))
        w->is_kept = false;
    if (name == 17 && strncasecmp(line, "transfer-encoding", name) == 0) {
        if (room != 7 || strncasecmp(value, "chunked", 7) != 0)
            return err_set(e, ERR_UNAVAILABLE, "the answer is encoded in a way not known here");
        w->is_chunked = true;
    }
    return 0;
}

/* The empty line behind the headers. */
static int end_headers(struct http_wire *w, struct err *e)
{
    if (w->status == 101)
        return err_set(e, ERR_UNAVAILABLE, "the server wants another protocol");
    if (w->status < 200) {
        w->state = WIRE_STATUS;
    } else if (w->is_head || w->status == 204 || w->status == 304) {
        w->state = WIRE_DONE;
    } else if (w->is_chunked) {
        w->is_kept = w->is_kept && !w->has_length; /* both: somebody on the way may see it else */
        w->state = WIRE_CHUNK_SIZE;
    } else if (w->has_length) {
        w->state = w->left ? WIRE_LENGTH : WIRE_DONE;
    } else {
        w->is_kept = false;
        w->state = WIRE_TO_CLOSE;
    }
    return 0;
}

static int take_chunk_size(struct http_wire *w, const char *line, size_t len, struct err *e)
{
    int64_t size = 0;
    size_t i = 0;
    for (; i < len && i < 15; i++) {
        char c = (char)(line[i] | 0x20);
        if (line[i] >= '0' && line[i] <= '9')
            size = size * 16 + (line[i] - '0');
        else if (c >= 'a' && c <= 'f')
            size = size * 16 + (c - 'a' + 10);
        else
            break;
    }
    if (!i || (i < len && line[i] != ';' && line[i] != ' ' && line[i] != '\t'))
        return err_set(e, ERR_UNAVAILABLE, "the size of a chunk makes no sense");
    w->left = size;
    w->state = size ? WIRE_CHUNK : WIRE_TRAILERS;
    return 0;
}

static int take_line(struct http_wire *w, const char *line, size_t len,
                     const struct http_wire_events *on, void *arg, struct err *e)
{
    if (len && line[len - 1] == '\r')
        len--;
    switch (w->state) {
    case WIRE_STATUS:
        if (take_status(w, line, len, e) < 0)
            return -1;
        return on->on_line(arg, line, len, e);
    case WIRE_HEADERS:
        if (!len)
            return end_headers(w, e);
        if (take_header(w, line, len, e) < 0)
            return -1;
        return on->on_line(arg, line, len, e);
    case WIRE_CHUNK_SIZE:
        return take_chunk_size(w, line, len, e);
    case WIRE_CHUNK_END:
        if (len)
            return err_set(e, ERR_UNAVAILABLE, "a chunk is longer than its size");
        w->state = WIRE_CHUNK_SIZE;
        return 0;
    default: /* WIRE_TRAILERS: of no interest */
        if (!len)
            w->state = WIRE_DONE;
        return 0;
    }
}

/* ---- bytes ---- */

static int take_body(struct http_wire *w, const char *bytes, size_t len,
                     const struct http_wire_events *on, void *arg, struct err *e)
{
    if (w->state != WIRE_TO_CLOSE)
        w->left -= (int64_t)len;
    if (w->state != WIRE_TO_CLOSE && !w->left)
        w->state = w->state == WIRE_CHUNK ? WIRE_CHUNK_END : WIRE_DONE;
    return on->on_body(arg, bytes, len, e);
}

int http_wire_take(struct http_wire *w, const char *bytes, size_t len,
                   const struct http_wire_events *on, void *arg, struct err *e)
{
    w->has_begun = w->has_begun || len;
    while (len && w->state != WIRE_DONE) {
        if (w->state == WIRE_LENGTH || w->state == WIRE_CHUNK || w->state == WIRE_TO_CLOSE) {
            size_t part = len;
            if (w->state != WIRE_TO_CLOSE && (int64_t)part > w->left)
                part = (size_t)w->left;
            if (take_body(w, bytes, part, on, arg, e) < 0)
                return -1;
            bytes += part;
            len -= part;
            continue;
        }
        const char *end = memchr(bytes, '\n', len);
        size_t part = end ? (size_t)(end - bytes) : len;
        if (w->line.len + part > LINE_MOST)
            return err_set(e, ERR_TOO_LARGE, "a line of the answer's head is too long");
        const char *line = bytes;
        size_t line_len = part;
        if (!end || w->line.len) { /* a whole line needs no copy */
            text_add_bytes(&w->line, bytes, part);
            line = text_get(&w->line);
            line_len = w->line.len;
        }
        bytes += part + (end != NULL);
        len -= part + (end != NULL);
        if (!end)
            return 0;
        int rc = take_line(w, line, line_len, on, arg, e);
        text_clear(&w->line);
        if (rc < 0)
            return -1;
    }
    if (len)
        w->is_kept = false;
    return 0;
}

int http_wire_end(struct http_wire *w, struct err *e)
{
    w->is_kept = false;
    if (w->state == WIRE_TO_CLOSE)
        w->state = WIRE_DONE;
    if (w->state == WIRE_DONE)
        return 0;
    return err_set(e, ERR_UNAVAILABLE,
                   w->has_begun ? "the connection ended within the answer"
                                : "the connection ended without an answer");
}
