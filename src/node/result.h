/*
 * Where an attempt puts its results: `<results>/<user>/<job>/<attempt>/`, given to the job as
 * REEVE_RESULT_DIR. All folders above it belong to the agent, so a user cannot make any of them a
 * link; the last one belongs to the job's account. params.json and outcome.json lie in it for those
 * who find the folder later; the true record of both is the ledger's.
 */
#ifndef NODE_RESULT_H
#define NODE_RESULT_H

#include "base/err.h"
#include "base/text.h"
#include "node/attempt_folder.h"

/* Makes it (again is fine) and gives its path, which the caller frees; NULL when the spec asks for
 * none. May block where results are on a shared volume: called by the shim. */
int result_make(const struct attempt_spec *spec, char **ret_path, struct err *e);

/* Writes a small file into it by name, replacing what is there. Must be called with the job's own
 * identity, as its folder is full of the job's own links. */
int result_write_file(const char *result_folder, const char *name, const void *p, size_t len,
                      struct err *e);

enum {
    RESULT_FILES_MOST = 100,
    RESULT_METADATA_MOST = 16384,    /* bytes of result.json */
    RESULT_DESCRIPTION_MOST = 65536, /* of what the next one writes; a pipe holds it */
};

/* What lies in it, for the control plane: a line of JSON, {"files": [{"name", "size"}], "more": N}
 * with regular files by name, then the bytes of result.json, where the job says what came of it, if
 * it is not larger than we take. With the job's own identity; nothing is followed, nothing waits.
 */
void result_describe(const char *result_folder, struct text *out);

/* What goes into outcome.json. The caller frees it. */
char *result_outcome(const struct attempt_spec *spec, const struct attempt_exit *x);

#endif
