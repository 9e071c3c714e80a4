#include "base/file.h"
#include "base/mem.h"
#include "test.h"

#include <sys/stat.h>

TEST("a replaced file holds the new bytes and the asked mode, and a tree can be removed")
{
    char folder[] = "/tmp/test_fileXXXXXX";
    CHECK(mkdtemp(folder) != NULL);
    auto_free char *deep = mem_printf("%s/a/b/c", folder);
    auto_free char *path = mem_printf("%s/token", deep);
    CHECK_OK(file_make_folder(deep, 0700, &test_err));
    CHECK_OK(file_replace(path, "one", 3, 0600, &test_err));
    CHECK_OK(file_replace(path, "second", 6, 0600, &test_err));

    auto_free char *text = NULL;
    CHECK_OK(file_read(path, 100, &text, NULL, &test_err));
    CHECK_TEXT(text, "second");
    struct stat st;
    CHECK_INT(stat(path, &st), 0);
    CHECK_INT(st.st_mode & 0777, 0600);
    CHECK_FAILS(file_read(path, 5, &text, NULL, &test_err), ERR_TOO_LARGE, "more than 5");

    CHECK_OK(file_remove_tree(folder, &test_err));
    CHECK(access(folder, F_OK) < 0);
    CHECK_OK(file_remove_tree(folder, &test_err));
}

TEST("files of the kernel, which have no size, are read whole")
{
    auto_free char *text = NULL;
    size_t len;
    CHECK_OK(file_read("/proc/self/status", 65536, &text, &len, &test_err));
    CHECK(len > 100);
}
