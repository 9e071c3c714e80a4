#include "config.h"
#include "data.h"
#include "graph.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum type { NAME, WHOLE, NUMBER, YES_NO, WORD };

struct setting {
    const char *key;
    enum type type;
    size_t at; /* of its field in struct config */
    double least, most;
    const char *const *words; /* of a WORD, the last one NULL */
    bool shapes;              /* a checkpoint holds only while this stays */
    const char *help;
};

static const char *const stream_words[] = {"joint", "bone", "motion", NULL};
static const char *const optimizer_words[] = {"adam", "sgd", NULL};

#define AT(field) offsetof(struct config, field)
/* clang-format off */
static const struct setting settings[] = {
    {"name",             NAME,   AT(name),             0, 0,     NULL, false, "what to call the run"},
    {"stream",           WORD,   AT(stream),           0, 0,     stream_words, true, "what the net sees: joint positions, bones, or motion"},
    {"classes",          WHOLE,  AT(classes),          2, ACTIONS, NULL, true, "how many kinds of action"},
    {"joints",           WHOLE,  AT(joints),           MIN_JOINTS, MAX_JOINTS, NULL, true, "joints of the skeleton; 21 leaves out fingertips and thumbs"},
    {"frames",           WHOLE,  AT(frames),           8, 256,   NULL, true,  "frames of a sample"},
    {"train_samples",    WHOLE,  AT(train_samples),    1, 20000, NULL, true,  "samples to learn from"},
    {"val_samples",      WHOLE,  AT(val_samples),      1, 20000, NULL, true,  "samples to look at after each epoch"},
    {"test_samples",     WHOLE,  AT(test_samples),     1, 20000, NULL, true,  "samples held back until the end"},
    {"noise",            NUMBER, AT(noise),            0, 1,     NULL, true,  "error of the sensor, in metres"},
    {"augment",          YES_NO, AT(augment),          0, 0,     NULL, false, "turn, scale and shift samples while learning"},
    {"width",            WHOLE,  AT(width),            1, 128,   NULL, true,  "channels of the first block, half those of the second"},
    {"epochs",           WHOLE,  AT(epochs),           1, 1000,  NULL, false, "times through the samples"},
    {"batch",            WHOLE,  AT(batch),            1, 1024,  NULL, true,  "samples per step"},
    {"optimizer",        WORD,   AT(optimizer),        0, 0,     optimizer_words, true, "how a step is made from the gradient"},
    {"lr",               NUMBER, AT(lr),               0, 100,   NULL, false, "learning rate at the start; falls along a cosine"},
    {"weight_decay",     NUMBER, AT(weight_decay),     0, 1,     NULL, false, "pull of the weights towards zero"},
    {"checkpoint_every", WHOLE,  AT(checkpoint_every), 1, 1000,  NULL, false, "epochs between checkpoints"},
    {"seed",             WHOLE,  AT(seed),             0, 1e15,  NULL, true,  "same seed, same run"},
};
/* clang-format on */
enum { SETTINGS = sizeof settings / sizeof *settings };

const struct config config_defaults = {
    .name = "proto-gcn",
    .stream = STREAM_JOINT,
    .classes = 10,
    .joints = MAX_JOINTS,
    .frames = 32,
    .train_samples = 400,
    .val_samples = 100,
    .test_samples = 200,
    .noise = 0.03,
    .augment = true,
    .width = 16,
    .epochs = 12,
    .batch = 16,
    .optimizer = OPTIMIZER_ADAM,
    .lr = 0.01,
    .weight_decay = 0.0001,
    .checkpoint_every = 5,
    .seed = 1,
};

static const struct setting *find(const char *key)
{
    for (int i = 0; i < SETTINGS; i++) {
        const char *a = settings[i].key, *b = key;
        while (*a && (*a == *b || (*a == '_' && *b == '-')))
            a++, b++;
        if (!*a && !*b)
            return &settings[i];
    }
    return NULL;
}

static int set_name(char *field, size_t room, const char *value, struct why *w)
{
    size_t len = strlen(value);
    if (len == 0 || len >= room)
        return why_set(w, "name must have 1 to %zu characters", room - 1);
    for (const char *p = value; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("-_.", *p))
            return why_set(w, "name '%s' may hold letters, digits, '-', '_' and '.' only", value);
    memcpy(field, value, len + 1);
    return 0;
}

static int set_number(const struct setting *s, void *field, const char *value, struct why *w)
{
    char *end = NULL;
    errno = 0;
    double number = strtod(value, &end);
    /* strtod() takes more than we want to: leading blanks, "inf", "nan", hexadecimal. */
    if (end == value || *end || strspn(value, "+-.0123456789eE") != strlen(value))
        return why_set(w, "%s '%s' is not a number", s->key, value);
    if (s->type == WHOLE && number != floor(number))
        return why_set(w, "%s '%s' is not a whole number", s->key, value);
    if (!(number >= s->least && number <= s->most))
        return why_set(w, "%s %s is not within %.10g .. %.10g", s->key, value, s->least, s->most);
    if (s->type == WHOLE)
        *(int64_t *)field = (int64_t)number;
    else
        *(double *)field = number;
    return 0;
}

static int set_word(const struct setting *s, int64_t *field, const char *value, struct why *w)
{
    for (int i = 0; s->words[i]; i++) {
        if (strcmp(s->words[i], value) == 0) {
            *field = i;
            return 0;
        }
    }
    char known[128] = "";
    for (int i = 0; s->words[i]; i++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "",
                 s->words[i]);
    return why_set(w, "%s '%s' is none of: %s", s->key, value, known);
}

