/* The file behind data_folder.h's tombstones: lines of an id and a letter, only ever added to until
 * the next start packs it. */
#ifndef AGENT_TOMBSTONES_H
#define AGENT_TOMBSTONES_H

#include "agent/data_folder.h"

int tombstones_open(const char *path, struct tombstones **ret, struct err *e);
void tombstones_close(struct tombstones *t);

#endif
