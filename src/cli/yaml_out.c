#include "cli/yaml_out.h"

#include <ctype.h>

/* Text that stays the same text without quotes: a word that no reader takes for a number, a date, a
 * boolean or a sign of YAML's own. */
static bool is_plain(const char *s)
{
    static const char *const words[] = {"null", "true", "false", "yes", "no",
                                        "on",   "off",  "y",     "n"};
    if (!isalpha((unsigned char)s[0]) && s[0] != '/')
        return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(s, words[i]) == 0)
            return false;
    for (const char *p = s; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("_-./+@", *p) &&
            !(*p == ' ' && p[1] && p[1] != '#'))
            return false;
    return true;
}

static void write_text(struct text *out, const char *s)
{
    if (is_plain(s)) {
        text_add(out, s);
        return;
    }
    /* A JSON string is a YAML string in double quotes. */
    json_t *value = json_string(s);
    char *quoted = json_dumps(value, JSON_ENCODE_ANY);
    text_add(out, quoted ? quoted : "\"\"");
    free(quoted);
    json_decref(value);
}

static void indent(struct text *out, int depth)
{
    for (int i = 0; i < depth; i++)
        text_add(out, "  ");
}

static void write_value(struct text *out, const json_t *value, int depth, bool on_line);

static void write_object(struct text *out, const json_t *value, int depth, bool on_line)
{
    const char *key;
    json_t *child;
    json_object_foreach((json_t *)value, key, child)
    {
        if (!on_line)
            indent(out, depth);
        on_line = false;
        write_text(out, key);
        text_add_char(out, ':');
        bool below = (json_is_object(child) && json_object_size(child)) ||
                     (json_is_array(child) && json_array_size(child));
        text_add(out, below ? "\n" : " ");
        write_value(out, child, depth + 1, !below);
    }
}

static void write_list(struct text *out, const json_t *value, int depth, bool on_line)
{
    size_t i;
    json_t *child;
    json_array_foreach(value, i, child)
    {
        if (!on_line)
            indent(out, depth);
        on_line = false;
        text_add(out, "- ");
        write_value(out, child, depth + 1, true);
    }
}

/* ON_LINE: the place for the value has been reached; what follows a line break is indented. */
static void write_value(struct text *out, const json_t *value, int depth, bool on_line)
{
    if (json_is_object(value) && json_object_size(value)) {
        write_object(out, value, depth, on_line);
        return;
    }
    if (json_is_array(value) && json_array_size(value)) {
        write_list(out, value, depth, on_line);
        return;
    }
    if (json_is_string(value)) {
        write_text(out, json_string_value(value));
    } else {
        auto_free char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
        text_add(out, text ? text : "null");
    }
    text_add_char(out, '\n');
}

void yaml_write(struct text *out, const json_t *value)
{
    write_value(out, value, 0, true);
}
