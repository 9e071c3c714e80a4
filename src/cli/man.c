/* Man pages in mdoc, made while building from the table of commands. */
#include "base/mem.h"
#include "cli/help.h"

#include <ctype.h>

#define MAN_DATE "November 24, 2026"

/* Text from C: a backslash is an escape there, and a line must not begin with a dot or a quote. */
static void add_plain(struct text *out, const char *s)
{
    for (bool start = true; *s; s++) {
        if (start && (*s == '.' || *s == '\''))
            text_add(out, "\\&");
        if (*s == '\\')
            text_add(out, "\\e");
        else
            text_add_char(out, *s);
        start = *s == '\n';
    }
}

static void add_head(struct text *out, const char *page, const char *summary)
{
    text_addf(out, ".Dd %s\n.Dt ", MAN_DATE);
    for (const char *p = page; *p; p++)
        text_add_char(out, (char)toupper((unsigned char)*p));
    text_addf(out, " 1\n.Os\n.Sh NAME\n.Nm %s\n.Nd %s\n", page, summary);
}

/* "[options] -- COMMAND [ARG...]" word by word: brackets become optional arguments. */
static void add_operands(struct text *out, const char *operands)
{
    while (*operands) {
        size_t len = strcspn(operands, " ");
        bool optional = operands[0] == '[' && operands[len - 1] == ']';
        text_addf(out, "%s%.*s\n", optional ? ".Op Ar " : ".Ar ", (int)len - 2 * optional,
                  operands + optional);
        operands += len + (operands[len] == ' ');
    }
}

static void add_synopsis(struct text *out, const struct command *cmd)
{
    text_addf(out, ".Nm reeve %s\n", cmd->name);
    if (cmd->count || cmd->flags & COMMAND_CONNECTS)
        text_add(out, ".Op Ar options\n");
    add_operands(out, cmd->operands);
}

static void add_options(struct text *out, const struct command *cmd)
{
    char name[64];
    struct option_table t = command_options(cmd, name);
    option_man(&t, out);
    free((void *)t.specs);
}

static void add_examples(struct text *out, const struct command *cmd)
{
    if (!cmd->examples)
        return;
    text_add(out, ".Bd -literal -offset indent\n");
    add_plain(out, cmd->examples);
    text_add(out, ".Ed\n");
}

static void add_exit_codes(struct text *out)
{
    text_add(out, ".Sh EXIT STATUS\n.Bl -tag -width Ds -compact\n.It 0\nit is done\n");
    for (int status = 1; status < 16; status++) {
        auto_text struct text titles = {0};
        for (int code = 1; code < ERR_CODE_COUNT; code++)
            if (err_exit((enum err_code)code) == status)
                text_addf(&titles, "%s%s", titles.len ? "; " : "", err_title((enum err_code)code));
        if (!titles.len)
            continue;
        text_addf(out, ".It %d\n", status);
        text_add_wrapped(out, titles.data, 76, 0);
        text_add_char(out, '\n');
    }
    text_addf(out,
              ".It %d\nthe job that was waited for did not complete\n"
              ".It %d\na check found something wrong\n.El\n",
              EXIT_JOB_FAILED, EXIT_CHECK_FAILED);
}

static void add_see_also(struct text *out, const char *page)
{
    text_add(out, ".Sh SEE ALSO\n");
    if (strcmp(page, "reeve") != 0)
        text_add(out, ".Xr reeve 1\n");
    else
        text_add(out, ".Xr reeve-submit 1 ,\n.Xr reeve-up 1\n");
}

static void page_of_command(const struct command *cmd, const char *page, struct text *out)
{
    add_head(out, page, cmd->summary);
    text_add(out, ".Sh SYNOPSIS\n");
    add_synopsis(out, cmd);
    text_addf(out, ".Sh DESCRIPTION\n%c%s.\n", toupper((unsigned char)cmd->summary[0]),
              cmd->summary + 1);
    if (cmd->text)
        text_add(out, cmd->text);
    if (cmd->count || cmd->flags & COMMAND_CONNECTS) {
        text_add(out, ".Sh OPTIONS\n");
        add_options(out, cmd);
    }
    add_exit_codes(out);
    if (cmd->examples) {
        text_add(out, ".Sh EXAMPLES\n");
        add_examples(out, cmd);
    }
    add_see_also(out, page);
}

