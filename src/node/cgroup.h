/*
 * Control groups of jobs: version 2, version 1, and both at once (systemd's "hybrid" layout, where
 * the controllers are still in version 1). A job has up to four folders, one for each hierarchy
 * that takes part; each may be missing, and then that limit is not enforced by the kernel.
 */
#ifndef NODE_CGROUP_H
#define NODE_CGROUP_H

#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct cgroup_limits {
    int64_t memory_bytes; /* 0: no limit, as for all of these */
    int64_t cpu_milli;    /* thousandths of a core */
    int64_t pids;
};

/* Folders in which groups may be made; NULL where this process may not. On version 2 only `unified`
 * is set and `controllers` says which of memory, cpu, pids it has. Owned texts. */
enum { CGROUP_MEMORY = 1, CGROUP_CPU = 2, CGROUP_PIDS = 4 };
struct cgroup_parent {
    char *unified, *memory, *cpu, *pids;
    unsigned controllers; /* of `unified` */
};
void cgroup_parent_done(struct cgroup_parent *p);

/* Where hierarchies are mounted and which part of them; from /proc/self/mountinfo. */
struct cgroup_mount {
    char *folder; /* where it is mounted; NULL: not at all */
    char *root;   /* which group that folder is, "/" unless inside a container */
};
struct cgroup_mounts {
    struct cgroup_mount unified, memory, cpu, pids, cpuset, cpuacct;
};
/* Pure. Never fails: lines that make no sense are passed over. */
void cgroup_parse_mounts(const char *mountinfo, struct cgroup_mounts *ret);
void cgroup_mounts_done(struct cgroup_mounts *m);
/* Pure: this process's group in one hierarchy by the text of /proc/self/cgroup; CONTROLLER "" is
 * version 2. The caller frees it; NULL when there is none. */
char *cgroup_parse_own(const char *proc_cgroup, const char *controller);
/* Pure: the folder of group PATH by its mount; NULL when PATH lies outside what is mounted. */
char *cgroup_folder(const struct cgroup_mount *m, const char *path);

/*
 * Finds where this process may make groups for jobs; all NULL when nowhere. WANTED names the group
 * to use ("/reeve"), NULL chooses:
 *
 * - version 2 allows no processes in a group with limited children. So jobs go beside us when we
 *   are in a leaf named "agent" (systemd's DelegateSubgroup=agent); or we move into such a leaf of
 *   our own group when we are alone there and it isn't a systemd service's (systemd before 254
 *   could not start that service again); or else, as root, jobs go to "/reeve.jobs".
 * - version 1 has no such rule: jobs go into our own group of each hierarchy.
 *
 * May create folders and move the calling process. Groups "reeve-..." there that have been empty
 * for ten minutes are removed. Once, at the start of the agent.
 */
void cgroup_find(const char *wanted, struct cgroup_parent *ret);

/* One job's group. */
struct cgroup {
    char *unified, *memory, *cpu, *pids; /* folders, owned; NULL: none */
    unsigned limited;                    /* CGROUP_...: limits that the kernel enforces */
};
void cgroup_done(struct cgroup *c);

/* Makes group NAME with these limits below the parents. What cannot be done is left out, so look at
 * `limited`; only an old group of that name that still has processes is an error (ERR_CONFLICT). */
int cgroup_make(const struct cgroup_parent *p, const char *name, const struct cgroup_limits *l,
                struct cgroup *ret, struct err *e);
/* The same folders, without making anything. For what an earlier process left. */
void cgroup_open(const struct cgroup_parent *p, const char *name, struct cgroup *ret);
bool cgroup_exists(const struct cgroup *c);

/*
 * fork() into the group. The child must call cgroup_join() with *RET_INSIDE before anything else;
 * it returns 0 or an errno. Moving another process by its pid, the obvious way, takes 10 ms on a
 * quiet machine, as the kernel waits for all processors to see a lock (measured on Linux 6.18, each
 * version); a child that is born inside (version 2) takes 0.1 ms, one thread that moves itself
 * (version 1) 0.02 ms.
 */
pid_t cgroup_fork(const struct cgroup *c, bool *ret_inside);
int cgroup_join(const struct cgroup *c, bool inside);

/* Calls FN for every process inside (and in groups below), at most once for each. */
void cgroup_each(const struct cgroup *c, void (*fn)(pid_t pid, void *arg), void *arg);

/* SIGKILL to all, with cgroup.kill where the kernel has it; else no new processes are allowed and
 * each one is killed. They may take a moment to go. Returns how many were inside. */
size_t cgroup_kill(const struct cgroup *c);

/* Removes the folders, with those below. False while a process is left inside. */
bool cgroup_remove(const struct cgroup *c);

/* Figures; -1 where there is none. */
int64_t cgroup_oom_kills(const struct cgroup *c);
int64_t cgroup_memory_bytes(const struct cgroup *c); /* without page cache that can go at once */
int64_t cgroup_memory_peak_bytes(const struct cgroup *c);
int64_t cgroup_cpu_us(const struct cgroup *c);

/* Pure readers of the kernel's small files; false when the text is not of that form. */
bool cgroup_parse_limit(const char *text,
                        int64_t *ret); /* "max" or too large to be one: INT64_MAX */
bool cgroup_parse_cpu_max(const char *text, int64_t *ret_milli); /* "max 100000": INT64_MAX */
bool cgroup_parse_key(const char *text, const char *key, int64_t *ret); /* "key value" lines */
/* "0-3,8": how many; 0 when malformed. */
int cgroup_parse_cpu_list(const char *text);

#define auto_cgroup        AUTO(cgroup_done)
#define auto_cgroup_parent AUTO(cgroup_parent_done)
#define auto_cgroup_mounts AUTO(cgroup_mounts_done)

#endif
