#include "node/attempt_spec.h"

#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST      "reeve-attempt 1"
#define LAST       "end"
#define WORDS_MOST 65536 /* of a command or an environment */

char **list_add(char **list, const char *item)
{
    size_t n = list_count(list);
    list = mem_resize_array(list, n + 2);
    list[n] = mem_strdup(item);
    list[n + 1] = NULL;
    return list;
}

void list_free(char **list)
{
    for (size_t i = 0; list && list[i]; i++)
        free(list[i]);
    free(list);
}

size_t list_count(char *const *list)
{
    size_t n = 0;
    while (list && list[n])
        n++;
    return n;
}

void attempt_spec_init(struct attempt_spec *s)
{
    *s = (struct attempt_spec){
        .warn_ms = ATTEMPT_WARN_MS,
        .grace_ms = ATTEMPT_GRACE_MS,
        .log_quota_bytes = ATTEMPT_LOG_QUOTA,
        .log_line_bytes = ATTEMPT_LOG_LINE_MOST,
        .log_rate_bytes = ATTEMPT_LOG_RATE,
    };
}

/* The file's keys. */
enum kind { ID, TEXT, NUMBER, LIST };
#define FIELD(name, kind, member)                                                                  \
    {                                                                                              \
        name, kind, offsetof(struct attempt_spec, member), 0, 0                                    \
    }
#define RANGE(name, member, least, most)                                                           \
    {                                                                                              \
        name, NUMBER, offsetof(struct attempt_spec, member), least, most                           \
    }

static const struct field {
    const char *name;
    enum kind kind;
    size_t offset;
    int64_t least, most; /* of a number */
} fields[] = {
    FIELD("id", ID, id),
    FIELD("name", TEXT, name),
    RANGE("job", job_id, 0, INT64_MAX),
    RANGE("number", number, 1, INT32_MAX),
    FIELD("user", TEXT, user),
    FIELD("arg", LIST, command),
    FIELD("env", LIST, env),
    FIELD("work_dir", TEXT, work_dir),
    FIELD("devices", TEXT, devices),
    FIELD("progress_pattern", TEXT, progress_pattern),
    FIELD("results", TEXT, results),
    FIELD("params", TEXT, params),
    FIELD("account_name", TEXT, account.name),
    FIELD("account_home", TEXT, account.home),
    FIELD("cgroup_unified", TEXT, cgroup.unified),
    FIELD("cgroup_memory", TEXT, cgroup.memory),
    FIELD("cgroup_cpu", TEXT, cgroup.cpu),
    FIELD("cgroup_pids", TEXT, cgroup.pids),
    RANGE("memory_bytes", limits.memory_bytes, 0, INT64_MAX / 2),
    RANGE("cpu_milli", limits.cpu_milli, 0, 100000000),
    RANGE("pids", limits.pids, 0, INT32_MAX),
    RANGE("time_limit_ms", time_limit_ms, 0, INT64_MAX / 4),
    RANGE("warn_ms", warn_ms, 0, INT64_MAX / 4),
    RANGE("grace_ms", grace_ms, 0, INT32_MAX),
    RANGE("log_quota_bytes", log_quota_bytes, 4096, INT64_MAX / 4),
    RANGE("log_line_bytes", log_line_bytes, 0, INT64_MAX / 4),
    RANGE("log_rate_bytes", log_rate_bytes, 0, INT64_MAX / 4096),
};

static void *member(const struct attempt_spec *s, const struct field *f)
{
    return (char *)(uintptr_t)s + f->offset;
}

static bool is_id(const char *id)
{
    return strlen(id) == ATTEMPT_ID_SIZE - 1 && strspn(id, "0123456789abcdef") == strlen(id);
}

static int check_env(char *const *env, struct err *e)
{
    for (size_t i = 0; env && env[i]; i++) {
        const char *equals = strchr(env[i], '=');
        if (!equals || equals == env[i])
            return err_set(e, ERR_INVALID, "'%.60s' is not a variable of the form NAME=value",
                           env[i]);
    }
    return 0;
}

