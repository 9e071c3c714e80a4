#include "net/addr.h"
#include "test.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static void check_parse(const char *text, const char *host, int port)
{
    struct net_addr addr;
    CHECK_OK(net_addr_parse(text, &addr, &test_err));
    CHECK_TEXT(addr.host, host);
    CHECK_INT(addr.port, port);
}

TEST("addresses are read as people write them")
{
    check_parse("127.0.0.1:8081", "127.0.0.1", 8081);
    check_parse("[::1]:8081", "::1", 8081);
    check_parse("localhost:0", "localhost", 0);
    check_parse(":8081", "", 8081);
    check_parse("8081", "127.0.0.1", 8081);
    check_parse("gpu-1.example.org:443", "gpu-1.example.org", 443);
}

TEST("an address that is none says why")
{
    struct net_addr a;
    CHECK_FAILS(net_addr_parse("", &a, &test_err), ERR_INVALID, "port");
    CHECK_FAILS(net_addr_parse("localhost", &a, &test_err), ERR_INVALID, "port");
    CHECK_FAILS(net_addr_parse("host:65536", &a, &test_err), ERR_INVALID, "port");
    CHECK_FAILS(net_addr_parse("host:-1", &a, &test_err), ERR_INVALID, "port");
    CHECK_FAILS(net_addr_parse("::1:80", &a, &test_err), ERR_INVALID, "brackets");
    CHECK_FAILS(net_addr_parse("[::1", &a, &test_err), ERR_INVALID, "[ADDR]:PORT");
    CHECK_FAILS(net_addr_parse("http://x:80", &a, &test_err), ERR_INVALID, "brackets");
    CHECK_FAILS(net_addr_parse("a b:80", &a, &test_err), ERR_INVALID, "ADDR:PORT");
}

TEST("loopback is told from the rest of the world")
{
    CHECK(net_host_is_loopback("localhost"));
    CHECK(net_host_is_loopback("127.0.0.1"));
    CHECK(net_host_is_loopback("127.9.9.9"));
    CHECK(net_host_is_loopback("::1"));
    CHECK(net_host_is_loopback("::ffff:127.0.0.1"));
    CHECK(!net_host_is_loopback(""));
    CHECK(!net_host_is_loopback("0.0.0.0"));
    CHECK(!net_host_is_loopback("::"));
    CHECK(!net_host_is_loopback("128.0.0.1"));
    CHECK(!net_host_is_loopback("localhost.example.org"));
}

static bool is_public(const char *ip)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, ip, &in.sin_addr) == 1)
        return net_sockaddr_is_public((struct sockaddr *)&in);
    CHECK(inet_pton(AF_INET6, ip, &in6.sin6_addr) == 1);
    return net_sockaddr_is_public((struct sockaddr *)&in6);
}

TEST("only addresses of the open Internet count as public")
{
    static const char *const open[] = {"8.8.8.8",         "172.15.255.255", "172.32.0.1",
                                       "100.63.255.255",  "100.128.0.1",    "192.167.1.1",
                                       "223.255.255.255", "2a00:1450::1",   "::ffff:8.8.8.8"};
    static const char *const closed[] = {"0.0.0.0",
                                         "10.1.2.3",
                                         "100.64.0.1",
                                         "127.0.0.1",
                                         "169.254.169.254",
                                         "172.16.0.1",
                                         "172.31.255.255",
                                         "192.168.0.1",
                                         "198.18.0.1",
                                         "224.0.0.1",
                                         "240.0.0.1",
                                         "255.255.255.255",
                                         "::",
                                         "::1",
                                         "fe80::1",
                                         "fc00::1",
                                         "fd12::1",
                                         "ff02::1",
                                         "::ffff:10.0.0.1",
                                         "64:ff9b::10.0.0.1",
                                         "2002:a00::1",
                                         "2001::1",
                                         "2001:db8::1"};
    for (size_t i = 0; i < sizeof open / sizeof *open; i++)
        ck_assert_msg(is_public(open[i]), "%s", open[i]);
    for (size_t i = 0; i < sizeof closed / sizeof *closed; i++)
        ck_assert_msg(!is_public(closed[i]), "%s", closed[i]);
}
