#include "cli/complete.h"

#include "base/mem.h"
#include "cli/client.h"
#include "cli/json_view.h"
#include "cli/width.h"

void candidates_add(struct candidates *list, const char *word, const char *about)
{
    list->items = mem_resize_array(list->items, list->count + 1);
    list->items[list->count++] = (struct candidate){mem_strdup(word), mem_strdup(about)};
}

void candidates_done(struct candidates *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].word);
        free(list->items[i].about);
    }
    free(list->items);
    *list = (struct candidates){0};
}

static void offer(struct candidates *list, const char *typed, const char *word, const char *about)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].word, word) == 0)
            return;
    if (text_starts_with(word, typed))
        candidates_add(list, word, about);
}

static void offer_commands(struct candidates *list, const char *typed, const char *group)
{
    size_t len = group ? strlen(group) : 0;
    for (size_t i = 0; i < command_count; i++) {
        const struct command *cmd = commands[i];
        char first[32];
        if (cmd->flags & COMMAND_HIDDEN)
            continue;
        if (group) {
            if (strncmp(cmd->name, group, len) == 0 && cmd->name[len] == ' ')
                offer(list, typed, cmd->name + len + 1, cmd->summary);
            continue;
        }
        command_group(cmd, first);
        char about[64];
        snprintf(about, sizeof about, "commands about %s", first);
        offer(list, typed, first, strchr(cmd->name, ' ') ? about : cmd->summary);
    }
}

static void offer_options(struct candidates *list, const char *typed, const struct option_table *t)
{
    for (size_t i = 0; i < t->count; i++) {
        char word[64];
        snprintf(word, sizeof word, "--%s", t->specs[i].name);
        offer(list, typed, word, t->specs[i].help);
    }
    offer(list, typed, "--help", "show what the command does");
}

/* The option that WORD is, when its value is the next word. */
static const struct option_spec *takes_next(const struct option_table *t, const char *word)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct option_spec *s = &t->specs[i];
        if (s->type == OPTION_FLAG)
            continue;
        if ((text_starts_with(word, "--") && strcmp(word + 2, s->name) == 0) ||
            (s->letter && word[0] == '-' && word[1] == s->letter && !word[2]))
            return s;
    }
    return NULL;
}

/* Values that an option may have, where they are few and known. */
static void offer_values(struct candidates *list, const char *typed, const struct option_spec *s)
{
    static const struct {
        const char *option, *values;
    } known[] = {
        {"output", "table wide json yaml name"},
        {"color", "auto always never"},
        {"state", "Queued Scheduled Running Completed Failed Cancelled"},
        {"role", "admin operator user viewer service"},
        {"sort", "id user state wait run"},
    };
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (strcmp(known[i].option, s->name) != 0)
            continue;
        auto_free char *values = mem_strdup(known[i].values);
        char *save = NULL;
        for (char *v = strtok_r(values, " ", &save); v; v = strtok_r(NULL, " ", &save))
            offer(list, typed, v, "");
        return;
    }
    if (strcmp(s->name, "user") == 0)
        list->operand = OPERAND_USER;
    else
        list->files = s->arg && (strstr(s->arg, "FILE") || strstr(s->arg, "DIR") ||
                                 strstr(s->arg, "SCENARIO"));
}

static void offer_operand(struct candidates *list, const char *typed, const struct command *cmd)
{
    if (cmd->operand == OPERAND_SHELL) {
        offer(list, typed, "bash", "");
        offer(list, typed, "zsh", "");
        offer(list, typed, "fish", "");
    } else if (cmd->operand == OPERAND_COMMAND) {
        offer_commands(list, typed, NULL);
    } else {
        list->operand = cmd->operand;
        list->files = (cmd->flags & COMMAND_TAKES_REST) != 0;
    }
}

/* What stands behind the command's own words: WORDS[0 .. COUNT-1]. */
static void complete_rest(const struct command *cmd, const struct option_table *t, int count,
                          char *const *words, struct candidates *ret)
{
    const char *typed = words[count - 1];
    for (int i = 0; i < count - 1; i++) {
        const struct option_spec *s = takes_next(t, words[i]);
        bool end = strcmp(words[i], "--") == 0;
        if (end || (words[i][0] != '-' && cmd->flags & COMMAND_TAKES_REST)) {
            ret->files = true; /* somebody else's command line */
            return;
        }
        if (s && i + 1 == count - 1) {
            offer_values(ret, typed, s);
            return;
        }
        i += s != NULL;
    }
    if (typed[0] == '-')
        offer_options(ret, typed, t);
    else
        offer_operand(ret, typed, cmd);
}

void complete_words(int count, char *const *words, struct candidates *ret)
{
    *ret = (struct candidates){0};
    if (count < 1)
        return;
    if (count == 1) {
        offer_commands(ret, words[0], NULL);
        return;
    }
    if (count == 2 && command_is_group(words[0])) {
        offer_commands(ret, words[1], words[0]);
        return;
    }
    int used;
    const struct command *cmd = command_find(words[0], words[1], &used);
    if (!cmd || used >= count)
        return;
    char name[64];
    struct option_table t = command_options(cmd, name);
    complete_rest(cmd, &t, count - used, words + used, ret);
    free((void *)t.specs);
}

