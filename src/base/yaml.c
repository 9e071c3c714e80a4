/* YAML into jansson's tree: libyaml's events, a stack of open collections, and limits. */
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"

#include <errno.h>
#include <yaml.h>

struct reading {
    yaml_parser_t parser;
    json_t *stack[JSON_MAX_DEPTH]; /* borrowed from ROOT */
    char *key[JSON_MAX_DEPTH];     /* waiting for its value; owned */
    int depth;
    size_t values;
    json_t *root;
};

/* Aliases are refused, so the tree cannot be larger than the text; this bounds it all the same. */
enum { MAX_VALUES = 200000 };

static void reading_done(struct reading *r)
{
    for (int i = 0; i < JSON_MAX_DEPTH; i++)
        free(r->key[i]);
    json_decref(r->root);
    yaml_parser_delete(&r->parser);
}

static int fail(const yaml_event_t *ev, struct err *e, const char *why)
{
    return err_set(e, ERR_INVALID, "the YAML cannot be read at line %zu, column %zu: %s",
                   ev->start_mark.line + 1, ev->start_mark.column + 1, why);
}

static json_t *plain_value(const char *s, size_t len)
{
    if (!len || strcmp(s, "null") == 0 || strcmp(s, "~") == 0)
        return json_null();
    if (strcmp(s, "true") == 0)
        return json_true();
    if (strcmp(s, "false") == 0)
        return json_false();

    const char *digits = s + (s[0] == '-');
    /* Identifiers such as 007 stay text. */
    bool number = digits[0] >= '0' && digits[0] <= '9' && !(digits[0] == '0' && digits[1] >= '0');
    char *end = NULL;
    errno = 0;
    if (number) {
        long long whole = strtoll(s, &end, 10);
        if (!*end && !errno)
            return json_integer(whole);
        if (strspn(digits, "0123456789.eE+-") == strlen(digits)) {
            double real = strtod(s, &end);
            if (!*end && real - real == 0)
                return json_real(real);
        }
    }
    return json_stringn(s, len);
}

/* Puts VALUE (owned) where the innermost collection expects one. */
static int place(struct reading *r, const yaml_event_t *ev, json_t *value, struct err *e)
{
    if (!value)
        return fail(ev, e, "the text is not UTF-8");
    if (++r->values > MAX_VALUES) {
        json_decref(value);
        return fail(ev, e, "it has too many values");
    }
    if (r->depth == 0) {
        r->root = value;
        return 0;
    }

    json_t *in = r->stack[r->depth - 1];
    if (json_is_array(in)) {
        json_array_append_new(in, value);
        return 0;
    }
    auto_free char *key = r->key[r->depth - 1];
    r->key[r->depth - 1] = NULL;
    if (json_object_get(in, key)) {
        json_decref(value);
        return fail(ev, e, "the same key stands twice");
    }
    if (json_object_set_new(in, key, value) < 0)
        return fail(ev, e, "the key is not UTF-8");
    return 0;
}

static bool expects_key(const struct reading *r)
{
    return r->depth > 0 && json_is_object(r->stack[r->depth - 1]) && !r->key[r->depth - 1];
}

static int on_scalar(struct reading *r, const yaml_event_t *ev, struct err *e)
{
    const char *s = (const char *)ev->data.scalar.value;
    size_t len = ev->data.scalar.length;

    if (ev->data.scalar.tag && !ev->data.scalar.quoted_implicit && !ev->data.scalar.plain_implicit)
        return fail(ev, e, "tags are not understood here");
    if (memchr(s, '\0', len))
        return fail(ev, e, "a text holds a NUL");
    if (expects_key(r)) {
        if (strcmp(s, "<<") == 0)
            return fail(ev, e, "merge keys are not understood here");
        r->key[r->depth - 1] = mem_strndup(s, len);
        return 0;
    }
    bool plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return place(r, ev, plain ? plain_value(s, len) : json_stringn(s, len), e);
}

static int on_begin(struct reading *r, const yaml_event_t *ev, json_t *collection, struct err *e)
{
    if (expects_key(r) || r->depth == JSON_MAX_DEPTH) {
        json_decref(collection);
        return fail(ev, e, expects_key(r) ? "a key must be plain text" : "it is nested too deep");
    }
    if (place(r, ev, collection, e) < 0)
        return -1;
    r->stack[r->depth++] = collection;
    return 0;
}

static int on_event(struct reading *r, const yaml_event_t *ev, bool *ret_end, struct err *e)
{
    switch (ev->type) {
    case YAML_SCALAR_EVENT:
        return on_scalar(r, ev, e);
    case YAML_MAPPING_START_EVENT:
        return on_begin(r, ev, json_object(), e);
    case YAML_SEQUENCE_START_EVENT:
        return on_begin(r, ev, json_array(), e);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        r->depth--;
        return 0;
    case YAML_ALIAS_EVENT:
        return fail(ev, e, "aliases are not understood here");
    case YAML_DOCUMENT_START_EVENT:
        return r->root ? fail(ev, e, "only one document is expected") : 0;
    case YAML_STREAM_END_EVENT:
        *ret_end = true;
        return 0;
    default:
        return 0;
    }
}

static int read_events(struct reading *r, struct err *e)
{
    for (bool end = false; !end;) {
        yaml_event_t ev;
        if (!yaml_parser_parse(&r->parser, &ev))
            return err_set(e, ERR_INVALID, "the YAML cannot be read at line %zu, column %zu: %s",
                           r->parser.problem_mark.line + 1, r->parser.problem_mark.column + 1,
                           r->parser.problem ? r->parser.problem : "it is not YAML");
        int rc = on_event(r, &ev, &end, e);
        yaml_event_delete(&ev);
        if (rc < 0)
            return -1;
    }
    return 0;
}

int yaml_parse(const char *p, size_t len, json_t **ret, struct err *e)
{
    struct reading r = {0};
    if (!text_is_utf8(p, len))
        return err_set(e, ERR_INVALID, "the YAML is not UTF-8");
    if (!yaml_parser_initialize(&r.parser))
        return err_set(e, ERR_EXHAUSTED, "out of memory");
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)p, len);

    int rc = read_events(&r, e);
    if (rc == 0)
        *ret = r.root ? TAKE(r.root) : json_null();
    reading_done(&r);
    return rc;
}
