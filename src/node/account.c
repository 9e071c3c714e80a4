#include "node/account.h"

#include "base/failpoint.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Below are the machine's own accounts (Debian policy 9.2.2); no user of Reeve becomes one. */
#define UID_PEOPLE  1000
#define UID_NOBODY  65534
#define GROUPS_MOST 4096
#define MAP_MOST    (16 << 20)
#define RECENT_MOST 16
#define RECENT_MS   10000

/* Ranges that nobody else uses by the list that systemd keeps (UIDS-GIDS): above all containers,
 * and a smaller one for a user namespace that has only the first 65,536. */
static const struct {
    uid_t first;
    unsigned count;
} usual_ranges[] = {{1900000000, 65536}, {50000, 10000}};

/* clang-format off: from linux/capability.h, which has no call in libc */
struct cap_header {
    uint32_t version;
    int pid;
};
struct cap_data {
    uint32_t effective, permitted, inheritable;
};
/* clang-format on */
#define CAP_VERSION_3  0x20080522
#define CAP_BIT_CHOWN  0
#define CAP_BIT_SETGID 6
#define CAP_BIT_SETUID 7

struct account_map {
    struct account_options o;
    char *map_file;
    char *passwd_file;
    struct entry {
        uid_t uid;
        char *user;
    } * entries;
    size_t count;
    struct recent {
        char *user;
        struct account account;
        int64_t found_mono_ms;
    } recent[RECENT_MOST];
};

void account_done(struct account *a)
{
    free(a->groups);
    free(a->name);
    free(a->home);
    *a = (struct account){0};
}

void account_copy(struct account *to, const struct account *from)
{
    *to = *from;
    to->groups =
        from->group_count ? mem_dup(from->groups, from->group_count * sizeof *from->groups) : NULL;
    to->name = from->name ? mem_strdup(from->name) : NULL;
    to->home = from->home ? mem_strdup(from->home) : NULL;
}

bool account_range_is_mapped(const char *uid_map, uid_t first, unsigned count)
{
    /* Lines: first uid inside, first outside, length. One line must cover all of it. */
    for (const char *line = uid_map; *line; line += *line == '\n') {
        unsigned long long inside, outside, length;
        if (sscanf(line, "%llu %llu %llu", &inside, &outside, &length) == 3 && inside <= first &&
            first - inside + count <= length)
            return true;
        line += strcspn(line, "\n");
    }
    return false;
}

static bool usual_range(uid_t *ret_first, unsigned *ret_count)
{
    auto_free char *map = NULL;
    if (file_read("/proc/self/uid_map", 65536, &map, NULL, NULL) < 0)
        return false;
    for (size_t i = 0; i < COUNT_OF(usual_ranges); i++) {
        if (!account_range_is_mapped(map, usual_ranges[i].first, usual_ranges[i].count))
            continue;
        *ret_first = usual_ranges[i].first;
        *ret_count = usual_ranges[i].count;
        return true;
    }
    return false;
}

const char *account_isolation(void)
{
    struct cap_header header = {.version = CAP_VERSION_3};
    struct cap_data data[2] = {{0}};
    uid_t first;
    unsigned count;
    uint32_t need = 1U << CAP_BIT_CHOWN | 1U << CAP_BIT_SETGID | 1U << CAP_BIT_SETUID;
    if (geteuid() != 0 || syscall(SYS_capget, &header, data) < 0 ||
        (data[0].effective & need) != need || !usual_range(&first, &count))
        return "none";
    return "user";
}

static void add_entry(struct account_map *m, uid_t uid, const char *user)
{
    m->entries = mem_resize_array(m->entries, m->count + 1);
    m->entries[m->count++] = (struct entry){uid, mem_strdup(user)};
}