int attempt_spec_check(const struct attempt_spec *s, struct err *e)
{
    if (!is_id(s->id))
        return err_set(e, ERR_INVALID, "'%s' is not an attempt's id (32 hex digits)", s->id);
    if (!s->name || !text_is_name(s->name, ATTEMPT_NAME_MOST))
        return err_set(e, ERR_INVALID, "'%.120s' is not an attempt's name", s->name ? s->name : "");
    if (!s->user || !text_is_name(s->user, 100))
        return err_set(e, ERR_INVALID, "'%.120s' is not a user's name", s->user ? s->user : "");
    if (!s->command || !s->command[0] || !s->command[0][0])
        return err_set(e, ERR_INVALID, "the command is empty");
    if (s->work_dir && s->work_dir[0] != '/')
        return err_set(e, ERR_INVALID, "work dir '%.200s' is not an absolute path", s->work_dir);
    if (s->results && s->results[0] != '/')
        return err_set(e, ERR_INVALID, "results folder '%.200s' is not an absolute path",
                       s->results);
    if (list_count(s->command) > WORDS_MOST || list_count(s->env) > WORDS_MOST)
        return err_set(e, ERR_INVALID, "the command or its environment has over %d words",
                       WORDS_MOST);
    if (check_env(s->env, e) < 0 || check_env(s->secret_env, e) < 0)
        return -1;

    size_t secret = 0;
    for (size_t i = 0; s->secret_env && s->secret_env[i]; i++)
        secret += strlen(s->secret_env[i]) + 1;
    if (secret > ATTEMPT_SECRETS_MOST)
        return err_set(e, ERR_INVALID, "the secret variables have over %d bytes",
                       ATTEMPT_SECRETS_MOST);
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        if (fields[i].kind != NUMBER)
            continue;
        int64_t value = *(int64_t *)member(s, &fields[i]);
        if (value < fields[i].least || value > fields[i].most)
            return err_set(e, ERR_INVALID, "%s %lld is out of range", fields[i].name,
                           (long long)value);
    }
    return 0;
}

static void add_record(struct text *out, const char *key, const char *value)
{
    text_add(out, key);
    text_add_char(out, '=');
    text_add_bytes(out, value, strlen(value) + 1);
}

static void add_number(struct text *out, const char *key, int64_t value)
{
    char number[32];
    snprintf(number, sizeof number, "%lld", (long long)value);
    add_record(out, key, number);
}

void attempt_spec_write(const struct attempt_spec *s, struct text *out)
{
    text_add_bytes(out, FIRST, sizeof FIRST);
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        const struct field *f = &fields[i];
        void *p = member(s, f);
        if (f->kind == ID)
            add_record(out, f->name, p);
        else if (f->kind == NUMBER)
            add_number(out, f->name, *(int64_t *)p);
        else if (f->kind == TEXT && *(char **)p)
            add_record(out, f->name, *(char **)p);
        else if (f->kind == LIST)
            for (char **item = *(char ***)p; item && *item; item++)
                add_record(out, f->name, *item);
    }
    if (s->has_account) {
        char ids[48];
        snprintf(ids, sizeof ids, "%u:%u", s->account.uid, s->account.gid);
        add_record(out, "account", ids);
        for (size_t i = 0; i < s->account.group_count; i++)
            add_number(out, "group", s->account.groups[i]);
    }
    add_number(out, "cgroup_controllers", s->cgroup.controllers);
    /* How many secrets will come by the socket, so that a shim never runs without them. */
    add_number(out, "secrets", s->secret_env != NULL);
    text_add_bytes(out, LAST, sizeof LAST);
}

static int read_number(const char *value, int64_t least, int64_t most, const char *key,
                       int64_t *ret, struct err *e)
{
    return text_to_int(value, least, most, key, ret, e);
}

/* Lists grow by doubling while they are read, so that a long one takes linear time. */
struct builder {
    size_t count, room;
};

static void append(char ***list, struct builder *b, const char *item)
{
    if (b->count + 1 >= b->room) {
        b->room = b->room ? b->room * 2 : 16;
        *list = mem_resize_array(*list, b->room);
    }
    (*list)[b->count++] = mem_strdup(item);
    (*list)[b->count] = NULL;
}