static void page_of_group(const char *group, const char *page, struct text *out)
{
    size_t len = strlen(group);
    char summary[64];
    snprintf(summary, sizeof summary, "commands about %s of Reeve", group);
    add_head(out, page, summary);
    text_add(out, ".Sh SYNOPSIS\n");
    for (size_t i = 0; i < command_count; i++)
        if (strncmp(commands[i]->name, group, len) == 0 && commands[i]->name[len] == ' ')
            add_synopsis(out, commands[i]);
    text_add(out, ".Sh DESCRIPTION\n");
    for (size_t i = 0; i < command_count; i++) {
        const struct command *cmd = commands[i];
        if (strncmp(cmd->name, group, len) != 0 || cmd->name[len] != ' ')
            continue;
        text_addf(out, ".Ss reeve %s\n%c%s.\n", cmd->name, toupper((unsigned char)cmd->summary[0]),
                  cmd->summary + 1);
        if (cmd->text)
            text_add(out, cmd->text);
        add_options(out, cmd);
        add_examples(out, cmd);
    }
    add_exit_codes(out);
    add_see_also(out, page);
}

static void page_of_all(struct text *out)
{
    add_head(out, "reeve", "a training queue and the accounts of its GPUs");
    text_add(out, ".Sh SYNOPSIS\n.Nm\n.Ar command\n.Op Ar options\n.Op Ar operands\n"
                  ".Sh DESCRIPTION\n"
                  "Puts work into a queue for GPUs, looks at it, and runs the programs that\nserve "
                  "it.\nThe commands are:\n.Bl -tag -width Ds\n");
    for (size_t i = 0; i < command_count; i++)
        if (!(commands[i]->flags & COMMAND_HIDDEN))
            text_addf(out, ".It Cm %s\n%c%s.\n", commands[i]->name,
                      toupper((unsigned char)commands[i]->summary[0]), commands[i]->summary + 1);
    text_add(out, ".El\n.Sh ENVIRONMENT\n.Bl -tag -width Ds\n"
                  ".It Ev REEVE_SERVER\nWhere reeved is.\n"
                  ".It Ev REEVE_TOKEN , Ev REEVE_TOKEN_FILE\nWhose token to use.\n"
                  ".It Ev REEVE_OUTPUT , Ev REEVE_COLOR\nHow answers look.\n"
                  ".It Ev NO_COLOR\nNo colours when it is set.\n.El\n"
                  ".Sh FILES\n.Bl -tag -width Ds\n"
                  ".It Pa ~/.config/reeve/config.yaml\n"
                  "The same by name:\n.Li server ,\n.Li token-file ,\n.Li output\nand so on.\n"
                  ".It Pa /var/lib/reeve/reeved.sock , Pa ~/.local/state/reeve/reeved.sock\n"
                  "The socket of one that runs here; it needs no token.\n.El\n");
    add_exit_codes(out);
    add_see_also(out, "reeve");
}

int man_page(const char *name, struct text *out, struct err *e)
{
    int words;
    char page[64];
    if (strcmp(name, "reeve") == 0) {
        page_of_all(out);
        return 0;
    }
    snprintf(page, sizeof page, "reeve-%s", name);
    const struct command *cmd = command_find(name, NULL, &words);
    if (cmd && !(cmd->flags & COMMAND_HIDDEN))
        page_of_command(cmd, page, out);
    else if (command_is_group(name))
        page_of_group(name, page, out);
    else
        return err_set(e, ERR_NOT_FOUND, "there is no man page for '%s'", name);
    return 0;
}

static bool is_among(const char *name, int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return false;
}

/* The names that the build installs against the table: each must have its page. */
static int check_names(int argc, char **argv, struct err *e)
{
    for (size_t i = 0; i < command_count; i++) {
        char group[32];
        if (!(commands[i]->flags & COMMAND_HIDDEN) &&
            !is_among(command_group(commands[i], group), argc, argv))
            return err_set(e, ERR_NOT_FOUND, "no man page is built for 'reeve %s'", group);
    }
    for (int i = 0; i < argc; i++) {
        auto_text struct text out = {0};
        if (man_page(argv[i], &out, e) < 0)
            return -1;
    }
    return 0;
}

struct man_options {
    bool check;
};

static int run_man(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    (void)c;
    auto_text struct text out = {0};
    if (((struct man_options *)own)->check)
        return check_names(argc, argv, e);
    if (argc != 1)
        return err_set(e, ERR_INVALID, "one name is needed");
    if (man_page(argv[0], &out, e) < 0)
        return -1;
    fwrite(out.data, 1, out.len, stdout);
    return 0;
}

static const struct option_spec specs[] = {
    {"check", 0, OPTION_FLAG, offsetof(struct man_options, check), NULL, NULL, 0, 0,
     "check that each command is among the names", .flag_only = true},
};

const struct command cmd_man = {
    .name = "__man",
    .summary = "print a man page",
    .operands = "NAME",
    .specs = specs,
    .count = COUNT_OF(specs),
    .size = sizeof(struct man_options),
    .flags = COMMAND_HIDDEN,
    .run = run_man,
};
