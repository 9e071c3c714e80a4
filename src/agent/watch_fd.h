/* A descriptor watched by the loop, in memory of its own, since libuv wants that to outlive it. */
#ifndef AGENT_WATCH_FD_H
#define AGENT_WATCH_FD_H

#include <uv.h>

struct watch_fd;

/* ON_READABLE runs whenever FD is readable (or hung up), until watch_fd_stop(). FD stays the
 * caller's and must stay open until then. NULL: the loop cannot watch such a descriptor. */
struct watch_fd *watch_fd_start(uv_loop_t *loop, int fd, void (*on_readable)(void *arg), void *arg);
/* NULL is fine. */
void watch_fd_stop(struct watch_fd *w);

#endif
