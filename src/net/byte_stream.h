/*
 * A connection that we make and that carries bytes: TCP or a unix socket, plain or in TLS. For
 * protocols that are not HTTP. Belongs to its loop's thread; call-backs run there, and never from
 * within a call.
 */
#ifndef NET_BYTE_STREAM_H
#define NET_BYTE_STREAM_H

#include "base/err.h"

#include <stdint.h>
#include <uv.h>

struct byte_stream;

/* All of it is copied or used up by byte_stream_open(). */
struct byte_stream_target {
    const char *host; /* name or address, without brackets */
    uint16_t port;
    const char *unix_path; /* not NULL: this socket instead */
    bool tls;              /* the other side must have a certificate for HOST */
    const char *ca;        /* PEM file of those who may have signed it; NULL: the system's */
    const char *certificate, *key; /* PEM files: what we show; both or none */
};

struct byte_stream_events {
    void (*on_open)(void *arg); /* with TLS: the handshake is done, too */
    /* What came, borrowed. */
    void (*on_bytes)(void *arg, const char *p, size_t len);
    /* It did not open or is over, with the reason; the last call-back. byte_stream_close() is still
     * owed. */
    void (*on_end)(void *arg, const struct err *why);
    void *arg;
};

/* Begins to connect, to each address of the host in turn. Fails at once only for certificates that
 * cannot be read. There is no time limit: the caller has one, or closes. */
int byte_stream_open(uv_loop_t *loop, const struct byte_stream_target *target,
                     const struct byte_stream_events *events, struct byte_stream **ret,
                     struct err *e);

/* Copies. Only between ON_OPEN and ON_END; afterwards it is dropped. */
void byte_stream_write(struct byte_stream *s, const void *p, size_t len);
/* Bytes that the kernel has not taken yet. */
size_t byte_stream_unsent(const struct byte_stream *s);

/* No call-back comes any more, what was not sent is lost. NULL is fine. */
void byte_stream_close(struct byte_stream *s);

#endif
