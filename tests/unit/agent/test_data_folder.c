#include "agent/data_folder.h"
#include "base/file.h"
#include "base/mem.h"
#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char *a_folder(void)
{
    char path[] = "/tmp/reeve-test-XXXXXX";
    CHECK(mkdtemp(path));
    return mem_printf("%s/data", path);
}

static void end(struct data_folder *d, char *path)
{
    data_folder_close(d);
    *strrchr(path, '/') = '\0';
    file_remove_tree(path, NULL);
    free(path);
}

#define ONE "11111111111111111111111111111111"
#define TWO "22222222222222222222222222222222"

TEST("a folder keeps who it is, its key and the newest epoch")
{
    struct data_folder d;
    char *path = a_folder();
    CHECK_OK(data_folder_open(path, NULL, &d, &test_err));
    CHECK_INT(strlen(d.id), 32);
    CHECK(!d.key);
    CHECK_INT(d.epoch, 0);
    auto_free char *id = mem_strdup(d.id);
    CHECK_OK(data_folder_set_key(&d, "rv_key", &test_err));
    CHECK_OK(data_folder_set_epoch(&d, 7, &test_err));
    data_folder_close(&d);

    CHECK_OK(data_folder_open(path, NULL, &d, &test_err));
    CHECK_TEXT(d.id, id);
    CHECK_TEXT(d.key, "rv_key");
    CHECK_INT(d.epoch, 7);
    auto_free char *key = mem_printf("%s/node.key", path);
    struct stat st;
    CHECK_INT(stat(key, &st), 0);
    CHECK_INT(st.st_mode & 0777, 0600);
    end(&d, path);
}

TEST("a damaged identity is an error, not a new one")
{
    struct data_folder d;
    char *path = a_folder();
    CHECK_OK(data_folder_open(path, NULL, &d, &test_err));
    data_folder_close(&d);
    auto_free char *id = mem_printf("%s/id", path);
    CHECK_OK(file_replace(id, "xyz", 3, 0600, &test_err));
    CHECK_FAILS(data_folder_open(path, NULL, &d, &test_err), ERR_INVALID, "damaged");
    d = (struct data_folder){.lock = -1};
    end(&d, path);
}

TEST("tombstones survive, also a line that was cut off")
{
    struct data_folder d;
    char *path = a_folder();
    CHECK_OK(data_folder_open(path, NULL, &d, &test_err));
    CHECK_INT(tombstone_find(d.tombstones, ONE), TOMBSTONE_NONE);
    CHECK_OK(tombstone_add(d.tombstones, ONE, TOMBSTONE_CANCELLED, &test_err));
    CHECK_OK(tombstone_add(d.tombstones, TWO, TOMBSTONE_FORGOTTEN, &test_err));
    CHECK_FAILS(tombstone_add(d.tombstones, "short", TOMBSTONE_FORGOTTEN, &test_err), ERR_INVALID,
                "short");
    data_folder_close(&d);
    auto_free char *file = mem_printf("%s/tombstones", path);
    int fd = open(file, O_WRONLY | O_APPEND);
    CHECK(write(fd, "333333", 6) == 6);
    close(fd);

    for (int i = 0; i < 2; i++) {
        CHECK_OK(data_folder_open(path, NULL, &d, &test_err));
        CHECK_INT(tombstone_find(d.tombstones, ONE), TOMBSTONE_CANCELLED);
        CHECK_INT(tombstone_find(d.tombstones, TWO), TOMBSTONE_FORGOTTEN);
        data_folder_close(&d);
    }
    struct stat st;
    CHECK_INT(stat(file, &st), 0);
    CHECK_INT(st.st_size, 70);
    end(&d, path);
}

TEST("an account that is not shared works for one user")
{
    struct data_folder d;
    char *path = a_folder();
    CHECK_OK(data_folder_open(path, NULL, &d, &test_err));
    CHECK_OK(data_folder_claim(&d, "alice", &test_err));
    CHECK_OK(data_folder_claim(&d, "alice", &test_err));
    CHECK_FAILS(data_folder_claim(&d, "bob", &test_err), ERR_DENIED, "alice");
    end(&d, path);
}

static bool is_link_to(const char *path, const char *target)
{
    char now[256];
    ssize_t len = readlink(path, now, sizeof now);
    return len == (ssize_t)strlen(target) && memcmp(now, target, (size_t)len) == 0;
}

TEST("where others cannot get to, jobs have their folders elsewhere, and links lead there")
{
    struct data_folder d;
    char *path = a_folder(), *above = mem_strdup(path);
    auto_free char *spare = mem_printf("%s/spare", path);
    *strrchr(above, '/') = '\0';
    CHECK_INT(chmod(above, 0700), 0);

    CHECK_OK(data_folder_open(path, spare, &d, &test_err));
    auto_free char *usual = mem_printf("%s/attempts", path);
    auto_free char *there = mem_printf("%s/%.8s/attempts", spare, d.id);
    CHECK_TEXT(d.attempts, there);
    CHECK(is_link_to(usual, there));
    data_folder_close(&d);

    /* Running attempts are found again, whatever has become of the folders above. */
    CHECK_INT(chmod(above, 0755), 0);
    CHECK_OK(data_folder_open(path, NULL, &d, &test_err));
    CHECK_TEXT(d.attempts, there);
    free(above);
    end(&d, path);
}

TEST("a folder that is in use is not moved")
{
    struct data_folder d;
    char *path = a_folder();
    CHECK_OK(data_folder_open(path, NULL, &d, &test_err));
    auto_free char *usual = mem_printf("%s/attempts", path);
    auto_free char *one = mem_printf("%s/7-1", usual);
    CHECK_TEXT(d.attempts, usual);
    CHECK_OK(file_make_folder(one, 0711, &test_err));
    data_folder_close(&d);

    CHECK_OK(data_folder_open(path, "/nowhere", &d, &test_err));
    CHECK_TEXT(d.attempts, usual);
    end(&d, path);
}
