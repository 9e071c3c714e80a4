#include "node/account.h"

#include "base/file.h"
#include "base/mem.h"
#include "test.h"

#include <stdlib.h>
#include <unistd.h>

struct place {
    char folder[40];
    char *map, *passwd;
};

static void place_done(struct place *p)
{
    file_remove_tree(p->folder, NULL);
    free(p->map);
    free(p->passwd);
}
#define auto_place AUTO(place_done)

static struct place a_place(void)
{
    static const char passwd[] = "root:x:0:0::/root:/bin/sh\n"
                                 "toor:x:0:0::/root:/bin/sh\n"
                                 "postgres:x:112:112::/var/lib/postgres:/bin/sh\n"
                                 "alice:x:1000:1000::/home/alice:/bin/sh\n"
                                 "wheel:x:1001:0::/home/wheel:/bin/sh\n"
                                 "taken:x:1900000001:1900000001::/:/bin/sh\n"
                                 "nobody:x:65534:65534::/:/bin/sh\n";
    struct place p = {.folder = "/tmp/test_accountXXXXXX"};
    CHECK(mkdtemp(p.folder) != NULL);
    p.map = mem_printf("%s/accounts", p.folder);
    p.passwd = mem_printf("%s/passwd", p.folder);
    CHECK_OK(file_replace(p.passwd, passwd, strlen(passwd), 0644, &test_err));
    return p;
}

static struct account_map *a_map(struct place *p, unsigned count, bool allow_root)
{
    struct account_options o = {.map_file = p->map,
                                .passwd_file = p->passwd,
                                .first_uid = 1900000000,
                                .uid_count = count,
                                .allow_root_jobs = allow_root};
    struct account_map *m;
    CHECK_OK(account_map_open(&o, &m, &test_err));
    return m;
}

static uid_t uid_of(struct account_map *m, const char *user)
{
    auto_account struct account a = {0};
    CHECK_OK(account_find(m, user, &a, &test_err));
    CHECK_TEXT(a.name, user);
    return a.uid;
}

TEST("a user with an account of the same name runs as that account")
{
    auto_place struct place p = a_place();
    auto_account_map struct account_map *m = a_map(&p, 10, false);
    auto_account struct account a = {0};
    CHECK_OK(account_find(m, "alice", &a, &test_err));
    CHECK_INT(a.uid, 1000);
    CHECK_INT(a.gid, 1000);
    CHECK_TEXT(a.home, "/home/alice");
    CHECK(access(p.map, F_OK) < 0);
}

TEST("what was found lately is found again without asking, for ten seconds")
{
    auto_place struct place p = a_place();
    auto_account_map struct account_map *m = a_map(&p, 10, false);
    const char moved[] = "alice:x:1007:1007::/home/alice:/bin/sh\n";
    const int64_t times[] = {5000, 14999, 15000}, uids[] = {1000, 1000, 1007};
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        auto_account struct account a = {0}, b = {0};
        CHECK_OK(account_find_recent(m, "alice", times[i], &a, &test_err));
        CHECK_INT(a.uid, uids[i]);
        CHECK_TEXT(a.home, "/home/alice");
        CHECK_OK(file_replace(p.passwd, moved, strlen(moved), 0644, &test_err));
        CHECK_FAILS(account_find_recent(m, "root", times[i], &b, &test_err), ERR_DENIED, "as root");
    }
    auto_account struct account last = {0};
    for (int i = 0; i < 40; i++) {
        char user[16];
        snprintf(user, sizeof user, "user%d", i % 8);
        account_done(&last);
        CHECK_OK(account_find_recent(m, user, 16000 + i, &last, &test_err));
        CHECK_TEXT(last.name, user);
    }
}

TEST("a user without one gets a uid for ever, never one in use, also after a restart")
{
    auto_place struct place p = a_place();
    struct account_map *m = a_map(&p, 10, false);
    CHECK_INT(uid_of(m, "bob"), 1900000000);
    CHECK_INT(uid_of(m, "carol"), 1900000002); /* 1900000001 is somebody's */
    CHECK_INT(uid_of(m, "bob"), 1900000000);
    account_map_close(m);

    m = a_map(&p, 10, false);
    CHECK_INT(uid_of(m, "carol"), 1900000002);
    CHECK_INT(uid_of(m, "dave"), 1900000003);
    account_map_close(m);
}

TEST("nobody becomes root, by whatever name, unless that is allowed")
{
    auto_place struct place p = a_place();
    auto_account_map struct account_map *m = a_map(&p, 10, false);
    struct account a;
    CHECK_FAILS(account_find(m, "root", &a, &test_err), ERR_DENIED, "as root");
    CHECK_FAILS(account_find(m, "toor", &a, &test_err), ERR_DENIED, "as root");
    auto_account_map struct account_map *allowed = a_map(&p, 10, true);
    CHECK_INT(uid_of(allowed, "root"), 0);
}

TEST("nobody becomes an account of the system, or one of root's group")
{
    auto_place struct place p = a_place();
    auto_account_map struct account_map *m = a_map(&p, 10, false);
    CHECK_INT(uid_of(m, "postgres"), 1900000000);
    CHECK_INT(uid_of(m, "nobody"), 1900000002);
    CHECK_INT(uid_of(m, "wheel"), 1900000003);
}

TEST("a full range, an odd name and a damaged file are errors with a reason")
{
    auto_place struct place p = a_place();
    auto_account_map struct account_map *m = a_map(&p, 2, false);
    struct account a;
    uid_of(m, "bob");
    CHECK_FAILS(account_find(m, "carol", &a, &test_err), ERR_EXHAUSTED, "all 2 uids");
    CHECK_FAILS(account_find(m, "../x", &a, &test_err), ERR_INVALID, "is not a user's name");

    static const char *const damaged[] = {"1900000000\n",     "x bob\n",        "0 bob\n",
                                          "1 bob\n1 carol\n", "1 bob\n2 bob\n", "1 ../x\n"};
    for (size_t i = 0; i < COUNT_OF(damaged); i++) {
        struct account_options o = {.map_file = p.map, .passwd_file = p.passwd, .first_uid = 1};
        struct account_map *broken;
        CHECK_OK(file_replace(p.map, damaged[i], strlen(damaged[i]), 0600, &test_err));
        CHECK_FAILS(account_map_open(&o, &broken, &test_err), ERR_INTERNAL, p.map);
    }
}

TEST("a range is usable when one line of the user namespace's map covers it")
{
    CHECK(account_range_is_mapped("         0          0 4294967295\n", 1900000000, 65536));
    CHECK(!account_range_is_mapped("0 1000 1\n1 100000 65536\n", 1900000000, 65536));
    CHECK(account_range_is_mapped("0 1000 1\n1 100000 65536\n", 50000, 10000));
    CHECK(!account_range_is_mapped("0 1000 1\n1 100000 65536\n", 60000, 10000));
    CHECK(!account_range_is_mapped("", 1, 1));
}

TEST("this machine's own name service can be asked")
{
    auto_place struct place p = a_place();
    struct account_options o = {.map_file = p.map};
    auto_account_map struct account_map *m = NULL;
    CHECK_OK(account_map_open(&o, &m, &test_err));
    auto_account struct account a = {0}, copy = {0};
    CHECK_OK(account_find(m, "reeve-no-such-user", &a, &test_err));
    CHECK(a.uid >= 50000);
    account_copy(&copy, &a);
    CHECK_INT(copy.group_count, a.group_count);
    CHECK_TEXT(copy.name, "reeve-no-such-user");
    CHECK_TEXT(account_isolation(), geteuid() == 0 ? "user" : "none");
}
