#include "node/nursery.h"

#include "base/failpoint.h"
#include "base/mem.h"
#include "node/attempt_spec.h"
#include "node/launcher.h"
#include "node/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What stands in a nursery's command line where a shim has its folder, with blanks up to as much as
 * a folder's name may take. */
#define WORD        "(waits to become a shim)"
#define WORD_LEN    512
#define VARIABLE    "REEVE_ATTEMPT="
#define PATIENCE_MS 1000

struct request {
    char id[ATTEMPT_ID_SIZE];
    char folder[WORD_LEN];
};

struct nursery {
    char *program;
    pid_t pid; /* 0: none runs */
    int socket;
};

struct nursery *nursery_new(const char *program)
{
    struct nursery *n = mem_new(struct nursery);
    n->program = mem_strdup(program);
    n->socket = -1;
    return n;
}

static void end(struct nursery *n)
{
    if (n->pid <= 0)
        return;
    kill(n->pid, SIGKILL);
    while (waitpid(n->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    close(take_fd(&n->socket));
    n->pid = 0;
}

void nursery_free(struct nursery *n)
{
    if (!n)
        return;
    end(n);
    free(n->program);
    free(n);
}

static void begin(struct nursery *n)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return;
    auto_close int ours = ends[0];
    auto_close int theirs = ends[1];
    char id[ATTEMPT_ID_SIZE], word[WORD_LEN];
    memset(id, '0', sizeof id - 1);
    id[sizeof id - 1] = '\0';
    snprintf(word, sizeof word, "%-*s", WORD_LEN - 1, WORD);
    if (shim_exec(n->program, word, id, theirs, &n->pid) == 0)
        n->socket = take_fd(&ours);
    else
        n->pid = 0;
}

static bool ask(int socket, const struct request *r, int their_end)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec part = {(void *)r, sizeof *r};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    control.head.cmsg_level = SOL_SOCKET;
    control.head.cmsg_type = SCM_RIGHTS;
    control.head.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.head), &their_end, sizeof their_end);
    return sendmsg(socket, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof *r;
}

pid_t nursery_fork(struct nursery *n, const char *folder, const char *id, int their_end)
{
    struct request r = {{0}, {0}};
    if (!n || strlen(folder) >= sizeof r.folder || strlen(id) >= sizeof r.id)
        return 0;
    if (n->pid <= 0) {
        begin(n); /* for the next one */
        return 0;
    }
    strcpy(r.folder, folder);
    strcpy(r.id, id);
    struct pollfd answer = {.fd = n->socket, .events = POLLIN};
    pid_t pid = 0;
    if (ask(n->socket, &r, their_end) && poll(&answer, 1, PATIENCE_MS) > 0 &&
        recv(n->socket, &pid, sizeof pid, MSG_DONTWAIT) == (ssize_t)sizeof pid && pid > 0)
        return pid;
    /* If it has made a shim after all, that one and the one by exec agree on the folder's lock. */
    end(n);
    return 0;
}

/* ---- the process ---- */

int nursery_is_meant(char *const *argv)
{
    return argv[2][0] == WORD[0];
}

/* Returns the bytes read, and in *RET_FD the descriptor that came along; -1: none. */
static ssize_t hear(struct request *r, int *ret_fd)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec part = {r, sizeof *r};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    ssize_t n;
    do
        n = recvmsg(SHIM_SOCKET, &m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    const struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
    *ret_fd = -1;
    if (c && c->cmsg_type == SCM_RIGHTS)
        memcpy(ret_fd, CMSG_DATA(c), sizeof *ret_fd);
    return n;
}

/* A fork whose parent is ours: it is the agent that follows a shim. */
static pid_t fork_sibling(void)
{
    struct clone_args args = {.flags = CLONE_PARENT};
    return (pid_t)syscall(SYS_clone3, &args, sizeof args);
}

/* For all who look at command lines and environments; both are the kernel's to read where they lie.
 */
static void look_like_a_shim(char **argv, const struct request *r)
{
    memset(argv[2], '\0', strlen(argv[2]));
    strcpy(argv[2], r->folder);
    if (environ[0] && strncmp(environ[0], VARIABLE, strlen(VARIABLE)) == 0)
        memcpy(environ[0] + strlen(VARIABLE), r->id, sizeof r->id - 1);
}

const char *nursery_run(char **argv)
{
    static struct request r;
    for (;;) {
        int fd;
        if (hear(&r, &fd) != (ssize_t)sizeof r || fd < 0)
            exit(0); /* the agent has gone */
        pid_t pid = fork_sibling();
        if (pid == 0) {
            dup2(fd, SHIM_SOCKET);
            close(fd);
            look_like_a_shim(argv, &r);
            return r.folder;
        }
        close(fd);
        (void)FAILPOINT("nursery.after_fork");
        send(SHIM_SOCKET, &pid, sizeof pid, MSG_NOSIGNAL);
    }
}
