#include "kube/split.h"

enum { KEPT_BYTES = 64 * 1024, MOST_REST = 256 * 1024 };

void kube_split_done(struct kube_split *s)
{
    text_done(&s->object);
    text_done(&s->rest);
}

static int too_large(const struct kube_split *s, struct err *e)
{
    return err_set(e, ERR_TOO_LARGE, "an object has more than %zu bytes", s->most);
}

static int wrong(struct err *e)
{
    return err_set(e, ERR_INVALID, "this is no list or stream of JSON objects");
}

/* The object that ends before END; what came in this piece begins at FROM. */
static int emit(struct kube_split *s, const char *from, const char *end, struct err *e)
{
    bool goes_on;
    if (s->object.len + (size_t)(end - from) > s->most)
        return too_large(s, e);
    if (!s->object.len)
        return s->on_object(s->arg, from, (size_t)(end - from)) ? 0 : -1;
    text_add_bytes(&s->object, from, (size_t)(end - from));
    goes_on = s->on_object(s->arg, s->object.data, s->object.len);
    if (s->object.room > KEPT_BYTES)
        text_done(&s->object);
    else
        text_clear(&s->object);
    return goes_on ? 0 : -1;
}

/* Past what is neither quote, backslash nor bracket; in a text, brackets mean nothing. */
static const char *next_special(const struct kube_split *s, const char *p, const char *end)
{
    if (s->in_text)
        while (p < end && *p != '"' && *p != '\\')
            p++;
    else
        while (p < end && *p != '"' && *p != '{' && *p != '}' && *p != '[' && *p != ']')
            p++;
    return p;
}

/* Inside an object; returns behind it, or END. */
static const char *pass_object(struct kube_split *s, const char *p, const char *end)
{
    unsigned outside = s->mode == KUBE_SPLIT_ITEMS ? 2 : 0;
    while (p < end) {
        if (s->escaped) {
            s->escaped = false;
            p++;
            continue;
        }
        p = next_special(s, p, end);
        if (p == end)
            break;
        char c = *p++;
        if (c == '\\')
            s->escaped = true;
        else if (c == '"')
            s->in_text = !s->in_text;
        else if (c == '{' || c == '[')
            s->depth++;
        else if (--s->depth == outside) {
            s->in_object = false;
            return p;
        }
    }
    return end;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* In a text of the frame. */
static void frame_text(struct kube_split *s, char c)
{
    if (s->escaped) {
        s->escaped = false;
    } else if (c == '\\') {
        s->escaped = true;
    } else if (c == '"') {
        s->in_text = false;
        if (s->depth == 1 && s->expects_key) {
            s->expects_key = false;
            s->key_is_items = strcmp(s->rest.data + s->text_at, "items\"") == 0;
        }
    }
}

/* One character of the frame of a list. -1: it cannot stand there. */
static int frame_char(struct kube_split *s, char c)
{
    if (s->is_over)
        return is_blank(c) ? 0 : -1;
    text_add_char(&s->rest, c);
    if (s->in_text) {
        frame_text(s, c);
    } else if (c == '"') {
        s->in_text = true;
        s->text_at = s->rest.len;
    } else if (c == '{' || c == '[') {
        s->in_items = c == '[' && s->depth == 1 && s->key_is_items;
        s->expects_key = s->depth == 0;
        if (s->depth++ == 0 && c == '[')
            return -1;
    } else if (c == '}' || c == ']') {
        if (!s->depth)
            return -1;
        s->is_over = --s->depth == 0;
    } else if (c == ',' && s->depth == 1) {
        s->expects_key = true;
        s->key_is_items = false;
    }
    return s->depth || s->is_over || is_blank(c) ? 0 : -1;
}

/* Between objects. -1: the character cannot stand there. */
static int between(struct kube_split *s, char c)
{
    bool wanted = s->mode == KUBE_SPLIT_EVENTS || s->in_items;
    if (!wanted)
        return frame_char(s, c);
    if (c == '{') {
        s->in_object = true;
        s->depth++;
        return 0;
    }
    if (s->in_items && c == ']') {
        s->in_items = false;
        return frame_char(s, c);
    }
    return is_blank(c) || (s->in_items && c == ',') ? 0 : -1;
}

int kube_split_feed(struct kube_split *s, const char *p, size_t len, struct err *e)
{
    const char *end = p + len, *from = p;
    while (p < end) {
        if (s->in_object) {
            p = pass_object(s, p, end);
            if (s->in_object)
                break;
            if (p[-1] != '}')
                return wrong(e);
            if (emit(s, from, p, e) < 0)
                return -1;
            continue;
        }
        from = p;
        if (between(s, *p++) < 0)
            return wrong(e);
        if (s->rest.len > MOST_REST)
            return err_set(e, ERR_TOO_LARGE, "the frame of a list has more than %d bytes",
                           MOST_REST);
    }
    if (s->in_object) {
        if (s->object.len + (size_t)(end - from) > s->most)
            return too_large(s, e);
        text_add_bytes(&s->object, from, (size_t)(end - from));
    }
    return 0;
}

int kube_split_end(const struct kube_split *s, struct err *e)
{
    bool whole = s->mode == KUBE_SPLIT_ITEMS ? s->is_over : !s->in_object;
    return whole ? 0 : err_set(e, ERR_UNAVAILABLE, "the answer was cut off");
}
