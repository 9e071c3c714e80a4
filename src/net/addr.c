#include "net/addr.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

int net_addr_parse(const char *text, struct net_addr *ret, struct err *e)
{
    struct net_addr addr = {0};
    const char *host = text, *port = strrchr(text, ':');
    size_t len;

    if (text[0] == '[') {
        const char *end = strchr(text, ']');
        if (!end || end[1] != ':')
            return err_set(e, ERR_INVALID, "address '%s' is not of the form [ADDR]:PORT", text);
        host = text + 1;
        len = (size_t)(end - host);
        port = end + 2;
    } else if (!port) {
        host = "127.0.0.1";
        len = strlen(host);
        port = text;
    } else {
        len = (size_t)(port - host);
        if (memchr(host, ':', len))
            return err_set(e, ERR_INVALID, "address '%s': put an IPv6 address into brackets", text);
        port++;
    }
    if (len >= sizeof addr.host)
        return err_set(e, ERR_INVALID, "address '%.60s...' is too long", text);
    memcpy(addr.host, host, len);
    for (const char *p = addr.host; *p; p++)
        if ((unsigned char)*p <= ' ' || strchr("/@?#", *p))
            return err_set(e, ERR_INVALID, "address '%s' is not of the form ADDR:PORT", text);

    int64_t number;
    if (text_to_int(port, 0, 65535, "port", &number, e) < 0)
        return err_wrap(e, "address '%s'", text);
    addr.port = (uint16_t)number;
    *ret = addr;
    return 0;
}

/* Zeroed but for the family when HOST is no address in figures. */
static bool parse_ip(const char *host, struct sockaddr_storage *ret)
{
    struct sockaddr_in *in = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;
    memset(ret, 0, sizeof *ret);
    if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
        ret->ss_family = AF_INET;
        return true;
    }
    if (inet_pton(AF_INET6, host, &in6->sin6_addr) == 1) {
        ret->ss_family = AF_INET6;
        return true;
    }
    return false;
}

bool net_host_is_ip(const char *host)
{
    struct sockaddr_storage ip;
    return parse_ip(host, &ip);
}

bool net_host_is_loopback(const char *host)
{
    struct sockaddr_storage ip;
    if (parse_ip(host, &ip))
        return net_sockaddr_is_loopback((struct sockaddr *)&ip);
    return strcasecmp(host, "localhost") == 0;
}

static uint32_t ipv4_bits(const void *p)
{
    uint32_t bits;
    memcpy(&bits, p, sizeof bits);
    return ntohl(bits);
}

bool net_sockaddr_is_loopback(const struct sockaddr *sa)
{
    if (sa->sa_family == AF_INET)
        return ipv4_bits(&((const struct sockaddr_in *)sa)->sin_addr) >> 24 == 127;
    if (sa->sa_family != AF_INET6)
        return false;
    const struct in6_addr *a = &((const struct sockaddr_in6 *)sa)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(a) ||
           (IN6_IS_ADDR_V4MAPPED(a) && ipv4_bits(&a->s6_addr[12]) >> 24 == 127);
}

struct range {
    const char *net;
    unsigned bits;
};

/* IANA's registers of special-purpose addresses. */
static const struct range special_v4[] = {
    {"0.0.0.0", 8},      {"10.0.0.0", 8},     {"100.64.0.0", 10}, {"127.0.0.0", 8},
    {"169.254.0.0", 16}, {"172.16.0.0", 12},  {"192.0.0.0", 24},  {"192.0.2.0", 24},
    {"192.88.99.0", 24}, {"192.168.0.0", 16}, {"198.18.0.0", 15}, {"198.51.100.0", 24},
    {"203.0.113.0", 24}, {"224.0.0.0", 3},
};
/* Within 2000::/3, which alone is given out. Teredo and 6to4 hide an IPv4 address. */
static const struct range special_v6[] = {
    {"2001::", 23},
    {"2001:db8::", 32},
    {"2002::", 16},
    {"3fff::", 20},
};

static bool in_range(int family, const void *addr, const struct range *r)
{
    unsigned char net[16];
    const unsigned char *p = addr;
    if (inet_pton(family, r->net, net) != 1)
        return false;
    unsigned whole = r->bits / 8, rest = r->bits % 8;
    if (memcmp(p, net, whole) != 0)
        return false;
    return rest == 0 || ((p[whole] ^ net[whole]) >> (8 - rest)) == 0;
}

static bool ipv4_is_public(const void *addr)
{
    for (size_t i = 0; i < sizeof special_v4 / sizeof *special_v4; i++)
        if (in_range(AF_INET, addr, &special_v4[i]))
            return false;
    return true;
}

bool net_sockaddr_is_public(const struct sockaddr *sa)
{
    if (sa->sa_family == AF_INET)
        return ipv4_is_public(&((const struct sockaddr_in *)sa)->sin_addr);
    if (sa->sa_family != AF_INET6)
        return false;

    const struct in6_addr *a = &((const struct sockaddr_in6 *)sa)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(a))
        return ipv4_is_public(&a->s6_addr[12]);
    if (a->s6_addr[0] >> 5 != 1)
        return false;
    for (size_t i = 0; i < sizeof special_v6 / sizeof *special_v6; i++)
        if (in_range(AF_INET6, a, &special_v6[i]))
            return false;
    return true;
}

char *net_sockaddr_format(const struct sockaddr *sa, char buf[NET_ADDR_TEXT])
{
    char ip[INET6_ADDRSTRLEN] = "?";
    if (sa->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)sa;
        inet_ntop(AF_INET, &in->sin_addr, ip, sizeof ip);
        snprintf(buf, NET_ADDR_TEXT, "%s:%d", ip, ntohs(in->sin_port));
    } else if (sa->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;
        inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof ip);
        snprintf(buf, NET_ADDR_TEXT, "[%s]:%d", ip, ntohs(in6->sin6_port));
    } else {
        snprintf(buf, NET_ADDR_TEXT, "unix");
    }
    return buf;
}
