/*
 * `reeve-agent --shim DIR`: the small parent of one attempt. It outlives the agent, so nothing here
 * needs the agent once the attempt has started. DIR is the attempt's folder; descriptor 3, where
 * there is one, is the agent's end of launcher.h.
 *
 * Lock -> spec -> log, cgroup, result folder -> fork -> record of the start (synced) -> exec ->
 * follow it -> end what is left of it -> `exit` (synced) -> unlock by ending.
 */
#ifndef NODE_SHIM_H
#define NODE_SHIM_H

#define SHIM_SOCKET 3 /* the descriptor on which a shim finds its launcher */

/* What the shim's own exit code says. */
enum shim_result {
    SHIM_OK = 0,          /* an exit record was written */
    SHIM_NOT_STARTED = 1, /* nothing ran, and no record: the launcher was told why */
    SHIM_NOT_OURS = 2,    /* another shim has it, or had it */
    SHIM_NO_RECORD = 3,   /* it ran, but its end could not be written: the attempt is LOST */
};
int shim_main(const char *folder);
/* main() of a program that was told --shim: of an attempt's shim, or of a nursery. */
int shim_program_main(char **argv);

#endif
