#include "api/template.h"
#include "base/file.h"
#include "base/mem.h"
#include "test.h"

static char *folder_with(const char *name, const char *yaml)
{
    char *folder = mem_strdup("/tmp/reeve-template-XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
    auto_free char *path = mem_printf("%s/%s", folder, name);
    CHECK_OK(file_replace(path, yaml, strlen(yaml), 0600, &test_err));
    return folder;
}

static void drop(char *folder)
{
    CHECK_OK(file_remove_tree(folder, &test_err));
    free(folder);
}

static const struct template_values values = {"c.yaml", "/w", "bob"};

TEST("the template of our own runs the example with config and work dir")
{
    struct template_set *t;
    auto_json json_t *job = NULL;
    CHECK_OK(template_set_load(NULL, "/ex", &t, &test_err));
    CHECK_OK(template_fill(t, TEMPLATE_SOURCE, &values, &job, &test_err));
    auto_free char *text = json_write(json_object_get(job, "command"));
    CHECK_TEXT(text, "[\"/ex/proto-gcn/proto-gcn\",\"--config\",\"c.yaml\",\"--work-dir\",\"/w\"]");
    CHECK_TEXT(json_string_value(json_object_get(job, "work_dir")), "/w");
    CHECK_FAILS(template_fill(t, "other", &values, &job, &test_err), ERR_NOT_FOUND, "other");
    template_set_free(t);
}

TEST("a file replaces it; other braces stay, and what is filled in is one argument")
{
    struct template_set *t;
    auto_json json_t *job = NULL;
    char *folder = folder_with("proto-gcn.yaml", "command: [run, '{user}', 'x={config_file}']\n"
                                                 "progress: '{done}/{total}'\ngpus: 2\n");
    const struct template_values odd = {"a b'$(x){user}", "/w", "bob"};
    CHECK_OK(template_set_load(folder, "/ex", &t, &test_err));
    CHECK_OK(template_fill(t, TEMPLATE_SOURCE, &odd, &job, &test_err));
    auto_free char *text = json_write(json_object_get(job, "command"));
    CHECK_TEXT(text, "[\"run\",\"bob\",\"x=a b'$(x){user}\"]");
    CHECK_TEXT(json_string_value(json_object_get(job, "progress")), "{done}/{total}");
    CHECK_INT(json_integer_value(json_object_get(job, "gpus")), 2);
    template_set_free(t);
    drop(folder);
}

TEST("where a cluster has one of Argo's for it, that is what runs, unless a file says otherwise")
{
    struct template_set *t;
    auto_json json_t *job = NULL, *other = NULL;
    char *folder = folder_with("proto-gcn.yaml", "command: [run]\n");
    CHECK_OK(template_set_load(NULL, "/ex", &t, &test_err));
    CHECK_OK(template_set_use_argo(t, "proto-gcn-2", &test_err));
    CHECK_OK(template_fill(t, TEMPLATE_SOURCE, &values, &job, &test_err));
    CHECK_TEXT(json_string_value(json_object_get(json_object_get(job, "template"), "name")),
               "proto-gcn-2");
    CHECK_TEXT(json_string_value(json_object_get(job, "config_file")), "c.yaml");
    CHECK(!json_object_get(job, "command"));
    template_set_free(t);
    CHECK_OK(template_set_load(folder, "/ex", &t, &test_err));
    CHECK_OK(template_set_use_argo(t, "proto-gcn-2", &test_err));
    CHECK_OK(template_fill(t, TEMPLATE_SOURCE, &values, &other, &test_err));
    CHECK(json_object_get(other, "command"));
    template_set_free(t);
    drop(folder);
}

TEST("templates are shown with what is to be filled in, without their secrets")
{
    struct template_set *t;
    auto_text struct text out = {0};
    struct json_out o = {.text = &out};
    char *folder = folder_with(
        "big.yaml", "description: the large one\nparameters:\n  config_file: {description: a file, "
                    "example: '{examples}/a.yaml'}\ncommand: [run, '{config_file}']\ngpus: 4\n"
                    "env: {API_KEY: hush, LR: '1'}\n");
    CHECK_OK(template_set_load(folder, "/ex", &t, &test_err));
    jo_list(&o, NULL);
    template_write_all(t, &o);
    jo_end(&o);
    auto_json json_t *list = NULL;
    CHECK_OK(json_parse(text_get(&out), out.len, &list, &test_err));
    CHECK_INT(json_array_size(list), 2);
    const json_t *ours = json_array_get(list, 0), *big = json_array_get(list, 1);
    CHECK_TEXT(json_string_value(json_object_get(ours, "name")), "proto-gcn");
    CHECK(strstr(text_get(&out), "/ex/proto-gcn/configs/ntu60_joint.yaml"));
    CHECK_INT(json_integer_value(json_object_get(ours, "gpus")), 1);
    CHECK_TEXT(json_string_value(json_object_get(big, "description")), "the large one");
    CHECK_INT(json_integer_value(json_object_get(big, "gpus")), 4);
    CHECK(strstr(text_get(&out), "[\"run\",\"{config_file}\"]"));
    CHECK(strstr(text_get(&out), "\"/ex/a.yaml\""));
    CHECK(!strstr(text_get(&out), "hush"));
    template_set_free(t);
    drop(folder);
}

TEST("what a template says of itself is checked, too")
{
    static const struct {
        const char *yaml, *words;
    } bad[] = {
        {"command: [x]\ndescription: [y]\n", "description"},
        {"command: [x]\nparameters: y\n", "parameters"},
        {"command: [x]\nparameters: {user: {}}\n", "parameter 'user'"},
        {"command: [x]\nparameters: {work_dir: {hint: y}}\n", "hint"},
        {"command: [x]\nparameters: {work_dir: y}\n", "work_dir"},
        {"- x\n", "bad.yaml"},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct template_set *t;
        char *folder = folder_with("bad.yaml", bad[i].yaml);
        CHECK_FAILS(template_set_load(folder, "/ex", &t, &test_err), ERR_INVALID, bad[i].words);
        drop(folder);
    }
}

TEST("a template with a mistake is refused at the start, with its file")
{
    struct template_set *t;
    char *folder = folder_with("bad.yaml", "command: [x]\npriority: 3\n");
    CHECK_FAILS(template_set_load(folder, "/ex", &t, &test_err), ERR_INVALID, "bad.yaml");
    drop(folder);
    CHECK_FAILS(template_set_load("/nowhere/at/all", "/ex", &t, &test_err), ERR_NOT_FOUND,
                "/nowhere");
}
