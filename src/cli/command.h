/*
 * The commands of `reeve`, as one table. From it come the parsing of the command line, the help,
 * the completion and the man pages.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "base/option.h"

#include <stdbool.h>
#include <stddef.h>

/* Exit code of `submit --wait` when the job did not complete; besides those of base/err.h. */
enum { EXIT_JOB_FAILED = 10, EXIT_CHECK_FAILED = 11 };

enum output_format { OUTPUT_TABLE, OUTPUT_WIDE, OUTPUT_JSON, OUTPUT_YAML, OUTPUT_NAME };

/* What every command understands. Also the keys of the configuration file. */
struct cli_options {
    char *server;
    char *token;
    char *token_file;
    char *tls_ca;
    bool tls_insecure;
    int64_t timeout_ms;
    char *output;
    char *color;
    char *cli_config; /* read before the others, by option_peek() */
    bool watch;
    int64_t interval_ms;
};

struct client;

/* One run of the program. */
struct cli {
    struct cli_options opt;
    const struct command *command;
    enum output_format format;
    struct client *client; /* NULL until cli_client() */
    bool terminal;         /* standard output is one */
    bool color;
    int columns; /* width of the terminal; 0: it is none, nothing is cut */
};

/* The connection, made at the first call; the next steps are in the error. */
int cli_client(struct cli *c, struct client **ret, struct err *e);

enum command_flags {
    COMMAND_CONNECTS = 1,   /* has the options of connection and output, and reads their file */
    COMMAND_WATCHES = 2,    /* has --watch */
    COMMAND_TAKES_REST = 4, /* what follows the first operand is not ours */
    COMMAND_HIDDEN = 8,
};

/* What an operand names, for completion. */
enum operand_kind {
    OPERAND_NONE,
    OPERAND_JOB,
    OPERAND_NODE,
    OPERAND_USER,
    OPERAND_SHELL,
    OPERAND_COMMAND
};

struct command {
    const char *name;     /* one word, or two: "user add" */
    const char *summary;  /* one line, no full stop */
    const char *operands; /* for the usage line; "" for none */
    /* The command's own options, into a struct of SIZE bytes that is zeroed first. */
    const struct option_spec *specs;
    size_t count, size;
    unsigned flags;
    enum operand_kind operand;
    /* The exit code, or -1 and E. */
    int (*run)(struct cli *c, void *own, int argc, char **argv, struct err *e);
    const char *text;     /* more for the man page: mdoc paragraphs; NULL: none */
    const char *examples; /* shell lines, each behind a comment line; NULL: none */
};

extern const struct command *const commands[];
extern const size_t command_count;

/* What two words on a command line name; NULL: nothing. *RET_WORDS says how many were used. SECOND
 * may be NULL. */
const struct command *command_find(const char *first, const char *second, int *ret_words);
/* True when there are commands "GROUP ...". */
bool command_is_group(const char *group);
/* "user" of "user add". Into BUF, which is returned. */
char *command_group(const struct command *cmd, char buf[32]);

/* The options of CMD with those that all commands share, for a struct that holds struct cli_options
 * first and the command's own behind it at COMMAND_OWN_OFFSET. Free specs with free(). */
#define COMMAND_OWN_OFFSET ((sizeof(struct cli_options) + 15) / 16 * 16)
struct option_table command_options(const struct command *cmd, char name[64]);
#endif
