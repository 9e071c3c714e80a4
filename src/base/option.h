/*
 * Options of a program, as one table. From it come the reading of flags, environment and file, the
 * help text, the man page and the reference. A flag beats the environment, that beats the file,
 * that beats the default.
 *
 *     --agent-listen ADDR    REEVE_AGENT_LISTEN=ADDR    agent-listen: ADDR  (YAML)
 */
#ifndef BASE_OPTION_H
#define BASE_OPTION_H

#include "base/err.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_type {
    OPTION_FLAG,     /* bool; --x, --no-x, true or false */
    OPTION_INT,      /* int64_t within LEAST..MOST */
    OPTION_TEXT,     /* char *, owned by the options; NULL when nothing is given and no default */
    OPTION_DURATION, /* int64_t, milliseconds within LEAST..MOST */
    OPTION_BYTES,    /* int64_t, bytes within LEAST..MOST */
    OPTION_MICROS,   /* int64_t, millionths, from "0.30" */
    OPTION_LIST,     /* struct option_list; may be given often, each adds one */
};

/* Owned by the options. */
struct option_list {
    char **items;
    size_t count;
};

struct option_spec {
    const char *name;
    char letter; /* for -x; 0: none */
    enum option_type type;
    size_t offset;        /* of the member in the options struct */
    const char *arg;      /* what the value is called in the help: "ADDR:PORT" */
    const char *fallback; /* default as text; NULL: none */
    int64_t least, most;  /* MOST 0: no limit */
    const char *help;     /* one sentence, no full stop */
    bool flag_only;       /* only on the command line: neither environment nor file */
};

struct option_table {
    const char *program;  /* "reeved", or "reeve up" */
    const char *summary;  /* one line */
    const char *operands; /* behind the options in the usage line; "" for none */
    const struct option_spec *specs;
    size_t count;
    bool stop_at_operand; /* what follows the first operand is not ours: reeve submit -- cmd -x */
};

/*
 * Fills the struct at INTO. ARGV begins behind the program's name; *RET_OPERANDS is the index of
 * the first operand (they are moved to the end). FILE is a YAML file or NULL; one that is not there
 * is an error only when REQUIRED_FILE. Every value is checked; the error names option, value and
 * where it came from. option_done() frees the texts and lists.
 */
int option_read(const struct option_table *t, int argc, char **argv, const char *file,
                bool required_file, void *into, int *ret_operands, struct err *e);
void option_done(const struct option_table *t, void *into);

/* The value of --NAME in ARGV before anything is read ("--config"), or of its environment variable;
 * NULL when it is not given. */
const char *option_peek(int argc, char **argv, const char *name);

/* The help text, the OPTIONS part of a man page (mdoc), a sample YAML file. */
void option_help(const struct option_table *t, struct text *out);
void option_man(const struct option_table *t, struct text *out);
void option_sample(const struct option_table *t, struct text *out);

/* True when --help or -h stands among the options (before "--"). */
bool option_wants_help(int argc, char **argv);

#endif
