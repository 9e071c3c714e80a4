#include "base/option.h"

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

#include <ctype.h>

static int put_number(const struct option_spec *s, int64_t value, void *into, const char *text,
                      const char *from, struct err *e)
{
    if (s->most && (value < s->least || value > s->most))
        return err_set(e, ERR_INVALID, "option '%s' from the %s: '%.60s' is out of range", s->name,
                       from, text);
    memcpy((char *)into + s->offset, &value, sizeof value);
    return 0;
}

static int put(const struct option_spec *s, const char *text, void *into, const char *from,
               struct err *e)
{
    char what[96];
    snprintf(what, sizeof what, "option '%s' from the %s:", s->name, from);
    int64_t number = 0;
    uint64_t bytes = 0;

    switch (s->type) {
    case OPTION_FLAG: {
        bool yes = strcmp(text, "true") == 0 || strcmp(text, "1") == 0 || strcmp(text, "yes") == 0;
        if (!yes && strcmp(text, "false") != 0 && strcmp(text, "0") != 0 && strcmp(text, "no") != 0)
            return err_set(e, ERR_INVALID, "%s '%.60s' is not true or false", what, text);
        *((bool *)((char *)into + s->offset)) = yes;
        return 0;
    }
    case OPTION_TEXT: {
        char **at = (char **)((char *)into + s->offset);
        free(*at);
        *at = mem_strdup(text);
        return 0;
    }
    case OPTION_LIST: {
        struct option_list *list = (struct option_list *)(void *)((char *)into + s->offset);
        list->items = mem_resize_array(list->items, list->count + 1);
        list->items[list->count++] = mem_strdup(text);
        return 0;
    }
    case OPTION_INT:
        if (text_to_int(text, s->most ? s->least : INT64_MIN, s->most ? s->most : INT64_MAX, what,
                        &number, e) < 0)
            return -1;
        break;
    case OPTION_DURATION:
        if (text_to_duration_ms(text, what, &number, e) < 0)
            return -1;
        break;
    case OPTION_BYTES:
        if (text_to_bytes(text, what, &bytes, e) < 0)
            return -1;
        number = (int64_t)bytes;
        break;
    case OPTION_MICROS:
        if (text_to_fixed(text, 1000000, what, &number, e) < 0)
            return -1;
        break;
    }
    return put_number(s, number, into, text, from, e);
}

static void env_name(const char *name, char *buf, size_t size)
{
    int len = snprintf(buf, size, "REEVE_%s", name);
    for (int i = 6; i < len && buf[i]; i++)
        buf[i] = (char)(buf[i] == '-' ? '_' : toupper((unsigned char)buf[i]));
}

static const struct option_spec *find(const struct option_table *t, const char *name, size_t len)
{
    for (size_t i = 0; i < t->count; i++)
        if (strlen(t->specs[i].name) == len && memcmp(t->specs[i].name, name, len) == 0)
            return &t->specs[i];
    return NULL;
}

static int put_json(const struct option_spec *s, const json_t *value, void *into, struct err *e)
{
    size_t i;
    json_t *item;
    if (s->type == OPTION_LIST && json_is_array(value)) {
        json_array_foreach(value, i, item) if (put_json(s, item, into, e) < 0) return -1;
        return 0;
    }
    auto_free char *text =
        json_is_string(value) ? mem_strdup(json_string_value(value)) : json_write(value);
    return put(s, text, into, "file", e);
}

static int read_file(const struct option_table *t, const char *file, bool required, void *into,
                     struct err *e)
{
    if (!file || (!required && access(file, F_OK) < 0))
        return 0;

    auto_free char *text = NULL;
    size_t len;
    auto_json json_t *root = NULL;
    if (file_read(file, 1 << 20, &text, &len, e) < 0)
        return -1;
    if (yaml_parse(text, len, &root, e) < 0)
        return err_wrap(e, "configuration file '%s'", file);
    if (json_is_null(root))
        return 0;
    if (!json_is_object(root))
        return err_set(e, ERR_INVALID, "configuration file '%s' must hold keys with values", file);

