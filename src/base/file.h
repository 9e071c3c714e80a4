/* Files as wholes: read with a limit, replaced so that a crash leaves the old or the new one. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/err.h"
#include "base/text.h"

#include <sys/types.h>

/* The whole file, at most MOST bytes; a NUL is put behind. The caller frees it.
 * ERR_TOO_LARGE: it has more. */
int file_read(const char *path, size_t most, char **ret, size_t *ret_len, struct err *e);

/* Replaces PATH by these bytes: temporary file beside it, fsync, rename, fsync of the folder. */
int file_replace(const char *path, const void *p, size_t len, mode_t mode, struct err *e);

/* Makes the folder and what is missing above it. */
int file_make_folder(const char *path, mode_t mode, struct err *e);

/* Removes a folder with all that is in it; never follows a link. Not there is fine. */
int file_remove_tree(const char *path, struct err *e);

/* Makes an entry of this folder durable. */
int file_sync_folder(const char *path, struct err *e);
/* The same for the folder in which PATH stands. */
int file_sync_parent(const char *path, struct err *e);

/* All LEN bytes, however often the kernel takes only a part. */
int file_write_all(int fd, const void *p, size_t len, struct err *e);

/* The folder of the running program's own file, without the file's name. Never NULL, never freed.
 */
const char *file_program_folder(void);

#endif
