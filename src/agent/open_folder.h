/* Folders in the agent's data that jobs use, under whichever account they run. */
#ifndef AGENT_OPEN_FOLDER_H
#define AGENT_OPEN_FOLDER_H

#include "base/err.h"

/*
 * USUAL, an absolute path, made where it is not there (mode 0711): *RET is it, for the caller to
 * free. Where a folder above lets other accounts not through (/root, a private home) it is SPARE,
 * made likewise, and USUAL is a link that leads there; once it is, it stays, and a USUAL with
 * something in it stays, too. SPARE NULL: jobs run under our own account. Blocks; for the start.
 */
int open_folder(const char *usual, const char *spare, char **ret, struct err *e);

#endif
