#include "api/template.h"

#include "api/job_in.h"
#include "base/file.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>

enum { TEMPLATE_BYTES_MOST = 65536 };

struct template_set {
    json_t *by_name; /* jobs */
    json_t *notes;   /* by name: description and parameters */
    char *examples;
    bool source_is_a_file;
};

static const char built_in[] =
    "description: train the example, a graph network that tells actions from skeletons\n"
    "parameters:\n"
    "  config_file:\n"
    "    description: settings of the training, a YAML file on the node\n"
    "    example: '{examples}/proto-gcn/configs/ntu60_joint.yaml'\n"
    "  work_dir:\n"
    "    description: folder on the node where the training runs\n"
    "    example: /tmp\n"
    "command: ['{examples}/proto-gcn/proto-gcn', --config, '{config_file}', --work-dir, "
    "'{work_dir}']\n"
    "name: proto-gcn\n";

/* What users fill in; the user's name and the place of the examples come by themselves. */
static const char *const parameters[] = {"config_file", "work_dir"};

void template_set_free(struct template_set *t)
{
    if (!t)
        return;
    json_decref(t->by_name);
    json_decref(t->notes);
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

struct note_in {
    const char *description, *example;
};

#define AT(member) offsetof(struct note_in, member)
static const struct json_field note_fields[] = {
    {"description", JSON_FIELD_TEXT, AT(description), .least = 1, .most = 1024},
    {"example", JSON_FIELD_TEXT, AT(example), .least = 1, .most = 1024},
};
#undef AT

static bool is_parameter(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(parameters); i++)
        if (strcmp(parameters[i], name) == 0)
            return true;
    return false;
}

/* Moves what is for people out of JOB. */
static int take_notes(struct template_set *t, const char *name, json_t *job, struct err *e)
{
    json_t *notes = json_object();
    json_object_set_new(t->notes, name, notes);
    for (size_t i = 0; i < 2; i++) {
        const char *key = i ? "parameters" : "description";
        json_t *value = json_object_get(job, key);
        if (value && (i ? !json_is_object(value) : !json_is_string(value)))
            return err_set(e, ERR_INVALID, "field '%s' must be %s", key, i ? "a map" : "text");
        if (value)
            json_object_set(notes, key, value);
        json_object_del(job, key);
    }
    const char *parameter;
    json_t *note;
    json_object_foreach(json_object_get(notes, "parameters"), parameter, note)
    {
        struct note_in in = {0};
        if (!is_parameter(parameter))
            return err_set(e, ERR_INVALID, "parameter '%.64s' is not known", parameter);
        if (json_read_fields(note, note_fields, COUNT_OF(note_fields), true, &in, e) < 0)
            return err_wrap(e, "parameter '%s'", parameter);
    }
    return 0;
}

static int add(struct template_set *t, const char *name, const char *yaml, size_t len,
               struct err *e)
{
    auto_json json_t *value = NULL, *job = NULL;
    struct submission submission = {0};
    const char *user = NULL;
    const struct template_values example = {"config.yaml", "/tmp", "somebody"};
    if (yaml_parse(yaml, len, &value, e) < 0 || take_notes(t, name, value, e) < 0)
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
    if (strcmp(name, TEMPLATE_SOURCE) == 0)
        t->source_is_a_file = true;
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
    t->notes = json_object();
    t->examples = mem_strdup(examples);
    if (add(t, TEMPLATE_SOURCE, built_in, strlen(built_in), e) < 0 ||
        (folder && add_folder(t, folder, e) < 0)) {
        template_set_free(t);
        return -1;
    }
    *ret = t;
    return 0;
}

int template_set_use_argo(struct template_set *t, const char *name, struct err *e)
{
    auto_free char *yaml = mem_printf("description: train by Argo's template %s\n"
                                      "parameters:\n"
                                      "  config_file: {description: its parameter config-file}\n"
                                      "  work_dir: {description: its parameter work-dir}\n"
                                      "template: {name: '%s'}\n"
                                      "name: %s\n",
                                      name, name, TEMPLATE_SOURCE);
    if (t->source_is_a_file)
        return 0;
    return add(t, TEMPLATE_SOURCE, yaml, strlen(yaml), e);
}

/* ---- shown ---- */

static void write_note(struct json_out *o, const struct template_set *t, const json_t *note,
                       const char *key)
{
    static const struct template_values braces = {"{config_file}", "{work_dir}", "{user}"};
    const char *text = json_string_value(json_object_get(note, key));
    auto_text struct text filled_in = {0};
    if (text)
        fill_text(text, t, &braces, &filled_in);
    jo_text(o, key, text ? text_get(&filled_in) : NULL);
}

static void hide_secrets(json_t *job)
{
    const char *name;
    json_t *value;
    json_t *env = json_object_get(job, "env");
    json_object_foreach(env, name, value)
    {
        if (job_env_is_secret(name))
            json_string_set(value, "***");
    }
}

static void write_raw(struct json_out *o, const char *key, const json_t *value)
{
    auto_free char *text = json_write(value);
    jo_raw(o, key, text, strlen(text));
}

void template_write_all(const struct template_set *t, struct json_out *o)
{
    static const struct template_values braces = {"{config_file}", "{work_dir}", "{user}"};
    const char *name;
    json_t *notes;
    json_object_foreach(t->notes, name, notes)
    {
        auto_json json_t *job = NULL;
        if (template_fill(t, name, &braces, &job, NULL) < 0)
            continue;
        hide_secrets(job);
        const json_t *gpus = json_object_get(job, "gpus");
        jo_object(o, NULL);
        jo_text(o, "name", name);
        write_note(o, t, notes, "description");
        jo_list(o, "parameters");
        for (size_t i = 0; i < COUNT_OF(parameters); i++) {
            const json_t *note =
                json_object_get(json_object_get(notes, "parameters"), parameters[i]);
            jo_object(o, NULL);
            jo_text(o, "name", parameters[i]);
            jo_bool(o, "required", true);
            write_note(o, t, note, "description");
            write_note(o, t, note, "example");
            jo_end(o);
        }
        jo_end(o);
        write_raw(o, "command", json_object_get(job, "command"));
        jo_int(o, "gpus", gpus ? json_integer_value(gpus) : 1);
        write_raw(o, "job", job);
        jo_end(o);
    }
}
