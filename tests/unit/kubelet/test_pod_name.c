#include "kubelet/pod_name.h"

#include "base/file.h"
#include "base/mem.h"

#include "test.h"

#define UID "0fa9b2f4-6a1c-4d0e-9b57-3f1d2c4b5a69"

TEST("the folder of a pod's logs tells its name")
{
    struct pod_name n;
    CHECK(pod_name_of_folder("team-a_trainer-0_" UID, UID, &n));
    CHECK_TEXT(n.namespace, "team-a");
    CHECK_TEXT(n.name, "trainer-0");
    CHECK(!pod_name_of_folder("team-a_trainer-0_" UID, "0fa9b2f4-6a1c-4d0e-9b57-000000000000", &n));
    CHECK(!pod_name_of_folder("_trainer_" UID, UID, &n));
    CHECK(!pod_name_of_folder("team-a__" UID, UID, &n));
    CHECK(!pod_name_of_folder("team-a_" UID, UID, &n));
    CHECK(!pod_name_of_folder(UID, UID, &n));
    CHECK(!pod_name_of_folder("team\xff_x_" UID, UID, &n));
}

TEST("a name longer than any pod's is none")
{
    struct pod_name n;
    auto_text struct text t = {0};
    text_add(&t, "ns_");
    for (int i = 0; i < 254; i++)
        text_add_char(&t, 'x');
    text_add(&t, "_" UID);
    CHECK(!pod_name_of_folder(text_get(&t), UID, &n));
}

TEST("it is looked for among the others")
{
    char top[] = "/tmp/reeve-pods-XXXXXX";
    struct pod_name n;
    CHECK(mkdtemp(top));
    auto_free char *one = mem_printf("%s/ns_one_11111111-1111-1111-1111-111111111111", top);
    auto_free char *two = mem_printf("%s/ns_two_" UID, top);
    CHECK_OK(file_make_folder(one, 0700, &test_err));
    CHECK_OK(file_make_folder(two, 0700, &test_err));
    CHECK(pod_name_find(top, UID, &n));
    CHECK_TEXT(n.name, "two");
    CHECK(!pod_name_find(top, "22222222-2222-2222-2222-222222222222", &n));
    CHECK_OK(file_remove_tree(top, &test_err));
    CHECK(!pod_name_find(top, UID, &n));
}

TEST("pods of ours, and those that a Job or a Workflow of ours makes, name their attempt")
{
    int64_t job, n;
    CHECK(pod_name_attempt("reeve-main-12-3", "main", &job, &n));
    CHECK_INT(job, 12);
    CHECK_INT(n, 3);
    CHECK(pod_name_attempt("reeve-main-12-3-x7k2p", "main", &job, &n));
    CHECK_INT(n, 3);
    CHECK(pod_name_attempt("reeve-lab-2-7-1", "lab-2", &job, &n));
    CHECK_INT(job, 7);

    static const char *const others[] = {"reeve-main-12",   "reeve-main-12-",
                                         "reeve-main-12-0", "reeve-main-12-3x",
                                         "reeve-main--3",   "reeve-maine-1-2",
                                         "reeve-other-1-2", "xreeve-main-12-3",
                                         "trainer",         "reeve-main-99999999999999999999-1"};
    for (size_t i = 0; i < COUNT_OF(others); i++)
        ck_assert_msg(!pod_name_attempt(others[i], "main", &job, &n), "%s", others[i]);
    CHECK(!pod_name_attempt("reeve--1-2", "", &job, &n));
}
