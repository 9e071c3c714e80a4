#include "agent/results.h"

#include "base/file.h"
#include "base/mem.h"
#include "node/result.h"
#include "test.h"

#include <sys/stat.h>

static void check(const char *text, const char *files, const char *metadata)
{
    struct attempt_results r;
    attempt_results_parse(text, strlen(text), "/r/1", &r);
    CHECK_TEXT(r.files, files);
    CHECK_TEXT(r.metadata, metadata);
    attempt_results_done(&r);
}

TEST("a listing is taken with the path beside it, and the job's own object")
{
    check("{\"files\":[{\"name\":\"a.bin\",\"size\":3}],\"more\":2}\n{ \"accuracy\": 0.93 }\n",
          "{\"path\":\"/r/1\",\"files\":[{\"name\":\"a.bin\",\"size\":3}],\"more\":2}",
          "{\"accuracy\":0.93}");
    check("{\"files\":[],\"more\":0}\n", "{\"path\":\"/r/1\",\"files\":[],\"more\":0}", NULL);
}

TEST("a listing that is odd is none")
{
    static const char *const odd[] = {
        "",
        "\n",
        "{}",
        "{}\n{}",
        "{\"files\":[],\"more\":0}",
        "{\"files\":[],\"more\":-1}\n",
        "{\"files\":[1],\"more\":0}\n",
        "{\"files\":[{\"name\":\"\",\"size\":1}],\"more\":0}\n",
        "{\"files\":[{\"name\":\"a\",\"size\":-1}],\"more\":0}\n",
        "{\"files\":[{\"name\":\"a\",\"size\":1,\"x\":1}],\"more\":0}\n",
        "{\"files\":{},\"more\":0}\n",
        "{\"files\":[],\"more\":0,\"path\":\"/etc\"}\n",
    };
    for (size_t i = 0; i < COUNT_OF(odd); i++)
        check(odd[i], NULL, NULL);
}

TEST("what a job left is taken only as an object that is not too deep, too long or broken")
{
#define NONE "{\"files\":[],\"more\":0}\n"
    static const char none[] = "{\"path\":\"/r/1\",\"files\":[],\"more\":0}";
    static const char *const odd[] = {
        "[]",    "1",   "{", "{\"a\":1,\"a\":2}", "{\"a\":\"\xff\"}", "{\"a\":\"\\u0000\"}",
        "{} {}", "null"};
    for (size_t i = 0; i < COUNT_OF(odd); i++) {
        auto_free char *text = mem_printf(NONE "%s", odd[i]);
        check(text, none, NULL);
    }
    check(NONE "{\"a\":[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]}", none,
          "{\"a\":[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]}");
    check(NONE "{\"a\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}", none, NULL);
    auto_free char *filler = mem_alloc(1, 17001);
    memset(filler, 'x', 17000);
    auto_free char *text = mem_printf(NONE "{\"a\":\"%s\"}", filler);
    check(text, none, NULL);
}

static void put(const char *folder, const char *name, const char *text)
{
    auto_free char *path = mem_printf("%s/%s", folder, name);
    CHECK_OK(file_replace(path, text, strlen(text), 0600, &test_err));
}

TEST("a result folder is described by its regular files, and no link is followed")
{
    char folder[] = "/tmp/reeve-results-XXXXXX";
    CHECK(mkdtemp(folder) != NULL);
    auto_text struct text t = {0};
    put(folder, "b.csv", "12345");
    put(folder, "a.bin", "");
    put(folder, ".hidden", "x");
    put(folder, "target", "{\"secret\":1}");
    auto_free char *link = mem_printf("%s/result.json", folder);
    auto_free char *fifo = mem_printf("%s/fifo", folder);
    auto_free char *sub = mem_printf("%s/sub", folder);
    CHECK(symlink("target", link) == 0 && mkfifo(fifo, 0600) == 0 && mkdir(sub, 0700) == 0);
    result_describe(folder, &t);
    CHECK_TEXT(text_get(&t), "{\"files\":[{\"name\":\"a.bin\",\"size\":0},{\"name\":\"b.csv\","
                             "\"size\":5},{\"name\":\"target\",\"size\":12}],\"more\":0}\n");
    CHECK(unlink(link) == 0);
    put(folder, "result.json", "{\"loss\": 1}");
    for (int i = 0; i < 120; i++) {
        char name[300];
        snprintf(name, sizeof name, "%03d-%0240d", i, 0);
        put(folder, name, "");
    }
    text_clear(&t);
    result_describe(folder, &t);
    CHECK(t.len < RESULT_DESCRIPTION_MOST);
    struct attempt_results r;
    attempt_results_parse(text_get(&t), t.len, folder, &r);
    CHECK(r.files && strstr(r.files, "\"more\":24}"));
    CHECK_TEXT(r.metadata, "{\"loss\":1}");
    attempt_results_done(&r);
    text_clear(&t);
    result_describe("/nowhere", &t);
    CHECK_INT(t.len, 0);
    CHECK_OK(file_remove_tree(folder, &test_err));
}
