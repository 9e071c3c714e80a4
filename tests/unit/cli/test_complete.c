#include "base/mem.h"
#include "cli/complete.h"
#include "cli/help.h"
#include "test.h"

#include <stdarg.h>

/* Candidates as "a b c", with "+files" or "+N" for what must be looked up. */
static char *complete(int count, ...)
{
    char *words[8];
    va_list args;
    va_start(args, count);
    for (int i = 0; i < count; i++)
        words[i] = va_arg(args, char *);
    va_end(args);
    struct candidates list;
    struct text t = {0};
    complete_words(count, words, &list);
    for (size_t i = 0; i < list.count; i++)
        text_addf(&t, "%s%s", t.len ? " " : "", list.items[i].word);
    if (list.operand)
        text_addf(&t, "+%d", (int)list.operand);
    if (list.files)
        text_add(&t, "+files");
    candidates_done(&list);
    return text_take(&t);
}

#define COMPLETES(want, ...)                                                                       \
    do {                                                                                           \
        char *got_ = complete(__VA_ARGS__);                                                        \
        CHECK_TEXT(got_, want);                                                                    \
        free(got_);                                                                                \
    } while (0)

TEST("commands and their second words are offered, each once")
{
    COMPLETES("submit", 1, "sub");
    COMPLETES("user", 1, "us");
    COMPLETES("add list show set disable enable", 2, "user", "");
    COMPLETES("queue", 1, "q");
}

TEST("options, their known values, and files where a file is meant")
{
    COMPLETES("--follow", 3, "logs", "42", "--fo");
    COMPLETES("json", 3, "list", "-o", "j");
    COMPLETES("Running", 3, "list", "--state", "R");
    COMPLETES("+files", 3, "submit", "-f", "");
    COMPLETES("admin operator user viewer service", 5, "user", "add", "x", "--role", "");
}

TEST("operands are jobs, nodes or users, and behind a command of somebody else files")
{
    char job[8];
    snprintf(job, sizeof job, "+%d", (int)OPERAND_JOB);
    COMPLETES(job, 2, "show", "");
    COMPLETES(job, 3, "cancel", "1", "");
    COMPLETES("+files", 4, "submit", "--", "python3", "tr");
    COMPLETES("+files", 5, "submit", "--name", "x", "./train", "--gp");
    COMPLETES("bash zsh fish", 2, "completion", "");
}

TEST("a mistyped command is recognised, nonsense is not")
{
    CHECK_TEXT(help_nearest("sumbit"), "submit");
    CHECK_TEXT(help_nearest("lst"), "list");
    CHECK(help_nearest("frobnicate") == NULL);
}

TEST("every command has a summary, and its options fit together")
{
    for (size_t i = 0; i < command_count; i++) {
        char name[64];
        struct option_table t = command_options(commands[i], name);
        CHECK(commands[i]->summary && commands[i]->operands && commands[i]->run);
        for (size_t a = 0; a < t.count; a++)
            for (size_t b = a + 1; b < t.count; b++) {
                ck_assert_msg(strcmp(t.specs[a].name, t.specs[b].name) != 0, "%s: --%s", name,
                              t.specs[a].name);
                ck_assert_msg(!t.specs[a].letter || t.specs[a].letter != t.specs[b].letter,
                              "%s: -%c", name, t.specs[a].letter);
            }
        free((void *)t.specs);
    }
}

TEST("shells of other names have no script")
{
    CHECK(complete_script("bash") && complete_script("zsh") && complete_script("fish"));
    CHECK(complete_script("tcsh") == NULL);
}
