#include "net/http_coding.h"

#include "test.h"

TEST("without a header only what is not packed is wanted")
{
    CHECK_INT(http_coding_weight(NULL, "gzip"), 0);
    CHECK_INT(http_coding_weight("", "br"), 0);
    CHECK_INT(http_coding_weight(NULL, "identity"), 1);
}

TEST("what browsers send is understood, in any case and with blanks")
{
    const char *accept = "gzip, deflate, br;q=0.9 ,\t ZSTD ; q=0.25";
    CHECK_INT(http_coding_weight(accept, "gzip"), 1000);
    CHECK_INT(http_coding_weight(accept, "br"), 900);
    CHECK_INT(http_coding_weight(accept, "zstd"), 250);
    CHECK_INT(http_coding_weight(accept, "identity"), 1);
    CHECK_INT(http_coding_weight("GZip", "gzip"), 1000);
    CHECK_INT(http_coding_weight("gzipx", "gzip"), 0);
    CHECK_INT(http_coding_weight("x-gzip", "gzip"), 0);
}

TEST("a star speaks for all that is not named; a weight of zero is a no")
{
    CHECK_INT(http_coding_weight("*", "br"), 1000);
    CHECK_INT(http_coding_weight("*;q=0.5, gzip;q=0", "gzip"), 0);
    CHECK_INT(http_coding_weight("gzip;q=0, *;q=0.5", "br"), 500);
    CHECK_INT(http_coding_weight("identity;q=0", "identity"), 0);
    CHECK_INT(http_coding_weight("*;q=0", "identity"), 0);
}

TEST("what is malformed counts as not sent")
{
    const char *const odd[] = {
        "gzip;",     "gzip;q",    "gzip;q=",     "gzip;q=2",     "gzip;q=1.5",    "gzip;q=.5",
        "gzip;q=-1", "gzip;q=0x", "gzip;q=0,5x", "gzip;q=1.001", "gzip;q=0.1234", "gzip;a=1",
        ";",         ",,,",       " ",           ";q=1",         "gzip;q=1;q=0"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        CHECK_INT(http_coding_weight(odd[i], "gzip"), 0);
    CHECK_INT(http_coding_weight("gzip;q=x, gzip", "gzip"), 1000);
}
