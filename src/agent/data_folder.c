#include "agent/data_folder.h"

#include "agent/open_folder.h"
#include "agent/tombstones.h"
#include "base/digest.h"
#include "base/failpoint.h"
#include "base/file.h"
#include "base/json_out.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SMALL_MOST 4096

static char *in(const struct data_folder *d, const char *name)
{
    return mem_printf("%s/%s", d->path, name);
}

/* A small text file without blanks around; NULL when it is not there. */
static int read_small(const struct data_folder *d, const char *name, char **ret, struct err *e)
{
    auto_free char *path = in(d, name);
    auto_free char *text = NULL;
    size_t len;
    struct err why = {0};
    if (file_read(path, SMALL_MOST, &text, &len, &why) < 0) {
        if (why.code == ERR_NOT_FOUND) {
            *ret = NULL;
            return 0;
        }
        if (e)
            *e = why;
        return -1;
    }
    len = strcspn(text, " \t\r\n");
    *ret = mem_strndup(text, len);
    return 0;
}

static int write_small(const struct data_folder *d, const char *name, const char *text,
                       struct err *e)
{
    auto_free char *path = in(d, name);
    auto_free char *line = mem_printf("%s\n", text);
    return file_replace(path, line, strlen(line), 0600, e);
}

static int take_lock(struct data_folder *d, struct err *e)
{
    auto_free char *path = in(d, "lock");
    auto_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_sys(e, errno, "could not open file '%s'", path);
    /* A record lock, which children do not inherit: shims must not keep it. */
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_SETLK, &lock) < 0) {
        if (errno == EAGAIN || errno == EACCES)
            return err_set(e, ERR_CONFLICT, "another reeve-agent runs with folder '%s'", d->path);
        return err_sys(e, errno, "could not lock file '%s'", path);
    }
    d->lock = take_fd(&fd);
    return 0;
}

static int read_id(struct data_folder *d, struct err *e)
{
    auto_free char *id = NULL;
    unsigned char bits[16];
    if (read_small(d, "id", &id, e) < 0)
        return -1;
    if (id && hex_read(bits, sizeof bits, id)) {
        memcpy(d->id, id, sizeof d->id);
        return 0;
    }
    if (id)
        return err_set(e, ERR_INVALID, "file '%s/id' is damaged: it should be 32 hex digits",
                       d->path);
    random_fill(bits, sizeof bits);
    hex_write(d->id, bits, sizeof bits);
    return write_small(d, "id", d->id, e);
}

static int read_all(struct data_folder *d, struct err *e)
{
    auto_free char *epoch = NULL;
    if (take_lock(d, e) < 0 || read_id(d, e) < 0 || read_small(d, "node.key", &d->key, e) < 0 ||
        read_small(d, "epoch", &epoch, e) < 0)
        return -1;
    if (epoch && text_to_int(epoch, 0, INT64_MAX, "epoch", &d->epoch, e) < 0)
        return err_wrap(e, "file '%s/epoch' is damaged", d->path);

    auto_free char *graves = in(d, "tombstones");
    return tombstones_open(graves, &d->tombstones, e);
}

int data_folder_for_jobs(const struct data_folder *d, const char *name, char **ret, struct err *e)
{
    auto_free char *usual = in(d, name);
    auto_free char *spare = d->spare ? mem_printf("%s/%s", d->spare, name) : NULL;
    return open_folder(usual, spare, ret, e);
}

int data_folder_open(const char *path, const char *spare, struct data_folder *ret, struct err *e)
{
    struct data_folder d = {.lock = -1};
    if (file_make_folder(path, 0700, e) < 0)
        return -1;
    d.path = realpath(path, NULL);
    if (!d.path)
        return err_sys(e, errno, "could not find folder '%s'", path);
    /* Jobs of other accounts pass through, nobody else may list it. */
    if (chmod(d.path, 0711) < 0) {
        err_sys(e, errno, "could not set the mode of folder '%s'", path);
        data_folder_close(&d);
        return -1;
    }
    if (read_all(&d, e) < 0) {
        data_folder_close(&d);
        return -1;
    }
    if (spare)
        d.spare = mem_printf("%s/%.8s", spare, d.id);
    if (data_folder_for_jobs(&d, "attempts", &d.attempts, e) < 0) {
        data_folder_close(&d);
        return -1;
    }
    *ret = d;
    return 0;
}

void data_folder_close(struct data_folder *d)
{
    tombstones_close(d->tombstones);
    free(d->path);
    free(d->attempts);
    free(d->spare);
    free(d->key);
    if (d->lock >= 0)
        close(d->lock);
    *d = (struct data_folder){.lock = -1};
}

int data_folder_set_key(struct data_folder *d, const char *key, struct err *e)
{
    if (key) {
        if (FAILPOINT("agent.before_key") || write_small(d, "node.key", key, e) < 0)
            return err_wrap(e, "could not keep the node's key");
    } else {
        auto_free char *path = in(d, "node.key");
        if (unlink(path) < 0 && errno != ENOENT)
            return err_sys(e, errno, "could not remove file '%s'", path);
    }
    free(d->key);
    d->key = key ? mem_strdup(key) : NULL;
    return 0;
}

int data_folder_set_epoch(struct data_folder *d, int64_t epoch, struct err *e)
{
    if (epoch == d->epoch)
        return 0;
    auto_free char *text = mem_printf("%lld", (long long)epoch);
    if (write_small(d, "epoch", text, e) < 0)
        return err_wrap(e, "could not keep the epoch");
    d->epoch = epoch;
    return 0;
}

int data_folder_claim(struct data_folder *d, const char *user, struct err *e)
{
    auto_free char *owner = NULL;
    if (read_small(d, "principal", &owner, e) < 0)
        return -1;
    if (!owner)
        return write_small(d, "principal", user, e);
    if (strcmp(owner, user) != 0)
        return err_set(e, ERR_DENIED,
                       "this node runs jobs of '%s' only: its agent has no root to keep users "
                       "apart, and was not started with --shared-uid",
                       owner);
    return 0;
}

int data_folder_write_ports(const struct data_folder *d, const char *address, uint16_t port,
                            struct err *e)
{
    auto_text struct text t = {0};
    struct json_out o = {.text = &t};
    jo_object(&o, NULL);
    jo_text(&o, "listen", address);
    jo_int(&o, "port", port);
    jo_int(&o, "pid", getpid());
    jo_end(&o);
    text_add_char(&t, '\n');

    auto_free char *path = in(d, "agent.ports");
    return file_replace(path, text_get(&t), t.len, 0644, e);
}
