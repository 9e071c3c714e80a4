/*
 * Places where a test may make a program die, fail or wait on purpose. Set by the environment:
 *
 *     REEVE_FAILPOINTS="store.commit=kill@3;agent.gate=error;shim.exec=sleep:500@1"
 *
 * kill: SIGKILL to ourselves, as a crash would; error: the place reports a failure; sleep:MS: it
 * waits.
 * @N: only the N-th time (from 1), else every time. Names are listed in docs/crash-points.md, and a
 * test holds that list against the sources. Without the variable a failpoint costs one load.
 */
#ifndef BASE_FAILPOINT_H
#define BASE_FAILPOINT_H

#include <stdbool.h>

extern bool failpoint_any;
bool failpoint_hit(const char *name);

/* True: fail here. Does not come back where the program is to die. Any thread. */
#define FAILPOINT(name) (__builtin_expect(failpoint_any, 0) && failpoint_hit(name))

#endif
