#include "kubelet/pod_cgroup.h"

#include <stddef.h>
#include <string.h>

enum { CONTAINER_LEAST = 12, CONTAINER_MOST = 64 };

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static size_t hex_len(const char *s, size_t len)
{
    size_t n = 0;
    while (n < len && is_hex(s[n]))
        n++;
    return n;
}

/* How long the uid at S is, 0 for none. systemd's names have '_' where others have '-'. */
static size_t uid_len(const char *s, size_t len)
{
    static const size_t parts[] = {8, 4, 4, 4, 12};
    if (hex_len(s, len) == 32)
        return 32;
    size_t at = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (i && (at >= len || (s[at] != '-' && s[at] != '_')))
            return 0;
        at += i > 0;
        if (hex_len(s + at, len - at) < parts[i])
            return 0;
        at += parts[i];
    }
    return at;
}

/* "pod<uid>", "kubepods-burstable-pod<uid>.slice". */
static bool read_pod(const char *s, size_t len, char uid[POD_UID_SIZE])
{
    for (size_t i = 0; i + 3 < len; i++) {
        if (memcmp(s + i, "pod", 3) != 0 || (i && s[i - 1] != '-'))
            continue;
        const char *at = s + i + 3;
        size_t n = uid_len(at, len - i - 3), left = len - i - 3 - n;
        if (!n || (left && !(left == 6 && memcmp(at + n, ".slice", 6) == 0)))
            continue;
        for (size_t k = 0; k < n; k++)
            uid[k] = (char)(at[k] == '_' ? '-' : at[k]);
        uid[n] = '\0';
        return true;
    }
    return false;
}

/* "<id>", "cri-containerd-<id>.scope", "crio-<id>", "docker-<id>.scope". */
static bool read_container(const char *s, size_t len, char id[POD_CONTAINER_SIZE])
{
    if (len > 6 && memcmp(s + len - 6, ".scope", 6) == 0)
        len -= 6;
    const char *dash = memrchr(s, '-', len);
    size_t skip = dash ? (size_t)(dash + 1 - s) : 0, n = len - skip;
    if (n < CONTAINER_LEAST || n > CONTAINER_MOST || hex_len(s + skip, n) != n)
        return false;
    memcpy(id, s + skip, n);
    id[n] = '\0';
    return true;
}

/* PATH's parts stand between '/', and between ':' where a runtime's driver is another than
 * kubelet's. */
static bool read_path(const char *path, size_t len, struct pod_cgroup *ret)
{
    const char *end = path + len;
    bool has_pod = false;
    ret->container[0] = '\0';
    while (path < end) {
        size_t n = 0;
        while (path + n < end && path[n] != '/' && path[n] != ':')
            n++;
        if (read_pod(path, n, ret->uid))
            has_pod = true;
        else if (has_pod && read_container(path, n, ret->container))
            return true;
        path += n + 1;
    }
    return has_pod;
}

bool pod_cgroup_parse(const char *text, struct pod_cgroup *ret)
{
    struct pod_cgroup found;
    for (const char *line = text; *line;) {
        size_t len = strcspn(line, "\n");
        const char *first = memchr(line, ':', len);
        const char *second =
            first ? memchr(first + 1, ':', len - (size_t)(first + 1 - line)) : NULL;
        if (second && read_path(second + 1, len - (size_t)(second + 1 - line), &found)) {
            *ret = found;
            return true;
        }
        line += len + (line[len] == '\n');
    }
    return false;
}
