#include "api/page.h"

#include "base/file.h"
#include "base/mem.h"
#include "test.h"

#include <sys/stat.h>

static char *new_folder(void)
{
    char *folder = mem_strdup("/tmp/reeve-page-XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
    auto_free char *assets = mem_printf("%s/assets", folder);
    CHECK_OK(file_make_folder(assets, 0700, &test_err));
    return folder;
}

static void put(const char *folder, const char *name, const char *text)
{
    auto_free char *path = mem_printf("%s/%s", folder, name);
    CHECK_OK(file_replace(path, text, strlen(text), 0600, &test_err));
}

static void drop(char *folder)
{
    CHECK_OK(file_remove_tree(folder, &test_err));
    free(folder);
}

static void check_form(const struct page_form *form, const char *coding, const char *text)
{
    size_t len;
    const char *bytes = http_bytes_get(form->bytes, &len);
    CHECK_TEXT(form->coding, coding);
    CHECK_INT(len, strlen(text));
    CHECK(memcmp(bytes, text, len) == 0);
}

TEST("files are found by their names, in the form that is taken")
{
    char *folder = new_folder();
    struct page *p;
    put(folder, "index.html", "<!doctype html>");
    put(folder, "assets/app-ABCD2345.js", "plain");
    put(folder, "assets/app-ABCD2345.js.gz", "packed");
    put(folder, "assets/app-ABCD2345.js.br", "pressed");
    put(folder, "assets/icon.svg", "<svg/>");
    CHECK_OK(page_load(folder, &p, &test_err));

    const struct page_file *f = page_find(p, "app-ABCD2345.js");
    CHECK(f && f->is_forever);
    CHECK_TEXT(f->type, "text/javascript; charset=utf-8");
    check_form(page_form(f, NULL), NULL, "plain");
    check_form(page_form(f, "gzip, deflate"), "gzip", "packed");
    check_form(page_form(f, "gzip, deflate, br"), "br", "pressed");
    check_form(page_form(f, "gzip, br;q=0.5"), "gzip", "packed");
    check_form(page_form(f, "identity"), NULL, "plain");
    check_form(page_form(f, "identity;q=0"), NULL, "plain");
    CHECK(strcmp(f->forms[0].tag, f->forms[1].tag) != 0);

    const struct page_file *index = page_find(p, "");
    CHECK(index && !index->is_forever);
    CHECK_TEXT(index->type, "text/html; charset=utf-8");
    check_form(page_form(index, "gzip, br"), NULL, "<!doctype html>");
    CHECK(!page_find(p, "icon.svg")->is_forever);
    page_free(p);
    drop(folder);
}

TEST("what is hidden, packed, no file or has no plain name is not served")
{
    char *folder = new_folder();
    struct page *p;
    put(folder, "index.html", "x");
    put(folder, "secret", "x");
    put(folder, "assets/.hidden", "x");
    put(folder, "assets/a b.js", "x");
    put(folder, "assets/lonely.js.gz", "x");
    auto_free char *fifo = mem_printf("%s/assets/fifo.js", folder);
    auto_free char *sub = mem_printf("%s/assets/folder", folder);
    CHECK(mkfifo(fifo, 0600) == 0);
    CHECK(mkdir(sub, 0700) == 0);
    CHECK_OK(page_load(folder, &p, &test_err));
    const char *const names[] = {"secret",  "../secret", ".hidden",      "a b.js",    "lonely.js",
                                 "fifo.js", "folder",    "lonely.js.gz", "index.html"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        CHECK(!page_find(p, names[i]));
    CHECK(!page_find(NULL, ""));
    page_free(p);
    drop(folder);
}

TEST("only a name with a bundler's hash is kept for ever")
{
    static const struct {
        const char *name;
        bool is_forever;
    } names[] = {{"app-ABCD2345.js", true},   {"a-b-QQQQ7777ZZ.css", true}, {"app.js", false},
                 {"app-ABCD234.js", false},   {"app-abcd2345.js", false},   {"app-ABCD2345", false},
                 {"dark-portrait.svg", false}};
    char *folder = new_folder();
    struct page *p;
    put(folder, "index.html", "x");
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        auto_free char *path = mem_printf("assets/%s", names[i].name);
        put(folder, path, "x");
    }
    CHECK_OK(page_load(folder, &p, &test_err));
    for (size_t i = 0; i < COUNT_OF(names); i++)
        CHECK_INT(page_find(p, names[i].name)->is_forever, names[i].is_forever);
    page_free(p);
    drop(folder);
}

TEST("a folder without index.html, or with too much in it, is refused")
{
    char *folder = new_folder();
    struct page *p;
    CHECK_FAILS(page_load("/nowhere", &p, &test_err), ERR_NOT_FOUND, "index.html");
    CHECK_FAILS(page_load(folder, &p, &test_err), ERR_NOT_FOUND, folder);
    put(folder, "index.html", "x");
    auto_free char *big = mem_printf("%s/assets/big.js", folder);
    put(folder, "assets/big.js", "x");
    CHECK(truncate(big, 17 << 20) == 0);
    CHECK_FAILS(page_load(folder, &p, &test_err), ERR_TOO_LARGE, "big.js");
    drop(folder);
}
