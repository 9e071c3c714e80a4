/* The pure half of cgroup.h: the kernel's texts. */
#include "node/cgroup.h"

#include "base/mem.h"
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The next line of *AT as a copy; NULL at the end. */
static char *next_line(const char **at)
{
    if (!**at)
        return NULL;
    size_t len = strcspn(*at, "\n");
    char *line = mem_strndup(*at, len);
    *at += len + ((*at)[len] == '\n');
    return line;
}

/* Whether comma-separated LIST has WORD. */
static bool list_has(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *p = list; *p; p += strcspn(p, ",")) {
        p += *p == ',';
        if (strncmp(p, word, len) == 0 && (p[len] == ',' || !p[len]))
            return true;
    }
    return false;
}

/* mountinfo writes blank, tab, newline and backslash as \040 and so on. */
static void unescape(char *s)
{
    char *to = s;
    for (; *s; s++) {
        if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
            s[3] >= '0' && s[3] <= '7') {
            *to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
            s += 3;
        } else {
            *to++ = *s;
        }
    }
    *to = '\0';
}

static void take_mount(struct cgroup_mount *m, const char *root, const char *folder)
{
    /* Mounted more than once, the first one is as good, and nearer to /sys. */
    if (m->folder)
        return;
    m->root = mem_strdup(root);
    m->folder = mem_strdup(folder);
}

/* "36 35 98:0 /root /folder rw,... optional... - cgroup cgroup rw,memory" */
static void read_mount(char *line, struct cgroup_mounts *ret)
{
    char *fields[5], *rest = line;
    for (int i = 0; i < 5; i++)
        if (!(fields[i] = strsep(&rest, " ")))
            return;
    char *dash = rest ? strstr(rest, "- ") : NULL;
    if (!dash || (dash != rest && dash[-1] != ' '))
        return;
    char *tail = dash + 2, *type = strsep(&tail, " ");
    strsep(&tail, " ");
    if (!tail)
        return;

    unescape(fields[3]);
    unescape(fields[4]);
    if (strcmp(type, "cgroup2") == 0)
        take_mount(&ret->unified, fields[3], fields[4]);
    if (strcmp(type, "cgroup") != 0)
        return;
    const struct {
        const char *name;
        struct cgroup_mount *mount;
    } kinds[] = {
        {"memory", &ret->memory}, {"cpu", &ret->cpu},         {"pids", &ret->pids},
        {"cpuset", &ret->cpuset}, {"cpuacct", &ret->cpuacct},
    };
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (list_has(tail, kinds[i].name))
            take_mount(kinds[i].mount, fields[3], fields[4]);
}

void cgroup_parse_mounts(const char *mountinfo, struct cgroup_mounts *ret)
{
    *ret = (struct cgroup_mounts){0};
    for (char *line; (line = next_line(&mountinfo));) {
        read_mount(line, ret);
        free(line);
    }
}

static void mount_done(struct cgroup_mount *m)
{
    free(m->folder);
    free(m->root);
    *m = (struct cgroup_mount){0};
}

void cgroup_mounts_done(struct cgroup_mounts *m)
{
    mount_done(&m->unified);
    mount_done(&m->memory);
    mount_done(&m->cpu);
    mount_done(&m->pids);
    mount_done(&m->cpuset);
    mount_done(&m->cpuacct);
}

char *cgroup_parse_own(const char *proc_cgroup, const char *controller)
{
    char *found = NULL;
    for (char *line; !found && (line = next_line(&proc_cgroup));) {
        char *rest = line;
        strsep(&rest, ":");
        char *controllers = strsep(&rest, ":");
        bool is_it = rest && (controller[0] ? list_has(controllers, controller) : !controllers[0]);
        if (is_it && rest[0] == '/')
            found = mem_strdup(rest);
        free(line);
    }
    return found;
}

char *cgroup_folder(const struct cgroup_mount *m, const char *path)
{
    if (!m->folder)
        return NULL;
    /* "/.." in front says that our group lies outside the namespace's root. */
    if (strstr(path, "/.."))
        return NULL;
    size_t root = strcmp(m->root, "/") == 0 ? 0 : strlen(m->root);
    if (strncmp(path, m->root, root) != 0 || (path[root] && path[root] != '/')) {
        /* In a namespace of its own a container sees "/" although the mount says otherwise. */
        if (strcmp(path, "/") == 0)
            return mem_strdup(m->folder);
        return NULL;
    }
    path += root;
    return mem_printf("%s%s", m->folder, strcmp(path, "/") == 0 ? "" : path);
}

static bool read_int(const char *text, const char **ret_end, int64_t *ret)
{
    if (text[0] < '0' || text[0] > '9') {
        if (text[0] != '-' || text[1] < '0' || text[1] > '9')
            return false;
    }
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno == ERANGE)
        value = value < 0 ? INT64_MIN : INT64_MAX;
    *ret = value;
    *ret_end = end;
    return true;
}

bool cgroup_parse_limit(const char *text, int64_t *ret)
{
    const char *end;
    int64_t value;
    if (text_starts_with(text, "max")) {
        value = INT64_MAX;
        end = text + 3;
    } else if (!read_int(text, &end, &value) || value < -1) {
        return false;
    }
    if (*end && *end != '\n')
        return false;
    /* Version 1 says "no limit" by the largest multiple of a page, or by -1. */
    *ret = value < 0 || value >= INT64_MAX - 65536 ? INT64_MAX : value;
    return true;
}

bool cgroup_parse_cpu_max(const char *text, int64_t *ret_milli)
{
    const char *end;
    int64_t quota, period;
    if (text_starts_with(text, "max")) {
        *ret_milli = INT64_MAX;
        return true;
    }
    if (!read_int(text, &end, &quota) || quota < 0 || *end != ' ' ||
        !read_int(end + 1, &end, &period) || period <= 0)
        return false;
    *ret_milli = quota > INT64_MAX / 1000 ? INT64_MAX : quota * 1000 / period;
    return true;
}

bool cgroup_parse_key(const char *text, const char *key, int64_t *ret)
{
    size_t len = strlen(key);
    for (const char *line = text; *line; line += *line == '\n') {
        const char *end;
        if (strncmp(line, key, len) == 0 && line[len] == ' ')
            return read_int(line + len + 1, &end, ret);
        line += strcspn(line, "\n");
    }
    return false;
}

int cgroup_parse_cpu_list(const char *text)
{
    int64_t count = 0;
    const char *p = text;
    while (*p && *p != '\n') {
        int64_t first, last;
        if (!read_int(p, &p, &first) || first < 0)
            return 0;
        last = first;
        if (*p == '-' && (!read_int(p + 1, &p, &last) || last < first))
            return 0;
        if (last > 65535)
            return 0;
        count += last - first + 1;
        if (*p == ',')
            p++;
        else if (*p && *p != '\n')
            return 0;
    }
    return count > 65536 ? 0 : (int)count;
}
