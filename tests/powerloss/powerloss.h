/* The log between the preloaded library and the tool that takes back: records, one behind the
 * other, each written with one append. Same machine, same build: no conversion. */
#ifndef POWERLOSS_H
#define POWERLOSS_H

#include <stdint.h>

enum record_kind {
    BYTES_CHANGED = 1, /* OFFSET, OLD_SIZE of the file; the old bytes follow */
    FILE_SYNCED,       /* everything before it about this inode is durable */
    ENTRY_MADE,        /* PATH was not there before */
    ENTRY_MOVED, /* PATH to PATH2; KEPT: what PATH2 was lies in the log folder under this number */
    ENTRY_GONE,  /* PATH was removed; KEPT as above; 0: a folder */
    FOLDER_SYNCED, /* everything before it about entries of this folder (inode) is durable */
};

struct record {
    uint32_t kind, path_len, path2_len, bytes; /* lengths of what follows, in this order */
    uint64_t inode;                            /* of the file; for entries: of their folder */
    uint64_t inode2;                           /* ENTRY_MOVED: of the new folder */
    int64_t offset, old_size;
    uint64_t kept;
};

#endif
