/*
 * A training run as a file: where it is, weights, the optimizer's memory, the history so far, and a
 * checksum. Saving replaces the file as a whole, so a crash leaves the previous checkpoint.
 */
#ifndef PROTO_GCN_CHECKPOINT_H
#define PROTO_GCN_CHECKPOINT_H

#include "train.h"

int checkpoint_save(const struct training *t, const char *path, struct why *w);

/*
 * T, freshly made, goes on where the file ends. Fails, with T unchanged, if the file cannot be
 * read, is damaged or cut off, or was made under settings that shape other data or another model.
 * *RET_THERE is false, and nothing else happens, when there is no such file.
 */
int checkpoint_load(struct training *t, const char *path, bool *ret_there, struct why *w);

#endif
