#include "engine/specs.h"

#include "base/mem.h"

enum { SLOTS = 1024, BYTES_MOST = 64 * 1024 }; /* a slot by job number: neighbours do not collide */

struct slot {
    int64_t job;
    char *name, *spec;
};

struct specs {
    struct slot slots[SLOTS];
};

struct specs *specs_new(void)
{
    return mem_new(struct specs);
}

static void clear(struct slot *s)
{
    free(s->name);
    free(s->spec);
    *s = (struct slot){0};
}

void specs_free(struct specs *s)
{
    if (!s)
        return;
    for (int i = 0; i < SLOTS; i++)
        clear(&s->slots[i]);
    free(s);
}

void specs_put(struct specs *s, int64_t job, const char *name, const char *spec)
{
    struct slot *at = &s->slots[job % SLOTS];
    clear(at);
    if (strlen(spec) > BYTES_MOST)
        return;
    *at = (struct slot){job, mem_strdup(name), mem_strdup(spec)};
}

int specs_find(const struct specs *s, int64_t job, const char **ret_name, const char **ret_spec)
{
    const struct slot *at = &s->slots[job % SLOTS];
    if (at->job != job)
        return 0;
    *ret_name = at->name;
    *ret_spec = at->spec;
    return 1;
}
