#include "rig.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATIENCE_MS 15000

char *rig_path(struct rig *r, const char *name)
{
    return mem_printf("%s/%s", r->root, name);
}

void rig_open(struct rig *r, const char *script)
{
    *r = (struct rig){.shim = SHIM_PROCESS_NONE};
    snprintf(r->root, sizeof r->root, "/tmp/test_shimXXXXXX");
    CHECK(mkdtemp(r->root) != NULL);
    CHECK_INT(chmod(r->root, 0777), 0);
    /* Its control group's name, so it must be no other test's that runs at the same time. */
    auto_free char *name = mem_printf("reeve-%s-42-1", r->root + strlen("/tmp/test_shim"));
    auto_free char *folder = mem_printf("attempts/%s", name);
    r->folder = rig_path(r, folder);

    struct attempt_spec *s = &r->spec;
    attempt_spec_init(s);
    memset(s->id, 'a', sizeof s->id - 1);
    char id[17];
    snprintf(id, sizeof id, "%016llx", (unsigned long long)clock_mono_us() * 1000 + getpid());
    memcpy(s->id, id, 16);
    s->name = mem_strdup(name);
    s->job_id = 42;
    s->number = 1;
    s->user = mem_strdup("alice");
    s->command = list_add(list_add(list_add(NULL, "sh"), "-c"), script);
    s->work_dir = mem_strdup("/");
    s->grace_ms = 500;
    if (geteuid() == 0) {
        s->has_account = true;
        s->account.uid = s->account.gid = RIG_UID;
        s->account.name = mem_strdup("alice");
    }
    auto_free char *variable = mem_printf("ROOT=%s", r->root);
    s->env = list_add(NULL, variable);
}

void rig_done(struct rig *r)
{
    size_t count;
    struct pollfd fd = {.fd = r->shim.pidfd, .events = POLLIN};
    if (r->shim.pid > 0 && fd.fd >= 0) {
        shim_cancel(r->folder, "the test is over", NULL);
        poll(&fd, 1, PATIENCE_MS);
        shim_reap(&r->shim);
    }
    attempt_kill_leftovers(r->folder, r->spec.id, 1000, &count, NULL);
    shim_process_done(&r->shim);
    attempt_spec_done(&r->spec);
    free(r->folder);
    file_remove_tree(r->root, NULL);
}

void rig_start(struct rig *r)
{
    CHECK(getenv("REEVE_TEST_SHIM") != NULL); /* set by meson test */
    CHECK_OK(shim_start(getenv("REEVE_TEST_SHIM"), NULL, r->folder, &r->spec, &r->shim, &test_err));
}

enum shim_news rig_news(struct rig *r, struct err *e)
{
    struct pollfd fd = {.fd = r->shim.socket, .events = POLLIN};
    CHECK(poll(&fd, 1, PATIENCE_MS) == 1);
    return shim_news(&r->shim, e);
}

int rig_wait(struct rig *r, struct attempt_status *ret)
{
    struct pollfd fd = {.fd = r->shim.pidfd, .events = POLLIN};
    CHECK(poll(&fd, 1, PATIENCE_MS) == 1);
    int rc = shim_reap(&r->shim);
    shim_process_done(&r->shim);
    CHECK_OK(attempt_state(r->folder, ret, &test_err));
    return rc;
}

int rig_run(struct rig *r, struct attempt_status *ret)
{
    rig_start(r);
    return rig_wait(r, ret);
}

char *rig_log(struct rig *r)
{
    struct text t = {0};
    int64_t offset = 0;
    for (;;) {
        char buf[65536];
        size_t len;
        int64_t gap;
        CHECK_OK(job_log_read(r->folder, offset, buf, sizeof buf, &len, &offset, &gap, &test_err));
        if (gap)
            text_addf(&t, "(gap of %lld)", (long long)gap);
        if (!len)
            return text_take(&t);
        text_add_bytes(&t, buf, len);
    }
}

char *rig_file(struct rig *r, const char *name)
{
    auto_free char *path = rig_path(r, name);
    char *text = NULL;
    return file_read(path, 1 << 20, &text, NULL, NULL) == 0 ? text : NULL;
}

char *rig_wait_for(struct rig *r, const char *name)
{
    for (int i = 0; i < PATIENCE_MS / 5; i++) {
        char *text = rig_file(r, name);
        if (text && strchr(text, '\n'))
            return text;
        free(text);
        usleep(5000);
    }
    ck_abort_msg("nothing appeared in %s", name);
    return NULL;
}

bool is_alive(pid_t pid)
{
    struct process p;
    return process_read(pid, &p) && p.state != 'Z' && p.state != 'X';
}

bool wait_until_gone(pid_t pid)
{
    for (int i = 0; i < PATIENCE_MS / 5; i++) {
        if (!is_alive(pid))
            return true;
        usleep(5000);
    }
    return false;
}
