#include "reeved/redis_face.h"

#include "api/job_cluster.h"
#include "api/job_in.h"
#include "base/mem.h"

struct redis_face {
    const struct reeved_options *options;
    const struct template_set *templates;
    struct redis_config config;
    const char **users; /* ends with NULL */
    char *names;        /* what USERS points into */
    struct redis *redis;
};

/* The source's form of a job names nothing but these. */
static bool is_source_job(const json_t *object)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)object, name, value)
    {
        if (strcmp(name, "user") != 0 && strcmp(name, "config_file") != 0 &&
            strcmp(name, "work_dir") != 0 && strcmp(name, "labels") != 0)
            return false;
    }
    return true;
}

struct source_in {
    const char *user, *config_file, *work_dir;
    const json_t *labels;
};

#define AT(member) offsetof(struct source_in, member)
static const struct json_field source_fields[] = {
    {"user", JSON_FIELD_TEXT, AT(user), true, 1, FLEET_NAME - 1},
    {"config_file", JSON_FIELD_TEXT, AT(config_file), true, 1, 1024},
    {"work_dir", JSON_FIELD_TEXT, AT(work_dir), true, 1, 1024},
    {"labels", JSON_FIELD_OBJECT, AT(labels)},
};
#undef AT

static int fill_template(const struct redis_face *f, const json_t *object, json_t **ret,
                         struct err *e)
{
    struct source_in in = {0};
    if (json_read_fields(object, source_fields, COUNT_OF(source_fields), true, &in, e) < 0)
        return -1;
    const struct template_values values = {in.config_file, in.work_dir, in.user};
    if (template_fill(f->templates, TEMPLATE_SOURCE, &values, ret, e) < 0)
        return -1;
    json_object_set_new(*ret, "user", json_string(in.user));
    if (in.labels && json_object_get(*ret, "labels"))
        json_object_update_missing(json_object_get(*ret, "labels"), (json_t *)in.labels);
    else if (in.labels)
        json_object_set(*ret, "labels", (json_t *)in.labels);
    return 0;
}

/* On the thread of the Redis face. */
static int read_job(void *arg, const json_t *object, struct submission *ret, char user[FLEET_NAME],
                    struct err *e)
{
    const struct redis_face *f = arg;
    auto_json json_t *filled = NULL;
    const char *name;
    if (is_source_job(object)) {
        if (fill_template(f, object, &filled, e) < 0)
            return -1;
        object = filled;
    }
    if (job_in_read(object, ret, &name, e) < 0 ||
        job_cluster_check_leave(ret, f->options->allow_tolerations, e) < 0)
        return -1;
    snprintf(user, FLEET_NAME, "%s", name ? name : "");
    return 0;
}

/* "a,b", given as often as one likes. */
static void read_users(struct redis_face *f)
{
    auto_text struct text all = {0};
    const struct option_list *list = &f->options->redis_users;
    size_t most = 2, count = 0;
    if (!list->count)
        return;
    for (size_t i = 0; i < list->count; i++)
        text_addf(&all, "%s,", list->items[i]);
    for (const char *c = text_get(&all); *c; c++)
        most += *c == ',';
    f->names = text_take(&all);
    f->users = mem_new_array(const char *, most);
    for (char *save = NULL, *at = strtok_r(f->names, ", ", &save); at;
         at = strtok_r(NULL, ", ", &save))
        f->users[count++] = at;
    f->config.users = f->users;
}

int redis_face_new(const struct reeved_options *o, const struct template_set *templates,
                   struct redis_face **ret, struct err *e)
{
    *ret = NULL;
    if (!o->redis || !*o->redis)
        return 0;
    struct redis_face *f = mem_new(struct redis_face);
    f->options = o;
    f->templates = templates;
    f->config = (struct redis_config){.url = o->redis,
                                      .password_file = o->redis_password_file,
                                      .ca = o->redis_ca,
                                      .certificate = o->redis_cert,
                                      .key = o->redis_key,
                                      .mask_users = o->mask_users,
                                      .read_job = read_job,
                                      .arg = f};
    read_users(f);
    *ret = f;
    return redis_check(&f->config, e) < 0 ? err_wrap(e, "options --redis") : 0;
}

int redis_face_start(struct redis_face *f, struct engine *g, struct err *e)
{
    return f ? redis_start(&f->config, g, &f->redis, e) : 0;
}

void redis_face_stop(struct redis_face *f)
{
    if (f)
        redis_stop(f->redis);
}

void redis_face_free(struct redis_face *f)
{
    if (!f)
        return;
    redis_free(f->redis);
    free(f->users);
    free(f->names);
    free(f);
}

void redis_face_metrics(void *arg, struct text *out)
{
    const struct redis_face *f = arg;
    redis_write_metrics(f->redis, out);
}

void redis_face_status(void *arg, struct json_out *o, bool details)
{
    const struct redis_face *f = arg;
    redis_write_status(f->redis, o, details);
}
