#include "base/file.h"
#include "base/mem.h"
#include "kube_words.h"

static struct kube_settings s;

static int parse(const char *yaml)
{
    kube_settings_done(&s);
    kube_settings_init(&s);
    return kube_settings_parse(&s, yaml, strlen(yaml), &test_err);
}

TEST("settings are read, and later ones replace earlier ones")
{
    CHECK_OK(parse("namespace: jobs\nimage: localhost/a:1\nmounts:\n- {name: data, host_path: /d, "
                   "read_only: true}\n- {name: home, claim: homes, path: /home}\n"));
    CHECK_TEXT(s.ns, "jobs");
    CHECK_INT(s.grace_s, 30);
    CHECK_TEXT(kube_settings_mount(&s, "data")->path, "/mnt/data");
    CHECK_INT(kube_settings_mount(&s, "home")->kind, KUBE_MOUNT_CLAIM);
    CHECK(!kube_settings_mount(&s, "other"));
    CHECK_OK(kube_settings_parse(&s, "{image: b}", 10, &test_err));
    CHECK_TEXT(s.image, "b");
    CHECK_TEXT(s.ns, "jobs");
    kube_settings_done(&s);
}

static void put(const char *folder, const char *name, const char *text)
{
    auto_free char *path = mem_printf("%s/%s", folder, name);
    CHECK_OK(file_replace(path, text, strlen(text), 0600, &test_err));
}

TEST("a folder's files are read in the order of their names, and mounts add up")
{
    char folder[] = "/tmp/test-settings-XXXXXX";
    kube_settings_init(&s);
    CHECK(mkdtemp(folder));
    put(folder, "20-b.yaml",
        "{image: second, mounts: [{name: a, claim: new}, {name: c, claim: c}]}");
    put(folder, "10-a.yaml", "{image: first, runner: kube-job, mounts: [{name: a, claim: old}]}");
    put(folder, "30-notes.txt", "no: [settings");
    put(folder, ".hidden.yaml", "no: [settings");
    CHECK_OK(kube_settings_read(&s, folder, &test_err));
    CHECK_TEXT(s.image, "second");
    CHECK_TEXT(s.runner, "kube-job");
    CHECK_INT(s.mount_count, 2);
    CHECK_TEXT(kube_settings_mount(&s, "a")->source, "new");
    put(folder, "40-bad.yaml", "image: 7");
    CHECK_FAILS(kube_settings_read(&s, folder, &test_err), ERR_INVALID, "40-bad.yaml");
    kube_settings_done(&s);
    file_remove_tree(folder, NULL);
}

TEST("what makes no sense is refused by name")
{
    CHECK_FAILS(parse("imge: a\n"), ERR_INVALID, "imge");
    CHECK_FAILS(parse("pull_policy: Sometimes\n"), ERR_INVALID, "pull_policy");
    CHECK_FAILS(parse("namespace: Jobs\n"), ERR_INVALID, "namespace");
    CHECK_FAILS(parse("results: data\n"), ERR_INVALID, "'data', which is not there");
    CHECK_FAILS(parse("mounts: [{name: a}]\n"), ERR_INVALID, "one of");
    CHECK_FAILS(parse("mounts: [{name: a, claim: b, host_path: /c}]\n"), ERR_INVALID, "one of");
    CHECK_FAILS(parse("mounts: [{name: a, nfs_server: b}]\n"), ERR_INVALID, "one of");
    CHECK_FAILS(parse("mounts: [{name: a, host_path: c}]\n"), ERR_INVALID, "absolute");
    CHECK_FAILS(parse("mounts: [{name: A_b, host_path: /c}]\n"), ERR_INVALID, "called");
    CHECK_FAILS(parse("mounts: [{name: a, host_path: /c}, {name: a, claim: d}]\n"), ERR_INVALID,
                "two mounts");
    CHECK_FAILS(parse("pull_secrets: [1]\n"), ERR_INVALID, "pull_secrets");
    CHECK_FAILS(parse("pod: {containers: []}\n"), ERR_INVALID, "container");
    kube_settings_done(&s);
}

TEST("the way a job runs is its own word, else its template's, else the settings'")
{
    struct kube_work w;
    kube_settings_init(&s);
    CHECK_OK(kube_work_read("{\"command\":[\"a\"],\"image\":\"\"}", &w, &test_err));
    CHECK(!w.image);
    CHECK(kube_runner_of(&w, &s, &test_err) == &kube_runner_pod);
    kube_work_done(&w);
    CHECK_OK(kube_work_read("{\"runner\":\"ship\"}", &w, &test_err));
    CHECK(!kube_runner_of(&w, &s, &test_err));
    CHECK(strstr(test_err.text, "'ship'"));
    kube_work_done(&w);
    CHECK_FAILS(kube_work_read("[]", &w, &test_err), ERR_INVALID, "spec");
    kube_settings_done(&s);
}