static int read_map(struct account_map *m, struct err *e)
{
    if (access(m->map_file, F_OK) < 0 && errno == ENOENT)
        return 0;
    auto_free char *text = NULL;
    if (file_read(m->map_file, MAP_MOST, &text, NULL, e) < 0)
        return -1;

    /* Giving a uid out twice would give one user's files to another: any damage is an error. */
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        if (!line[0])
            continue;
        char *blank = strchr(line, ' ');
        int64_t uid;
        if (blank)
            *blank = '\0';
        if (!blank || text_to_int(line, 1, UINT32_MAX - 1, "uid", &uid, NULL) < 0 ||
            !text_is_name(blank + 1, 100))
            return err_set(e, ERR_INTERNAL, "file '%s' is damaged at '%.60s'", m->map_file, line);
        for (size_t i = 0; i < m->count; i++)
            if (m->entries[i].uid == (uid_t)uid || strcmp(m->entries[i].user, blank + 1) == 0)
                return err_set(e, ERR_INTERNAL, "file '%s' has '%s' or its uid twice", m->map_file,
                               blank + 1);
        add_entry(m, (uid_t)uid, blank + 1);
    }
    return 0;
}

int account_map_open(const struct account_options *o, struct account_map **ret, struct err *e)
{
    auto_account_map struct account_map *m = mem_new(struct account_map);
    m->o = *o;
    m->map_file = mem_strdup(o->map_file);
    m->passwd_file = o->passwd_file ? mem_strdup(o->passwd_file) : NULL;
    if (!m->o.first_uid && !usual_range(&m->o.first_uid, &m->o.uid_count))
        return err_set(e, ERR_UNAVAILABLE, "this user namespace has no range of uids for jobs");
    if (!m->o.uid_count)
        m->o.uid_count = 65536;
    if (read_map(m, e) < 0)
        return -1;
    *ret = TAKE(m);
    return 0;
}

static void forget(struct recent *r)
{
    free(r->user);
    account_done(&r->account);
    *r = (struct recent){0};
}

void account_map_close(struct account_map *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < RECENT_MOST; i++)
        forget(&m->recent[i]);
    for (size_t i = 0; i < m->count; i++)
        free(m->entries[i].user);
    free(m->entries);
    free(m->map_file);
    free(m->passwd_file);
    free(m);
}

/* Looks in the machine's name service, or in the file that stands for it. *RET_FOUND is false when
 * there is no such account; only a service that cannot answer is an error. */
static int look_up(const struct account_map *m, const char *user, uid_t uid, struct passwd *ret,
                   char *buf, size_t room, bool *ret_found, struct err *e)
{
    struct passwd *found = NULL;
    *ret_found = false;
    if (m->passwd_file) {
        auto_fclose FILE *f = fopen(m->passwd_file, "re");
        if (!f)
            return err_sys(e, errno, "could not open file '%s'", m->passwd_file);
        while (fgetpwent_r(f, ret, buf, room, &found) == 0)
            if (user ? strcmp(ret->pw_name, user) == 0 : ret->pw_uid == uid) {
                *ret_found = true;
                return 0;
            }
        return 0;
    }
    int why =
        user ? getpwnam_r(user, ret, buf, room, &found) : getpwuid_r(uid, ret, buf, room, &found);
    /* By POSIX these mean "no such account", though glibc rarely says so. */
    if (why && why != ENOENT && why != ESRCH && why != EBADF && why != EPERM)
        return err_sys(e, why, "could not ask for account '%s'", user ? user : "of a uid");
    *ret_found = found != NULL;
    return 0;
}

static void add_group(struct account *a, gid_t gid)
{
    for (size_t i = 0; i < a->group_count; i++)
        if (a->groups[i] == gid)
            return;
    a->groups = mem_resize_array(a->groups, a->group_count + 1);
    a->groups[a->group_count++] = gid;
}

static void take_groups(const struct account_map *m, const struct passwd *pw, struct account *ret)
{
    gid_t groups[GROUPS_MOST];
    int count = GROUPS_MOST;
    if (m->passwd_file || getgrouplist(pw->pw_name, pw->pw_gid, groups, &count) < 0)
        return;
    for (int i = 0; i < count; i++)
        if (groups[i] != 0 || m->o.allow_root_jobs)
            add_group(ret, groups[i]);
}

