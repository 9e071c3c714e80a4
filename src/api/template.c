#include "api/template.h"

#include "api/job_in.h"
#include "base/file.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>

enum { TEMPLATE_BYTES_MOST = 65536 };

struct template_set {
    json_t *by_name;
    char *examples;
};

static const char built_in[] = "command: ['{examples}/proto-gcn/proto-gcn', --config, "
                               "'{config_file}', --work-dir, '{work_dir}']\n"
                               "name: proto-gcn\n";

void template_set_free(struct template_set *t)
{
    if (!t)
        return;
    json_decref(t->by_name);
    free(t->examples);
    free(t);
}

/* Braces that are none of ours stay as they are: a progress pattern has some. */
static void fill_text(const char *text, const struct template_set *t,
                      const struct template_values *values, struct text *out)
{
    const struct {
        const char *word, *value;
    } words[] = {{"{config_file}", values->config_file},
                 {"{work_dir}", values->work_dir},
                 {"{user}", values->user},
                 {"{examples}", t->examples}};
    while (*text) {
        size_t i = 0;
        while (i < COUNT_OF(words) && !text_starts_with(text, words[i].word))
            i++;
        if (i == COUNT_OF(words)) {
            text_add_char(out, *text++);
            continue;
        }
        text_add(out, words[i].value);
        text += strlen(words[i].word);
    }
}

static json_t *filled(const json_t *value, const struct template_set *t,
                      const struct template_values *values)
{
    if (json_is_string(value)) {
        auto_text struct text out = {0};
        fill_text(json_string_value(value), t, values, &out);
        return json_string(text_get(&out));
    }
    if (json_is_array(value)) {
        json_t *copy = json_array();
        size_t i;
        json_t *item;
        json_array_foreach((json_t *)value, i, item)
            json_array_append_new(copy, filled(item, t, values));
        return copy;
    }
    if (json_is_object(value)) {
        json_t *copy = json_object();
        const char *key;
        json_t *item;
        json_object_foreach((json_t *)value, key, item)
            json_object_set_new(copy, key, filled(item, t, values));
        return copy;
    }
    return json_incref((json_t *)value);
}

int template_fill(const struct template_set *t, const char *name,
                  const struct template_values *values, json_t **ret, struct err *e)
{
    const json_t *found = json_object_get(t->by_name, name);
    if (!found)
        return err_set(e, ERR_NOT_FOUND, "there is no template '%s'", name);
    json_t *job = filled(found, t, values);
    json_object_set_new(job, "config_file", json_string(values->config_file));
    json_object_set_new(job, "work_dir", json_string(values->work_dir));
    *ret = job;
    return 0;
}

static int add(struct template_set *t, const char *name, const char *yaml, size_t len,
               struct err *e)
{
    auto_json json_t *value = NULL, *job = NULL;
    struct submission submission = {0};
    const char *user = NULL;
    const struct template_values example = {"config.yaml", "/tmp", "somebody"};
    if (yaml_parse(yaml, len, &value, e) < 0)
        return -1;
    json_object_set(t->by_name, name, value);
    if (template_fill(t, name, &example, &job, e) < 0 ||
        job_in_read(job, &submission, &user, e) < 0)
        return -1;
    free(submission.spec);
    return user ? err_set(e, ERR_INVALID, "field 'user' has no place in a template") : 0;
}

static int add_file(struct template_set *t, const char *folder, const char *file, struct err *e)
{
    auto_free char *path = mem_printf("%s/%s", folder, file);
    auto_free char *name = mem_strndup(file, strlen(file) - strlen(".yaml"));
    auto_free char *yaml = NULL;
    size_t len;
    if (file_read(path, TEMPLATE_BYTES_MOST, &yaml, &len, e) < 0)
        return -1;
    return add(t, name, yaml, len, e) < 0 ? err_wrap(e, "template '%s'", path) : 0;
}

static int add_folder(struct template_set *t, const char *folder, struct err *e)
{
    DIR *d = opendir(folder);
    if (!d)
        return err_sys(e, errno, "could not open the folder of templates '%s'", folder);
    int rc = 0;
    for (struct dirent *entry; rc == 0 && (entry = readdir(d));)
        if (entry->d_name[0] != '.' && text_ends_with(entry->d_name, ".yaml"))
            rc = add_file(t, folder, entry->d_name, e);
    closedir(d);
    return rc;
}

int template_set_load(const char *folder, const char *examples, struct template_set **ret,
                      struct err *e)
{
    struct template_set *t = mem_new(struct template_set);
    t->by_name = json_object();
    t->examples = mem_strdup(examples);
    if (add(t, TEMPLATE_SOURCE, built_in, strlen(built_in), e) < 0 ||
        (folder && add_folder(t, folder, e) < 0)) {
        template_set_free(t);
        return -1;
    }
    *ret = t;
    return 0;
}
