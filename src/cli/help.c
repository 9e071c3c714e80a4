#include "cli/help.h"

#include "base/mem.h"

static void summary_line(FILE *f, const struct command *cmd)
{
    fprintf(f, "  %-16s %s\n", cmd->name, cmd->summary);
}

void help_all(FILE *f)
{
    fprintf(f, "reeve: a training queue and the accounts of its GPUs\n\n"
               "Usage: reeve COMMAND [options] [operands]\n\nCommands:\n");
    for (size_t i = 0; i < command_count; i++)
        if (!(commands[i]->flags & COMMAND_HIDDEN))
            summary_line(f, commands[i]);
    fprintf(f, "\n'reeve COMMAND --help' says more. First steps:\n\n"
               "  reeve up --demo                       see it at work on this machine\n"
               "  reeve submit -- python3 train.py      put a job into the queue\n"
               "  reeve queue --watch                   look at it move\n");
}

void help_group(const char *group, FILE *f)
{
    size_t len = strlen(group);
    fprintf(f, "Usage: reeve %s COMMAND [options] [operands]\n\nCommands:\n", group);
    for (size_t i = 0; i < command_count; i++)
        if (strncmp(commands[i]->name, group, len) == 0 && commands[i]->name[len] == ' ')
            summary_line(f, commands[i]);
}

void help_command(const struct command *cmd)
{
    char name[64];
    struct option_table t = command_options(cmd, name);
    auto_text struct text out = {0};
    option_help(&t, &out);
    if (cmd->examples)
        text_addf(&out, "\nExamples:\n%s", cmd->examples);
    fwrite(out.data, 1, out.len, stdout);
    free((void *)t.specs);
}

/* How many letters differ, with a swap of two neighbours as one. */
static int distance(const char *a, const char *b)
{
    enum { MOST = 24 };
    size_t n = strlen(a), m = strlen(b);
    int d[MOST + 1][MOST + 1];
    if (n > MOST || m > MOST)
        return MOST;
    for (size_t i = 0; i <= n; i++)
        for (size_t k = 0; k <= m; k++) {
            if (!i || !k) {
                d[i][k] = (int)(i + k);
                continue;
            }
            int best = d[i - 1][k - 1] + (a[i - 1] != b[k - 1]);
            best = d[i - 1][k] + 1 < best ? d[i - 1][k] + 1 : best;
            best = d[i][k - 1] + 1 < best ? d[i][k - 1] + 1 : best;
            if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1] &&
                d[i - 2][k - 2] + 1 < best)
                best = d[i - 2][k - 2] + 1;
            d[i][k] = best;
        }
    return d[n][m];
}

const char *help_nearest(const char *word)
{
    const char *best = NULL;
    int least = strlen(word) > 4 ? 3 : 2;
    for (size_t i = 0; i < command_count; i++) {
        if (commands[i]->flags & COMMAND_HIDDEN)
            continue;
        int d = distance(word, commands[i]->name);
        if (d < least) {
            least = d;
            best = commands[i]->name;
        }
    }
    return best;
}

static int run_help(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    (void)c, (void)own;
    int words;
    if (argc == 0) {
        help_all(stdout);
        return 0;
    }
    const struct command *cmd = command_find(argv[0], argc > 1 ? argv[1] : NULL, &words);
    if (cmd)
        help_command(cmd);
    else if (command_is_group(argv[0]))
        help_group(argv[0], stdout);
    else
        return err_set(e, ERR_INVALID, "command '%.64s' is not known; 'reeve help' lists them",
                       argv[0]);
    return 0;
}

const struct command cmd_help = {
    .name = "help",
    .summary = "say what a command does",
    .operands = "[COMMAND]",
    .operand = OPERAND_COMMAND,
    .run = run_help,
};

static int run_version(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    (void)c, (void)own, (void)argc, (void)argv, (void)e;
    printf("reeve %s\n", REEVE_VERSION);
    return 0;
}

const struct command cmd_version = {
    .name = "version",
    .summary = "print the version of this program",
    .operands = "",
    .run = run_version,
};