/* Who has no account of their own still needs the groups that GPU device files belong to. */
static void take_device_groups(struct account *ret)
{
    static const char *const names[] = {"video", "render"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char buf[16384];
        struct group group, *found = NULL;
        if (getgrnam_r(names[i], &group, buf, sizeof buf, &found) == 0 && found)
            add_group(ret, group.gr_gid);
    }
}

static int save_map(const struct account_map *m, struct err *e)
{
    auto_text struct text t = {0};
    for (size_t i = 0; i < m->count; i++)
        text_addf(&t, "%u %s\n", m->entries[i].uid, m->entries[i].user);
    if (FAILPOINT("account.save"))
        return err_set(e, ERR_UNAVAILABLE, "could not write file '%s'", m->map_file);
    return file_replace(m->map_file, text_get(&t), t.len, 0600, e);
}

static bool is_given(const struct account_map *m, uid_t uid)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->entries[i].uid == uid)
            return true;
    return false;
}

static int reserve(struct account_map *m, const char *user, uid_t *ret, struct err *e)
{
    for (size_t i = 0; i < m->count; i++)
        if (strcmp(m->entries[i].user, user) == 0) {
            *ret = m->entries[i].uid;
            return 0;
        }

    for (unsigned i = 0; i < m->o.uid_count; i++) {
        uid_t uid = m->o.first_uid + i;
        struct passwd pw;
        char buf[16384];
        bool taken;
        if (is_given(m, uid))
            continue;
        if (look_up(m, NULL, uid, &pw, buf, sizeof buf, &taken, e) < 0)
            return -1;
        if (taken)
            continue;
        add_entry(m, uid, user);
        if (save_map(m, e) < 0) {
            free(m->entries[--m->count].user);
            return err_wrap(e, "could not remember the account of user '%s'", user);
        }
        *ret = uid;
        return 0;
    }
    return err_set(e, ERR_EXHAUSTED, "all %u uids for users without an account are given out",
                   m->o.uid_count);
}

int account_find(struct account_map *m, const char *user, struct account *ret, struct err *e)
{
    if (!text_is_name(user, 100))
        return err_set(e, ERR_INVALID, "'%.100s' is not a user's name", user);

    struct passwd pw;
    char buf[16384];
    bool found;
    if (look_up(m, user, 0, &pw, buf, sizeof buf, &found, e) < 0)
        return -1;
    bool is_root = strcmp(user, "root") == 0 || (found && pw.pw_uid == 0);
    if (is_root && !m->o.allow_root_jobs)
        return err_set(e, ERR_DENIED, "user '%s' would run jobs as root, which is not allowed here",
                       user);

    *ret = (struct account){.name = mem_strdup(user)};
    bool is_person = found && pw.pw_uid >= UID_PEOPLE && pw.pw_uid != UID_NOBODY &&
                     (pw.pw_gid != 0 || m->o.allow_root_jobs);
    if (found && (is_person || is_root)) {
        ret->uid = pw.pw_uid;
        ret->gid = pw.pw_gid;
        ret->home = pw.pw_dir && pw.pw_dir[0] == '/' ? mem_strdup(pw.pw_dir) : NULL;
        take_groups(m, &pw, ret);
        return 0;
    }
    if (reserve(m, user, &ret->uid, e) < 0) {
        account_done(ret);
        return -1;
    }
    ret->gid = ret->uid;
    take_device_groups(ret);
    return 0;
}

int account_find_recent(struct account_map *m, const char *user, int64_t now_mono_ms,
                        struct account *ret, struct err *e)
{
    struct recent *oldest = &m->recent[0];
    for (size_t i = 0; i < RECENT_MOST; i++) {
        struct recent *r = &m->recent[i];
        if (r->user && now_mono_ms - r->found_mono_ms >= RECENT_MS)
            forget(r);
        if (r->user && strcmp(r->user, user) == 0) {
            account_copy(ret, &r->account);
            return 0;
        }
        if (r->found_mono_ms < oldest->found_mono_ms)
            oldest = r;
    }
    if (account_find(m, user, ret, e) < 0)
        return -1;
    forget(oldest);
    oldest->user = mem_strdup(user);
    oldest->found_mono_ms = now_mono_ms;
    account_copy(&oldest->account, ret);
    return 0;
}