static int set_yes_no(const struct setting *s, bool *field, const char *value, struct why *w)
{
    bool yes = strcmp(value, "true") == 0 || strcmp(value, "yes") == 0 || strcmp(value, "on") == 0;
    bool no = strcmp(value, "false") == 0 || strcmp(value, "no") == 0 || strcmp(value, "off") == 0;
    if (!yes && !no)
        return why_set(w, "%s '%s' is neither true nor false", s->key, value);
    *field = yes;
    return 0;
}

int config_set(struct config *c, const char *key, const char *value, struct why *w)
{
    const struct setting *s = find(key);
    if (!s)
        return why_set(w, "unknown setting '%.60s' (--help lists them)", key);

    void *field = (char *)c + s->at;
    switch (s->type) {
    case NAME:
        return set_name(field, sizeof c->name, value, w);
    case WORD:
        return set_word(s, field, value, w);
    case YES_NO:
        return set_yes_no(s, field, value, w);
    case WHOLE:
    case NUMBER:
        break;
    }
    return set_number(s, field, value, w);
}

/* Cuts comment and blanks around; the rest lies within LINE. */
static char *trimmed(char *line)
{
    for (char *p = line; *p; p++) {
        if (*p == '#' && (p == line || isspace((unsigned char)p[-1]))) {
            *p = '\0';
            break;
        }
    }
    size_t len = strlen(line);
    while (len > 0 && isspace((unsigned char)line[len - 1]))
        line[--len] = '\0';
    while (isspace((unsigned char)*line))
        line++;
    return line;
}

static int load_line(struct config *c, char *line, bool *seen, struct why *w)
{
    char *text = trimmed(line);
    if (!*text || strcmp(text, "---") == 0)
        return 0;
    if (text != line)
        return why_set(w, "a setting starts at the left edge: there are no nested ones");

    char *colon = strchr(text, ':');
    if (!colon || colon == text || (colon[1] && !isspace((unsigned char)colon[1])))
        return why_set(w, "'%.60s' is not of the form 'key: value'", text);
    *colon = '\0';
    char *value = trimmed(colon + 1);
    if (!*value)
        return why_set(w, "'%.60s' has no value", text);

    const struct setting *s = find(text);
    if (s && seen[s - settings])
        return why_set(w, "'%s' is given twice", s->key);
    if (s)
        seen[s - settings] = true;
    return config_set(c, text, value, w);
}

int config_load(struct config *c, const char *path, struct why *w)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return why_set(w, "could not open config file '%s': %s", path, strerror(errno));

    struct config read = *c;
    bool seen[SETTINGS] = {false};
    char line[512];
    int rc = 0;
    for (int number = 1; rc == 0 && fgets(line, sizeof line, f); number++) {
        struct why reason = {""};
        size_t len = strlen(line);
        if (len == sizeof line - 1 && line[len - 1] != '\n')
            rc = why_set(&reason, "the line is longer than %zu characters", sizeof line - 2);
        else
            rc = load_line(&read, line, seen, &reason);
        if (rc < 0)
            why_set(w, "%.150s:%d: %.200s", path, number, reason.text);
    }
    if (rc == 0 && ferror(f))
        rc = why_set(w, "could not read config file '%s': %s", path, strerror(errno));
    fclose(f);
    if (rc == 0)
        *c = read;
    return rc;
}

int config_check(const struct config *c, struct why *w)
{
    if (c->batch > c->train_samples)
        return why_set(w, "batch %lld is more than train_samples %lld", (long long)c->batch,
                       (long long)c->train_samples);
    if (c->train_samples < c->classes)
        return why_set(w, "train_samples %lld leaves some of %lld classes without a sample",
                       (long long)c->train_samples, (long long)c->classes);
    return 0;
}

/* The value as a configuration file would hold it. */
static void print_value(const struct config *c, const struct setting *s, FILE *out)
{
    const void *field = (const char *)c + s->at;
    switch (s->type) {
    case NAME:
        fprintf(out, "%s", (const char *)field);
        break;
    case WORD:
        fprintf(out, "%s", s->words[*(const int64_t *)field]);
        break;
    case YES_NO:
        fprintf(out, "%s", *(const bool *)field ? "true" : "false");
        break;
    case WHOLE:
        fprintf(out, "%lld", (long long)*(const int64_t *)field);
        break;
    case NUMBER:
        fprintf(out, "%.10g", *(const double *)field);
        break;
    }
}

void config_help(FILE *out)
{
    for (int i = 0; i < SETTINGS; i++) {
        const struct setting *s = &settings[i];
        char option[32];
        snprintf(option, sizeof option, "--%s", s->key);
        for (char *p = option; *p; p++)
            if (*p == '_')
                *p = '-';
        fprintf(out, "  %-20s %s (", option, s->help);
        if (s->type == WHOLE || s->type == NUMBER)
            fprintf(out, "%.10g .. %.10g, ", s->least, s->most);
        print_value(&config_defaults, s, out);
        fprintf(out, ")\n");
    }
}

void config_json(const struct config *c, FILE *out, int indent)
{
    for (int i = 0; i < SETTINGS; i++) {
        const struct setting *s = &settings[i];
        const char *quote = s->type == NAME || s->type == WORD ? "\"" : "";
        fprintf(out, "%*s\"%s\": %s", indent, "", s->key, quote);
        print_value(c, s, out);
        fprintf(out, "%s%s\n", quote, i + 1 < SETTINGS ? "," : "");
    }
}

uint64_t config_shape(const struct config *c)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a over the fields that shape */
    for (int i = 0; i < SETTINGS; i++) {
        if (!settings[i].shapes)
            continue;
        const unsigned char *field = (const unsigned char *)c + settings[i].at;
        for (size_t b = 0; b < sizeof(int64_t); b++) /* WHOLE, NUMBER and WORD are all 8 bytes */
            hash = (hash ^ field[b]) * UINT64_C(0x100000001b3);
    }
    return hash;
}
