/*
 * Processes of this machine, named so that a reused pid is never mistaken for the old process: by
 * pid and start time within one boot, and by pidfd while we hold one.
 */
#ifndef NODE_PROCESS_H
#define NODE_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct process_id {
    pid_t pid;            /* 0: none */
    uint64_t start_ticks; /* since boot, field 22 of /proc/PID/stat */
};

#define BOOT_ID_SIZE 37
/* The kernel's random name for this boot; "" when it gives none. Returns BUF. */
char *boot_id_read(char buf[BOOT_ID_SIZE]);

struct process {
    struct process_id id;
    pid_t parent, group, session;
    char state;                /* 'Z' is dead already */
    uint64_t cpu_ticks;        /* its own, user and system */
    uint64_t reaped_cpu_ticks; /* of the children it waited for */
};

/* Pure: one line of /proc/PID/stat, whose second field may hold anything, also ") R 1 (". */
bool process_parse_stat(const char *text, struct process *ret);
/* Pure: whether the text of /proc/PID/status says that SIGNAL is caught by a handler. */
bool process_parse_catches(const char *status, int signal);

/* False when there is no such process. */
bool process_read(pid_t pid, struct process *ret);

struct process_list {
    struct process *items;
    size_t count, room;
};
void process_list_done(struct process_list *l);

/* Every process there is. */
void process_scan(struct process_list *ret);
/* Keeps only those below ROOT (its children, theirs, and so on), without itself. */
void process_keep_descendants(struct process_list *l, pid_t root);
bool process_list_has(const struct process_list *l, pid_t pid);
void process_list_add(struct process_list *l, const struct process *p);

/* Whether its environment holds exactly this variable ("REEVE_ATTEMPT=5f..."). */
bool process_has_variable(pid_t pid, const char *variable);

/* Its own memory: resident and not shared with files. 0 when it is gone. */
int64_t process_own_bytes(pid_t pid);

/* A pidfd for exactly that process; -1 with errno ESRCH when it is gone. */
int process_open(const struct process_id *id);
/* Sends to exactly that process. False when it is gone or not ours. */
bool process_signal(const struct process_id *id, int signal);
/* The same, but only if it has a handler for the signal. */
bool process_signal_if_caught(const struct process_id *id, int signal);

#endif
