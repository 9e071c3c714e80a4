/* reeve: finds the command, reads its options, runs it, and says what failed and what to do next.
 */
#include "base/mem.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/help.h"
#include "cli/place.h"

#include <locale.h>
#include <signal.h>
#include <sys/ioctl.h>

static int read_format(struct cli *c, struct err *e)
{
    static const char *const names[] = {[OUTPUT_TABLE] = "table",
                                        [OUTPUT_WIDE] = "wide",
                                        [OUTPUT_JSON] = "json",
                                        [OUTPUT_YAML] = "yaml",
                                        [OUTPUT_NAME] = "name"};
    const char *word = c->opt.output ? c->opt.output : "table";
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strcmp(word, names[i]) == 0) {
            c->format = (enum output_format)i;
            return 0;
        }
    return err_set(e, ERR_INVALID, "output '%.40s' is not table, wide, json, yaml or name", word);
}

static int read_terminal(struct cli *c, struct err *e)
{
    const char *when = c->opt.color ? c->opt.color : "auto", *term = getenv("TERM");
    const char *none = getenv("NO_COLOR");
    struct winsize size;

    c->terminal = isatty(STDOUT_FILENO) == 1;
    if (c->terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
        c->columns = size.ws_col;
    if (strcmp(when, "always") == 0)
        c->color = true;
    else if (strcmp(when, "auto") == 0)
        c->color = c->terminal && !(none && *none) && term && strcmp(term, "dumb") != 0;
    else if (strcmp(when, "never") != 0)
        return err_set(e, ERR_INVALID, "color '%.40s' is not auto, always or never", when);
    return 0;
}

/* One line for the person who wonders what to do about it; NULL: the error says it all. */
static const char *next_step(const struct cli *c, const struct err *e)
{
    switch (e->code) {
    case ERR_UNAVAILABLE:
        return c->client ? "start it with 'reeve up', or name another by --server or REEVE_SERVER; "
                           "'reeve doctor' looks closer"
                         : NULL;
    case ERR_UNAUTHENTICATED:
        return "give a token by REEVE_TOKEN or --token-file FILE; an admin makes one with 'reeve "
               "token create USER'";
    case ERR_DENIED:
        if (c->client && !client_was_answered(c->client))
            return "trust its certificate by --tls-ca FILE or REEVE_TLS_CA";
        return c->client ? "'reeve whoami' says what this token may do" : NULL;
    case ERR_EXHAUSTED:
        return c->client ? "try again a little later; 'reeve status' shows how busy it is" : NULL;
    default:
        return NULL;
    }
}

static int fail(const struct cli *c, const struct err *e)
{
    fprintf(stderr, "reeve: %s\n", e->text);
    const char *next = next_step(c, e);
    if (next)
        fprintf(stderr, "       %s\n", next);
    return err_exit(e->code);
}

static int read_options(struct cli *c, const struct option_table *t, int argc, char **argv,
                        void *into, int *ret_operands, struct err *e)
{
    const char *named = option_peek(argc, argv, "cli-config");
    auto_free char *usual = place_config();
    const char *file = named ? named : usual;
    if (!(c->command->flags & COMMAND_CONNECTS))
        file = NULL;
    if (option_read(t, argc, argv, file, named != NULL, into, ret_operands, e) < 0)
        return -1;
    c->opt = *(struct cli_options *)into;
    if (read_format(c, e) < 0)
        return -1;
    return read_terminal(c, e);
}

static int run(const struct command *cmd, int argc, char **argv)
{
    struct cli c = {.command = cmd};
    struct err e = {0};
    char name[64];
    struct option_table t = command_options(cmd, name);
    auto_free void *into = mem_alloc(1, COMMAND_OWN_OFFSET + cmd->size);
    int operands = 0, code = 0;

    if (option_wants_help(argc, argv)) {
        help_command(cmd);
    } else {
        int rc = read_options(&c, &t, argc, argv, into, &operands, &e);
        if (rc == 0)
            rc = cmd->run(&c, (char *)into + COMMAND_OWN_OFFSET, argc - operands, argv + operands,
                          &e);
        code = rc < 0 ? fail(&c, &e) : rc;
    }
    client_close(c.client);
    option_done(&t, into);
    free((void *)t.specs);
    return code;
}

static int unknown(const char *word)
{
    if (command_is_group(word)) {
        help_group(word, stderr);
        return 2;
    }
    const char *near = help_nearest(word);
    fprintf(stderr, "reeve: command '%.64s' is not known; ", word);
    if (near)
        fprintf(stderr, "did you mean 'reeve %s'?\n", near);
    else
        fprintf(stderr, "'reeve help' lists them\n");
    return 2;
}

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "");
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        help_all(argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    const char *first = strcmp(argv[1], "--version") == 0 ? "version" : argv[1];
    if (command_is_group(first) && (argc < 3 || strcmp(argv[2], "--help") == 0)) {
        help_group(first, argc < 3 ? stderr : stdout);
        return argc < 3 ? 2 : 0;
    }
    int words = 0;
    const struct command *cmd = command_find(first, argc > 2 ? argv[2] : NULL, &words);
    if (!cmd)
        return unknown(first);
    return run(cmd, argc - 1 - words, argv + 1 + words);
}