const char *complete_script(const char *shell)
{
    if (strcmp(shell, "bash") == 0)
        return "_reeve() {\n"
               "    local IFS=$'\\n' line cur=${COMP_WORDS[COMP_CWORD]}\n"
               "    COMPREPLY=()\n"
               "    while IFS=$'\\t' read -r line _; do\n"
               "        if [ \"$line\" = : ]; then\n"
               "            COMPREPLY+=($(compgen -f -- \"$cur\"))\n"
               "        else\n"
               "            COMPREPLY+=(\"$line\")\n"
               "        fi\n"
               "    done < <(reeve __complete -- \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
               "}\n"
               "complete -o filenames -F _reeve reeve\n";
    if (strcmp(shell, "zsh") == 0)
        return "#compdef reeve\n"
               "_reeve() {\n"
               "    local line files=0\n"
               "    local -a found\n"
               "    while IFS= read -r line; do\n"
               "        if [[ $line == : ]]; then\n"
               "            files=1\n"
               "        else\n"
               "            found+=(\"${${line//:/\\\\:}/$'\\t'/:}\")\n"
               "        fi\n"
               "    done < <(reeve __complete -- \"${(@)words[2,CURRENT]}\" 2>/dev/null)\n"
               "    (( $#found )) && _describe -V reeve found\n"
               "    (( files )) && _files\n"
               "}\n"
               "if [ \"$funcstack[1]\" = \"_reeve\" ]; then _reeve \"$@\"; else compdef _reeve "
               "reeve; fi\n";
    if (strcmp(shell, "fish") == 0)
        return "function __reeve_complete\n"
               "    set -l words (commandline -opc) (commandline -ct)\n"
               "    for line in (reeve __complete -- $words[2..-1] 2>/dev/null)\n"
               "        if test \"$line\" = :\n"
               "            __fish_complete_path (commandline -ct)\n"
               "        else\n"
               "            echo $line\n"
               "        end\n"
               "    end\n"
               "end\n"
               "complete -c reeve -f -a '(__reeve_complete)'\n";
    return NULL;
}

static int run_completion(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    (void)c, (void)own;
    const char *script = argc == 1 ? complete_script(argv[0]) : NULL;
    if (!script)
        return err_set(e, ERR_INVALID, "name one shell: bash, zsh or fish");
    fputs(script, stdout);
    return 0;
}

const struct command cmd_completion = {
    .name = "completion",
    .summary = "print the completion script of a shell",
    .operands = "bash|zsh|fish",
    .operand = OPERAND_SHELL,
    .run = run_completion,
    .examples = "  # for this shell, and for every one to come\n"
                "  source <(reeve completion bash)\n"
                "  reeve completion bash > ~/.local/share/bash-completion/completions/reeve\n"
                "  # zsh: into a folder of $fpath\n"
                "  reeve completion zsh > ~/.zfunc/_reeve\n"
                "  # fish\n"
                "  reeve completion fish > ~/.config/fish/completions/reeve.fish\n",
};

/* Names that only the server knows. Nobody waits for a completion: a second, and no error. */
static void offer_from_server(struct cli *c, struct candidates *list, const char *typed)
{
    static const struct {
        const char *path, *key, *about;
    } lists[] = {
        [OPERAND_JOB] = {"/api/v1/jobs?limit=50", "id", "name"},
        [OPERAND_NODE] = {"/api/v1/nodes?limit=200", "name", "state"},
        [OPERAND_USER] = {"/api/v1/users?limit=200", "name", "role"},
    };
    struct client *client;
    auto_json json_t *answer = NULL;
    c->opt.timeout_ms = 1000;
    if (list->operand > OPERAND_USER || !lists[list->operand].path ||
        cli_client(c, &client, NULL) < 0 ||
        client_get(client, lists[list->operand].path, &answer, NULL) < 0)
        return;
    size_t i;
    json_t *item;
    json_array_foreach(view_items(answer), i, item)
    {
        char number[24];
        const char *word = view_text(item, lists[list->operand].key);
        if (list->operand == OPERAND_JOB) {
            snprintf(number, sizeof number, "%lld", (long long)view_int(item, "id", 0));
            word = number;
        }
        auto_text struct text about = {0};
        text_add_printable(&about, view_text(item, lists[list->operand].about));
        offer(list, typed, word, text_get(&about));
    }
}

static int run_complete(struct cli *c, void *own, int argc, char **argv, struct err *e)
{
    (void)own, (void)e;
    struct candidates list;
    complete_words(argc, argv, &list);
    if (argc && list.operand)
        offer_from_server(c, &list, argv[argc - 1]);
    for (size_t i = 0; i < list.count; i++)
        printf("%s%s%s\n", list.items[i].word, list.items[i].about[0] ? "\t" : "",
               list.items[i].about);
    if (list.files)
        puts(":");
    candidates_done(&list);
    return 0;
}

const struct command cmd_complete = {
    .name = "__complete",
    .summary = "print what may stand behind these words",
    .operands = "WORD...",
    .flags = COMMAND_HIDDEN | COMMAND_CONNECTS | COMMAND_TAKES_REST,
    .run = run_complete,
};
