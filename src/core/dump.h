/*
 * The whole of a fleet as bytes, and a fleet made from them: it decides as the first one would,
 * from the same event on. By what rows mean, not by where they lie, so the bytes are the same for
 * the same history. Numbers are of variable length; packing is the caller's.
 */
#ifndef CORE_DUMP_H
#define CORE_DUMP_H

#include "core/core.h"

/* Names what is written, and in what order: bytes of another format cannot be read. */
int64_t core_dump_format(void);

/* Takes the next bytes; not 0: stop, and core_dump() returns -1 without touching its error. */
typedef int (*core_dump_write)(void *arg, const void *bytes, size_t len);
/* Any thread, on a snapshot's view. Written in pieces of some KiB. */
int core_dump(const struct fleet_view *v, core_dump_write write, void *arg);

/* Gives at most SIZE of the next bytes, at least one; 0: there are no more; -1: they cannot be had,
 * for the reason in E. */
typedef ssize_t (*core_dump_read)(void *arg, void *bytes, size_t size, struct err *e);
/* Into C, which was just initialised and is to be done with after a failure. ERR_UNPROCESSABLE: the
 * bytes make no sense. They may come from anywhere. */
int core_restore(struct core *c, core_dump_read read, void *arg, struct err *e);

#endif
