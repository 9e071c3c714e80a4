#include "net/http_uri.h"

#include "test.h"

#include <stdio.h>

static void check_path(const char *raw, const char *wanted)
{
    char path[256];
    const char *why = NULL;
    snprintf(path, sizeof path, "%s", raw);
    ck_assert_msg(http_path_decode(path, &why), "'%s' %s", raw, why ? why : "");
    CHECK_TEXT(path, wanted);
}

static void check_bad_path(const char *raw, const char *words)
{
    char path[256];
    const char *why = "nothing";
    snprintf(path, sizeof path, "%s", raw);
    ck_assert_msg(!http_path_decode(path, &why), "'%s' became '%s'", raw, path);
    ck_assert_msg(strstr(why, words), "'%s' %s", raw, why);
}

TEST("good paths are decoded")
{
    check_path("/", "/");
    check_path("/api/v1/jobs", "/api/v1/jobs");
    check_path("/api/v1/jobs/", "/api/v1/jobs/");
    check_path("/a%20b", "/a b");
    check_path("/%ED%95%9C", "/\xED\x95\x9C");
    check_path("/jobs:batch", "/jobs:batch");
    check_path("/...", "/...");
    check_path("/a+b", "/a+b");
    check_path("/100%25", "/100%");
}

TEST("path tricks are refused")
{
    check_bad_path("", "begin");
    check_bad_path("*", "begin");
    check_bad_path("api", "begin");
    check_bad_path("/a/../b", "'..'");
    check_bad_path("/..", "'..'");
    check_bad_path("/%2e%2e/b", "'..'");
    check_bad_path("/a/%2E./b", "'..'");
    check_bad_path("/./b", "'.'");
    check_bad_path("//b", "empty");
    check_bad_path("/a//b", "empty");
    check_bad_path("/a//", "empty");
    check_bad_path("/a%2fb", "slash");
    check_bad_path("/a%2Fb", "slash");
    check_bad_path("/a%00b", "zero");
    check_bad_path("/a%", "hexadecimal");
    check_bad_path("/a%4", "hexadecimal");
    check_bad_path("/a%zz", "hexadecimal");
    check_bad_path("/a%0ab", "control");
    check_bad_path("/a\tb", "control");
    check_bad_path("/%7f", "control");
    check_bad_path("/%ff", "UTF-8");
    check_bad_path("/%c0%af", "UTF-8");
    check_bad_path("/%ed%a0%80", "UTF-8");
}

TEST("decoding happens once")
{
    check_path("/%252e%252e", "/%2e%2e");
    check_path("/%2500", "/%00");
}

TEST("a query is cut and decoded")
{
    char query[] = "limit=10&name=a+b%26c&flag&&empty=&x=1&x=2&eq=a=b";
    struct http_param params[HTTP_PARAMS_MOST];
    size_t count;
    const char *why;
    CHECK(http_query_decode(query, params, &count, &why));
    static const char *const wanted[][2] = {{"limit", "10"}, {"name", "a b&c"}, {"flag", ""},
                                            {"empty", ""},   {"x", "1"},        {"x", "2"},
                                            {"eq", "a=b"}};
    CHECK_INT(count, 7);
    for (size_t i = 0; i < count; i++) {
        CHECK_TEXT(params[i].name, wanted[i][0]);
        CHECK_TEXT(params[i].value, wanted[i][1]);
    }
}

TEST("bad queries are refused")
{
    static const char *const bad[] = {"a=%", "a=%0", "%00=1", "a=%ff", "a=%c0%80"};
    struct http_param params[HTTP_PARAMS_MOST];
    size_t count;
    const char *why;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char query[64];
        snprintf(query, sizeof query, "%s", bad[i]);
        ck_assert_msg(!http_query_decode(query, params, &count, &why), "%s", bad[i]);
    }
    char many[1024] = "";
    for (int i = 0; i < HTTP_PARAMS_MOST + 1; i++)
        strcat(many, "a=1&");
    CHECK(!http_query_decode(many, params, &count, &why));
}

static void check_target(const char *raw, const char *wanted)
{
    char target[128];
    snprintf(target, sizeof target, "%s", raw);
    CHECK_TEXT(http_target_path(target), wanted);
}

TEST("a target with scheme and host is cut to its path")
{
    check_target("/a?b", "/a?b");
    check_target("http://host:80/a?b", "/a?b");
    check_target("HTTPS://host/a", "/a");
    check_target("http://host", "/");
    check_target("http://host?x=1", "/?x=1");
    check_target("http://", "/");
    check_target("ftp://host/a", "ftp://host/a");
}

TEST("hosts that no name server can bend are local")
{
    CHECK(http_host_is_local("localhost"));
    CHECK(http_host_is_local("LOCALHOST:8081"));
    CHECK(http_host_is_local("localhost."));
    CHECK(http_host_is_local("reeve.localhost:8081"));
    CHECK(http_host_is_local("127.0.0.1:8081"));
    CHECK(http_host_is_local("10.1.2.3"));
    CHECK(http_host_is_local("[::1]:8081"));
    CHECK(http_host_is_local("[fe80::1]"));
    CHECK(!http_host_is_local(""));
    CHECK(!http_host_is_local(":80"));
    CHECK(!http_host_is_local("[::1"));
    CHECK(!http_host_is_local("[::1]evil.example"));
    CHECK(!http_host_is_local("127.0.0.1:80@evil.example"));
    CHECK(!http_host_is_local("[]"));
    CHECK(!http_host_is_local("[evil.example.org]"));
    CHECK(!http_host_is_local("evil.example.org"));
    CHECK(!http_host_is_local("localhost.evil.example.org"));
    CHECK(!http_host_is_local("127.0.0.1.evil.example.org"));
    CHECK(!http_host_is_local("notlocalhost"));
    CHECK(http_host_is("Gpu.Example.org:443", "gpu.example.ORG"));
    CHECK(!http_host_is("gpu.example.org.evil", "gpu.example.org"));
    CHECK(!http_host_is("gpu.example.orgx", "gpu.example.org"));
}
