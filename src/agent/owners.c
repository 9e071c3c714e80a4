#include "agent/owners.h"

#include "base/file.h"
#include "base/mem.h"
#include "node/process.h"

#include <stdio.h>
#include <string.h>

#define ANCESTORS_MOST 64
#define CGROUP_MOST    65536

struct known {
    struct process_id id;
    struct process_owner owner;
    bool is_asked; /* since the last sweep */
};

struct owners {
    bool (*is_shim)(void *arg, pid_t pid);
    bool (*is_our_pod)(void *arg, const char *pod);
    void *arg;
    char *pod_logs;
    struct known *known;
    size_t count, room;
};

struct owners *owners_new(bool (*is_shim)(void *arg, pid_t pid),
                          bool (*is_our_pod)(void *arg, const char *pod), void *arg,
                          const char *pod_logs)
{
    struct owners *o = mem_new(struct owners);
    o->is_shim = is_shim;
    o->is_our_pod = is_our_pod;
    o->arg = arg;
    o->pod_logs = mem_strdup(pod_logs);
    return o;
}

void owners_free(struct owners *o)
{
    if (!o)
        return;
    free(o->pod_logs);
    free(o->known);
    free(o);
}

static pid_t find_shim(struct owners *o, struct process p)
{
    for (int i = 0; i < ANCESTORS_MOST && p.id.pid > 1; i++) {
        if (o->is_shim(o->arg, p.id.pid))
            return p.id.pid;
        if (p.parent <= 1 || !process_read(p.parent, &p))
            return 0;
    }
    return 0;
}

static void find_pod(struct owners *o, pid_t pid, struct process_owner *ret)
{
    char path[40];
    auto_free char *text = NULL;
    size_t len;
    snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
    if (file_read(path, CGROUP_MOST, &text, &len, NULL) == 0 && pod_cgroup_parse(text, &ret->pod))
        pod_name_find(o->pod_logs, ret->pod.uid, &ret->name);
}

static struct known *find(const struct owners *o, uint32_t pid)
{
    for (size_t i = 0; i < o->count; i++)
        if (o->known[i].id.pid == (pid_t)pid)
            return &o->known[i];
    return NULL;
}

static struct known *add(struct owners *o)
{
    if (o->count == o->room) {
        o->room = o->room ? o->room * 2 : 16;
        o->known = mem_resize_array(o->known, o->room);
    }
    return &o->known[o->count++];
}

static enum owner judge(struct owners *o, const struct process_owner *p,
                        char words[DEVICE_HOLDER_SIZE])
{
    if (p->shim || (p->name.name[0] && o->is_our_pod(o->arg, p->name.name)))
        return OWNER_OURS;
    if (p->name.name[0])
        snprintf(words, DEVICE_HOLDER_SIZE, "pod %.60s/%.60s", p->name.namespace, p->name.name);
    else if (p->pod.uid[0])
        snprintf(words, DEVICE_HOLDER_SIZE, "pod %s", p->pod.uid);
    return OWNER_OTHER;
}

enum owner owners_find(struct owners *o, uint32_t pid, char words[DEVICE_HOLDER_SIZE])
{
    struct process p;
    struct known *k = find(o, pid);
    words[0] = '\0';
    if (!process_read((pid_t)pid, &p)) {
        /* It has just ended. */
        if (!k)
            return OWNER_UNKNOWN;
        k->is_asked = true;
        return judge(o, &k->owner, words) == OWNER_OURS ? OWNER_OURS : OWNER_UNKNOWN;
    }
    if (!k) {
        k = add(o);
        *k = (struct known){0};
    }
    if (k->id.pid != p.id.pid || k->id.start_ticks != p.id.start_ticks) {
        *k = (struct known){.id = p.id, .owner.shim = find_shim(o, p)};
        if (!k->owner.shim)
            find_pod(o, p.id.pid, &k->owner);
    }
    k->is_asked = true;
    return judge(o, &k->owner, words);
}

const struct process_owner *owners_get(const struct owners *o, uint32_t pid)
{
    const struct known *k = find(o, pid);
    return k ? &k->owner : NULL;
}

void owners_sweep(struct owners *o)
{
    size_t left = 0;
    for (size_t i = 0; i < o->count; i++) {
        if (!o->known[i].is_asked)
            continue;
        o->known[left] = o->known[i];
        o->known[left++].is_asked = false;
    }
    o->count = left;
}
