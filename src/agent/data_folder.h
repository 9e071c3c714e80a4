/*
 * What the agent keeps on disk besides attempts: who it is, its key, the newest epoch it has
 * obeyed, and attempts that must not start any more.
 *
 *     lock         held while an agent runs here: one agent a folder
 *     id           random, made with the folder: another folder is another agent
 *     node.key     the node's key, mode 0600
 *     epoch        the highest leader epoch seen
 *     tombstones   attempts that were forgotten, or cancelled before they were seen
 *     principal    whose jobs an unshared account runs
 *     accounts     uids given to users
 *     attempts/    node/attempt_folder.h; perhaps a link, as results/ (agent/open_folder.h)
 *     agent.ports  where the running agent listens
 */
#ifndef AGENT_DATA_FOLDER_H
#define AGENT_DATA_FOLDER_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct tombstones;

struct data_folder {
    char *path, *attempts; /* absolute, owned */
    char *spare; /* where jobs' folders may be that others could not get to here; NULL: nowhere */
    int lock;
    char id[33];   /* 32 hex digits */
    char *key;     /* NULL: not enrolled; owned */
    int64_t epoch; /* 0: none seen */
    struct tombstones *tombstones;
};

/* Makes what is missing. SPARE: a folder that every account can get to, where jobs run under other
 * accounts than ours, else NULL. ERR_CONFLICT: another agent runs with this folder. */
int data_folder_open(const char *path, const char *spare, struct data_folder *ret, struct err *e);
void data_folder_close(struct data_folder *d);

/* The folder NAME in it, for jobs to use; the caller frees *RET. */
int data_folder_for_jobs(const struct data_folder *d, const char *name, char **ret, struct err *e);

/* Durable when they return 0. KEY NULL: forget it. */
int data_folder_set_key(struct data_folder *d, const char *key, struct err *e);
int data_folder_set_epoch(struct data_folder *d, int64_t epoch, struct err *e);

/* The principal for whom this folder's account works; set by the first call. ERR_DENIED: it is
 * another one. */
int data_folder_claim(struct data_folder *d, const char *user, struct err *e);

/* agent.ports, for those who start an agent with port 0. */
int data_folder_write_ports(const struct data_folder *d, const char *address, uint16_t port,
                            struct err *e);

/* ---- tombstones ---- */

enum tombstone {
    TOMBSTONE_NONE,
    TOMBSTONE_CANCELLED, /* a cancel came before the start */
    TOMBSTONE_FORGOTTEN, /* it ended, was reported, and its folder is gone */
};

enum { TOMBSTONES_MOST = 8192 }; /* the oldest go first */

/* Any thread. Durable when it returns 0. ID is 32 hex digits. */
int tombstone_add(struct tombstones *t, const char *id, enum tombstone kind, struct err *e);
/* The loop's thread may ask while a worker adds. */
enum tombstone tombstone_find(struct tombstones *t, const char *id);

#endif