    const char *key;
    json_t *value;
    json_object_foreach(root, key, value)
    {
        const struct option_spec *s = find(t, key, strlen(key));
        if (!s || s->flag_only)
            return err_set(e, ERR_INVALID, "configuration file '%s': option '%.64s' is not known",
                           file, key);
        if (put_json(s, value, into, e) < 0)
            return err_wrap(e, "configuration file '%s'", file);
    }
    return 0;
}

static int read_environment(const struct option_table *t, void *into, struct err *e)
{
    for (size_t i = 0; i < t->count; i++) {
        char name[80];
        env_name(t->specs[i].name, name, sizeof name);
        const char *value = t->specs[i].flag_only ? NULL : getenv(name);
        if (value && put(&t->specs[i], value, into, "environment", e) < 0)
            return -1;
    }
    return 0;
}

static const struct option_spec *by_letter(const struct option_table *t, char letter)
{
    for (size_t i = 0; i < t->count; i++)
        if (letter && t->specs[i].letter == letter)
            return &t->specs[i];
    return NULL;
}

/* One option at ARGV[*I]; moves *I on when its value is the next word. */
static int read_flag(const struct option_table *t, int argc, char **argv, int *i, void *into,
                     struct err *e)
{
    const char *word = argv[*i], *value = NULL;
    const struct option_spec *s = NULL;
    bool no = false;

    if (word[1] != '-') {
        s = by_letter(t, word[1]);
        if (s && word[2])
            value = word + 2;
    } else {
        const char *equals = strchr(word, '=');
        size_t len = equals ? (size_t)(equals - word - 2) : strlen(word + 2);
        s = find(t, word + 2, len);
        value = equals ? equals + 1 : NULL;
        if (!s && text_starts_with(word, "--no-") && !value) {
            s = find(t, word + 5, strlen(word + 5));
            no = s && s->type == OPTION_FLAG;
            s = no ? s : NULL;
        }
    }
    if (!s)
        return err_set(e, ERR_INVALID, "option '%.64s' is not known; see '%s --help'", word,
                       t->program);
    if (s->type == OPTION_FLAG)
        return put(s, value ? value : no ? "false" : "true", into, "command line", e);
    if (!value && *i + 1 >= argc)
        return err_set(e, ERR_INVALID, "option '%.64s' needs a value (%s)", word, s->arg);
    return put(s, value ? value : argv[++*i], into, "command line", e);
}

static int read_flags(const struct option_table *t, int argc, char **argv, void *into,
                      int *ret_operands, struct err *e)
{
    auto_free char **operands = mem_new_array(char *, (size_t)argc + 1);
    int count = 0, i = 0;

    for (; i < argc; i++) {
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        if (argv[i][0] != '-' || !argv[i][1]) {
            if (t->stop_at_operand)
                break;
            operands[count++] = argv[i];
        } else if (read_flag(t, argc, argv, &i, into, e) < 0) {
            return -1;
        }
    }
    while (i < argc)
        operands[count++] = argv[i++];
    for (int k = 0; k < count; k++)
        argv[argc - count + k] = operands[k];
    *ret_operands = argc - count;
    return 0;
}

int option_read(const struct option_table *t, int argc, char **argv, const char *file,
                bool required_file, void *into, int *ret_operands, struct err *e)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->specs[i].fallback &&
            put(&t->specs[i], t->specs[i].fallback, into, "defaults", e) < 0)
            return -1;
    if (read_file(t, file, required_file, into, e) < 0 || read_environment(t, into, e) < 0)
        return -1;
    return read_flags(t, argc, argv, into, ret_operands, e);
}

void option_done(const struct option_table *t, void *into)
{
    for (size_t i = 0; i < t->count; i++) {
        void *at = (char *)into + t->specs[i].offset;
        if (t->specs[i].type == OPTION_TEXT) {
            free(*(char **)at);
            *(char **)at = NULL;
        } else if (t->specs[i].type == OPTION_LIST) {
            struct option_list *list = at;
            for (size_t k = 0; k < list->count; k++)
                free(list->items[k]);
            free(list->items);
            *list = (struct option_list){0};
        }
    }
}

