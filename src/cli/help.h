/* Help, man pages: made from the table of commands. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "cli/command.h"

#include <stdio.h>

void help_all(FILE *f);
void help_group(const char *group, FILE *f);
void help_command(const struct command *cmd);
/* The command that WORD was probably meant to be; NULL when none is near. */
const char *help_nearest(const char *word);

/* The man page of "reeve" (NAME "reeve") or of a command or group ("submit", "user"), as mdoc.
 * ERR_NOT_FOUND: there is none of this name. */
int man_page(const char *name, struct text *out, struct err *e);

#endif
