/*
 * Under which account of the machine a Reeve user's jobs run. With root: the account of the same
 * name if there is one (never root, never an account of the system itself), else a uid of its own
 * from a reserved range, without login, remembered in a file so that results keep their owner.
 * Without root there is only one account, and isolation is "none".
 */
#ifndef NODE_ACCOUNT_H
#define NODE_ACCOUNT_H

#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct account {
    uid_t uid;
    gid_t gid;
    size_t group_count;
    gid_t *groups; /* supplementary; owned */
    char *name;    /* for USER and LOGNAME; owned */
    char *home;    /* owned; NULL: it has none */
};

void account_done(struct account *a);
void account_copy(struct account *to, const struct account *from);

/* What this process can do: "user" when it may become any account it needs, else "none". */
const char *account_isolation(void);

struct account_options {
    const char *map_file;    /* "uid name" lines; made when the first uid is given out */
    uid_t first_uid;         /* 0: the usual range that this machine (or its user namespace) has */
    unsigned uid_count;      /* 0: 65,536, or what the namespace leaves */
    bool allow_root_jobs;    /* a user named root, or mapped to uid 0, may run as root */
    const char *passwd_file; /* NULL: the machine's own name service; a file for tests */
};

/* Reads the map file. Belongs to one thread; account_find() may ask a name service over the
 * network, so that thread is a worker, not the loop. */
struct account_map;
int account_map_open(const struct account_options *o, struct account_map **ret, struct err *e);
void account_map_close(struct account_map *m);

/*
 * The account for a Reeve user's jobs; the caller frees it with account_done(). The same user gets
 * the same uid for ever: a new one is in the file, synced, before it is returned.
 * ERR_DENIED: it would be root. ERR_EXHAUSTED: the range is used up.
 */
int account_find(struct account_map *m, const char *user, struct account *ret, struct err *e);

/* The same, but what was found up to 10 s before NOW_MONO_MS is found again without asking: a name
 * service reads half a dozen files for each question, or asks over the network. */
int account_find_recent(struct account_map *m, const char *user, int64_t now_mono_ms,
                        struct account *ret, struct err *e);

/* Pure: whether [FIRST, FIRST + COUNT) is mapped by the text of /proc/self/uid_map. */
bool account_range_is_mapped(const char *uid_map, uid_t first, unsigned count);

DEFINE_AUTO(struct account_map, account_map_close)
#define auto_account_map AUTO(account_map_closep)
#define auto_account     AUTO(account_done)

#endif
