#include "gpu/xid.h"
#include "test.h"

TEST("every error code is found, and one that nobody knows counts as critical")
{
    int known = 0;
    for (int64_t code = 0; code < 1000; code++)
        if (xid_find(code)) {
            CHECK(xid_find(code)->code == code);
            CHECK(xid_meaning(code)[0]);
            known++;
        }
    CHECK_INT(known, 109);
    CHECK_INT(xid_severity(79), XID_CRITICAL);
    CHECK_TEXT(xid_advice(79), "reboot the node");
    CHECK_INT(xid_severity(31), XID_ERROR);
    CHECK_INT(xid_severity(63), XID_WARNING);
    CHECK_INT(xid_severity(999), XID_CRITICAL);
    CHECK(!xid_find(999));
}
