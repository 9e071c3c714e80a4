/* Addresses to listen on and to connect to, as people write them. */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include "base/err.h"

#include <stdint.h>
#include <sys/socket.h>

struct net_addr {
    char host[256]; /* as written, without brackets: "localhost", "::1", "10.0.0.7" */
    uint16_t port;  /* 0: any free one */
};

/* "127.0.0.1:8081", "[::1]:8081", "localhost:0", ":8081" (every address), "8081" (loopback). */
int net_addr_parse(const char *text, struct net_addr *ret, struct err *e);

/* True for localhost, 127.0.0.0/8 and ::1, and for nothing that needs a look-up. */
bool net_host_is_loopback(const char *host);
/* True for an IPv4 or IPv6 address in figures, without brackets. */
bool net_host_is_ip(const char *host);

bool net_sockaddr_is_loopback(const struct sockaddr *sa);
/* True for an address of the open Internet: not loopback, private, link-local, shared, multicast,
 * reserved or a mapping of such a one. */
bool net_sockaddr_is_public(const struct sockaddr *sa);

#define NET_ADDR_TEXT 64
/* "10.0.0.7:51234", "[::1]:51234", "unix". Returns BUF. */
char *net_sockaddr_format(const struct sockaddr *sa, char buf[NET_ADDR_TEXT]);

#endif
