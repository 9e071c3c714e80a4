#include "kubelet/pod_name.h"

#include "base/text.h"

#include <dirent.h>

static bool copy(char *to, size_t room, const char *from, size_t len)
{
    if (!len || len >= room)
        return false;
    memcpy(to, from, len);
    to[len] = '\0';
    return text_is_utf8(to, len);
}

bool pod_name_of_folder(const char *folder, const char *uid, struct pod_name *ret)
{
    const char *first = strchr(folder, '_'), *last = strrchr(folder, '_');
    if (!first || last == first || strcmp(last + 1, uid) != 0)
        return false;
    return copy(ret->namespace, sizeof ret->namespace, folder, (size_t)(first - folder)) &&
           copy(ret->name, sizeof ret->name, first + 1, (size_t)(last - first - 1));
}

static void closedirp(DIR **d)
{
    if (*d)
        closedir(*d);
}

bool pod_name_find(const char *logs, const char *uid, struct pod_name *ret)
{
    AUTO(closedirp) DIR *d = opendir(logs);
    const struct dirent *entry;
    while (d && (entry = readdir(d)))
        if (pod_name_of_folder(entry->d_name, uid, ret))
            return true;
    return false;
}

/* A positive number at *P, which moves behind it. */
static bool number(const char **p, int64_t *ret)
{
    int64_t v = 0;
    const char *s = *p;
    while (*s >= '0' && *s <= '9' && v < INT64_MAX / 100)
        v = v * 10 + (*s++ - '0');
    if (s == *p || (*s >= '0' && *s <= '9') || v <= 0)
        return false;
    *p = s;
    *ret = v;
    return true;
}

bool pod_name_attempt(const char *name, const char *site, int64_t *ret_job, int64_t *ret_n)
{
    int64_t job, n;
    size_t len = strlen(site);
    if (!len || strncmp(name, "reeve-", 6) != 0 || strncmp(name + 6, site, len) != 0)
        return false;
    const char *p = name + 6 + len;
    if (*p++ != '-' || !number(&p, &job) || *p++ != '-' || !number(&p, &n))
        return false;
    if (*p && *p != '-')
        return false;
    *ret_job = job;
    *ret_n = n;
    return true;
}
