/*
 * Our side of a TLS connection as a filter of bytes: what came from the other side goes in, what is
 * for it comes out, and whoever uses it does the reading and writing.
 */
#ifndef NET_TLS_CLIENT_H
#define NET_TLS_CLIENT_H

#include "base/text.h"

struct tls_client;

/* Files are PEM. CA NULL: the system's. CERTIFICATE and KEY: both or none. HOST is what the other
 * side's certificate must be for: a name or an address. */
int tls_client_new(const char *host, const char *ca, const char *certificate, const char *key,
                   struct tls_client **ret, struct err *e);
void tls_client_free(struct tls_client *t);

/* Bytes from the wire. Look at tls_client_out() afterwards, and after each call below. */
void tls_client_feed(struct tls_client *t, const char *p, size_t len);
/* 1: done, 0: more must come first. -1: refused, E says why. */
int tls_client_handshake(struct tls_client *t, struct err *e);
/* What the other side said, at most ROOM bytes. 0: more must come first. -1: over, E says why. */
long tls_client_read(struct tls_client *t, char *p, size_t room, struct err *e);
int tls_client_write(struct tls_client *t, const void *p, size_t len, struct err *e);
/* What is to be sent; the caller clears it. */
struct text *tls_client_out(struct tls_client *t);

#endif
