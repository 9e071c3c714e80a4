/*
 * The agent's side of a shim: start one, find a running one again, ask it to end, clean up after
 * one that died. Nothing here waits for a job: the descriptors go into the caller's loop.
 *
 *     struct shim_process p;
 *     shim_start(NULL, NULL, folder, &spec, &p, &e);
 *     poll p.socket -> shim_news(&p, &e): SHIM_STARTED or SHIM_FAILED with the reason
 *     poll p.pidfd  -> shim_reap(&p); attempt_state(folder, ...) says how it ended
 */
#ifndef NODE_LAUNCHER_H
#define NODE_LAUNCHER_H

#include "base/err.h"
#include "node/attempt_folder.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct nursery;

struct shim_process {
    pid_t pid;
    int pidfd;  /* readable when the shim has ended */
    int socket; /* readable when the start succeeded or failed; -1 for one found again */
};
#define SHIM_PROCESS_NONE ((struct shim_process){.pidfd = -1, .socket = -1})
/* Closes the descriptors; the shim goes on. */
void shim_process_done(struct shim_process *p);

/* The program that is the shim: PROGRAM where given, else reeve-shim beside the running program, in
 * ../libexec/reeve or ../node (the build folder), else the running program itself. The caller frees
 * it. It is run as `reeve-agent --shim FOLDER`. */
char *shim_program(const char *program);

/*
 * Makes the folder, writes the spec and starts a shim in a session of its own. It takes one
 * millisecond or two: nothing is synced on this side, because what must be durable is synced by the
 * shim before the job runs. NURSERY may be NULL. FOLDER is absolute and ends in the attempt's name.
 * ERR_CONFLICT: this attempt has started before, or a shim is at it.
 */
int shim_start(const char *program, struct nursery *nursery, const char *folder,
               const struct attempt_spec *spec, struct shim_process *ret, struct err *e);
/* Only the exec of it: WORD is the folder, or a nursery's; THEIR_END becomes its socket. Returns 0
 * or an errno. */
int shim_exec(const char *program, const char *word, const char *id, int their_end, pid_t *ret);

enum shim_news {
    SHIM_PENDING, /* nothing yet */
    SHIM_STARTED, /* the job's own program runs */
    SHIM_FAILED,  /* it will not run; the error says why. The pidfd becomes readable soon */
};
/* Never blocks. After STARTED or FAILED the socket is closed and -1. */
enum shim_news shim_news(struct shim_process *p, struct err *e);

/* After a restart of the agent: the shim that holds this folder's lock.
 * ERR_NOT_FOUND: none does; ask attempt_state(). */
int shim_adopt(const char *folder, struct shim_process *ret, struct err *e);

/* Takes the ended shim off the kernel's list where it is our child. Returns its enum shim_result,
 * or -1 when it is not known (it was another's child, or ended by a signal). Never blocks. */
int shim_reap(struct shim_process *p);

/* Asks for an end: SIGTERM to the job, SIGKILL after its grace. Also good before the shim is there
 * (it then refuses to start), for an attempt that never was here, and after its end. REASON goes
 * into the exit record. */
int shim_cancel(const char *folder, const char *reason, struct err *e);

/*
 * Ends every process of an attempt whose shim is gone, by its cgroup and by the attempt id in their
 * environment, and waits until none is left: for a worker thread. KNOWN_ID is used where the files
 * are damaged; NULL: not known. *RET_COUNT is how many there were. ERR_CONFLICT: a shim has it, so
 * nothing is left over. ERR_TIMEOUT: some do not go within TIMEOUT_MS (a hung driver). Its control
 * group goes, too, also that of an attempt whose shim died before the start.
 */
int attempt_kill_leftovers(const char *folder, const char *known_id, int64_t timeout_ms,
                           size_t *ret_count, struct err *e);

/* What a running attempt uses now; -1 where that is not known. */
struct attempt_usage {
    int64_t memory_bytes;
    int64_t cpu_us; /* since its start; goes back a little when a process is reaped elsewhere */
};
/* From its cgroup, else summed over its processes. ALL is process_scan()'s list, so that one scan
 * serves many attempts; NULL: look only where no scan is needed. */
void attempt_usage_read(const struct attempt_status *status, const char *name,
                        const struct process_list *all, struct attempt_usage *ret);

#define auto_shim_process AUTO(shim_process_done)

#endif
