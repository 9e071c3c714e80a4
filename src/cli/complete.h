/*
 * Completion: what may stand where the cursor is. The scripts for the shells are a few lines each
 * and ask `reeve __complete`, so that all of them know the same.
 */
#ifndef CLI_COMPLETE_H
#define CLI_COMPLETE_H

#include "cli/command.h"

struct candidate {
    char *word, *about; /* owned by the list; ABOUT may be "" */
};
struct candidates {
    struct candidate *items;
    size_t count;
    /* What the caller must still look up, because it is not in the table. */
    enum operand_kind operand; /* names from the server */
    bool files;                /* the shell's own completion of files */
};

/* WORDS are those behind "reeve"; the last is the one under the cursor, maybe "". */
void complete_words(int count, char *const *words, struct candidates *ret);
void candidates_add(struct candidates *list, const char *word, const char *about);
void candidates_done(struct candidates *list);

/* The script for "bash", "zsh" or "fish"; NULL: no such shell. */
const char *complete_script(const char *shell);

#endif