static int read_account(struct attempt_spec *s, const char *value, struct err *e)
{
    unsigned uid, gid;
    char odd;
    if (sscanf(value, "%u:%u%c", &uid, &gid, &odd) != 2 || uid == (uid_t)-1 || gid == (gid_t)-1)
        return err_set(e, ERR_INVALID, "account '%.60s' is not UID:GID", value);
    s->has_account = true;
    s->account.uid = uid;
    s->account.gid = gid;
    return 0;
}

static int read_group(struct attempt_spec *s, const char *value, struct err *e)
{
    int64_t gid;
    if (read_number(value, 0, UINT32_MAX - 1, "group", &gid, e) < 0)
        return -1;
    s->account.groups = mem_resize_array(s->account.groups, s->account.group_count + 1);
    s->account.groups[s->account.group_count++] = (gid_t)gid;
    return 0;
}

static int read_record(struct attempt_spec *s, const char *key, const char *value, bool *seen,
                       struct builder *lists, struct err *e)
{
    int64_t number = 0;
    if (strcmp(key, "account") == 0)
        return read_account(s, value, e);
    if (strcmp(key, "group") == 0)
        return s->account.group_count < WORDS_MOST ? read_group(s, value, e)
                                                   : err_set(e, ERR_INVALID, "too many groups");
    if (strcmp(key, "cgroup_controllers") == 0) {
        if (read_number(value, 0, 7, key, &number, e) < 0)
            return -1;
        s->cgroup.controllers = (unsigned)number;
        return 0;
    }
    if (strcmp(key, "secrets") == 0) {
        if (read_number(value, 0, 1, key, &number, e) < 0)
            return -1;
        if (number && !s->secret_env)
            s->secret_env = mem_new_array(char *, 1);
        return 0;
    }

    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        const struct field *f = &fields[i];
        if (strcmp(f->name, key) != 0)
            continue;
        void *p = member(s, f);
        if (f->kind == LIST) {
            if (lists[i].count >= WORDS_MOST)
                return err_set(e, ERR_INVALID, "'%s' appears over %d times", key, WORDS_MOST);
            append(p, &lists[i], value);
            return 0;
        }
        if (seen[i])
            return err_set(e, ERR_INVALID, "'%s' appears twice", key);
        seen[i] = true;
        if (f->kind == NUMBER)
            return read_number(value, f->least, f->most, key, p, e);
        if (f->kind == TEXT) {
            *(char **)p = mem_strdup(value);
            return 0;
        }
        if (!is_id(value))
            return err_set(e, ERR_INVALID, "'%.60s' is not an attempt's id", value);
        memcpy(p, value, ATTEMPT_ID_SIZE);
        return 0;
    }
    return err_set(e, ERR_INVALID, "unknown key '%.60s'", key);
}

int attempt_spec_parse(struct attempt_spec *s, const char *p, size_t len, struct err *e)
{
    if (len < sizeof FIRST || memcmp(p, FIRST, sizeof FIRST) != 0)
        return err_set(e, ERR_INVALID, "it does not begin as a spec of this release does");

    bool seen[COUNT_OF(fields)] = {false};
    struct builder lists[COUNT_OF(fields)] = {{0}};
    const char *at = p + sizeof FIRST, *end = p + len;
    while (at < end) {
        const char *nul = memchr(at, '\0', (size_t)(end - at));
        if (!nul)
            break;
        if (strcmp(at, LAST) == 0) {
            if (nul + 1 != end)
                return err_set(e, ERR_INVALID, "something stands behind its end");
            return attempt_spec_check(s, e);
        }
        const char *equals = strchr(at, '=');
        if (!equals || equals - at > 40)
            return err_set(e, ERR_INVALID, "'%.60s' is not key=value", at);
        char key[48];
        memcpy(key, at, (size_t)(equals - at));
        key[equals - at] = '\0';
        if (read_record(s, key, equals + 1, seen, lists, e) < 0)
            return -1;
        at = nul + 1;
    }
    return err_set(e, ERR_INVALID, "its end is missing");
}

void attempt_spec_done(struct attempt_spec *s)
{
    free(s->name);
    free(s->user);
    list_free(s->command);
    list_free(s->env);
    list_free(s->secret_env);
    free(s->work_dir);
    free(s->devices);
    free(s->progress_pattern);
    free(s->results);
    free(s->params);
    account_done(&s->account);
    cgroup_parent_done(&s->cgroup);
    *s = (struct attempt_spec){0};
}