const char *option_peek(int argc, char **argv, const char *name)
{
    size_t len = strlen(name);
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strncmp(argv[i], "--", 2) != 0 || strncmp(argv[i] + 2, name, len) != 0)
            continue;
        if (argv[i][2 + len] == '=')
            return argv[i] + 3 + len;
        if (!argv[i][2 + len] && i + 1 < argc)
            return argv[i + 1];
    }
    char variable[80];
    env_name(name, variable, sizeof variable);
    return getenv(variable);
}

bool option_wants_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

enum { HELP_COLUMN = 31, HELP_WIDTH = 96, MAN_WIDTH = 76 };

void option_help(const struct option_table *t, struct text *out)
{
    text_addf(out, "%s: %s\n\nUsage: %s [options]%s%s\n\nOptions:\n", t->program, t->summary,
              t->program, t->operands[0] ? " " : "", t->operands);
    for (size_t i = 0; i < t->count; i++) {
        const struct option_spec *s = &t->specs[i];
        auto_text struct text help = {0};
        char left[64];
        snprintf(left, sizeof left, "  %c%c%s --%s%s%s", s->letter ? '-' : ' ',
                 s->letter ? s->letter : ' ', s->letter ? "," : " ", s->name, s->arg ? " " : "",
                 s->arg ? s->arg : "");
        text_addf(out, "%-*s%s", HELP_COLUMN, left, strlen(left) >= HELP_COLUMN ? "\n" : "");
        if (strlen(left) >= HELP_COLUMN)
            text_addf(out, "%*s", HELP_COLUMN, "");
        text_add(&help, s->help);
        if (s->fallback && s->type != OPTION_FLAG)
            text_addf(&help, " (default %s)", s->fallback);
        text_add_wrapped(out, text_get(&help), HELP_WIDTH, HELP_COLUMN);
        text_add_char(out, '\n');
    }
    text_addf(out, "%-*s%s\n", HELP_COLUMN, "  -h, --help", "show this text");
}

/* A help text as a sentence of mdoc, where a dot or quote that begins a line is a macro. */
static void man_sentence(struct text *out, const char *help)
{
    auto_text struct text plain = {0}, lines = {0};
    text_addf(&plain, "%c%s.", toupper((unsigned char)help[0]), help + 1);
    text_add_wrapped(&lines, plain.data, MAN_WIDTH, 0);
    for (const char *p = lines.data; *p; p++) {
        if ((p == lines.data || p[-1] == '\n') && (*p == '.' || *p == '\''))
            text_add(out, "\\&");
        if (*p == '\\')
            text_add(out, "\\e");
        else
            text_add_char(out, *p);
    }
    text_add_char(out, '\n');
}

void option_man(const struct option_table *t, struct text *out)
{
    text_add(out, ".Bl -tag -width Ds\n");
    for (size_t i = 0; i < t->count; i++) {
        const struct option_spec *s = &t->specs[i];
        char variable[80];
        env_name(s->name, variable, sizeof variable);
        text_add(out, ".It ");
        if (s->letter)
            text_addf(out, "Fl %c , ", s->letter);
        text_addf(out, "Fl -%s", s->name);
        if (s->arg)
            text_addf(out, " Ar %s", s->arg);
        text_add_char(out, '\n');
        man_sentence(out, s->help);
        if (s->fallback && s->type != OPTION_FLAG)
            text_addf(out, "Default: %s.\n", s->fallback);
        if (!s->flag_only)
            text_addf(out, "Environment:\n.Ev %s .\n", variable);
    }
    text_add(out, ".El\n");
}

void option_sample(const struct option_table *t, struct text *out)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct option_spec *s = &t->specs[i];
        if (s->flag_only)
            continue;
        text_addf(out, "# %c%s.\n#%s: %s\n\n", toupper((unsigned char)s->help[0]), s->help + 1,
                  s->name,
                  s->fallback              ? s->fallback
                  : s->type == OPTION_FLAG ? "false"
                                           : "");
    }
}
