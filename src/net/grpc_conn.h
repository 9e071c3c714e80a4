/*
 * One HTTP/2 connection over a socket, driven by the loop: what the two ends of gRPC share. For
 * grpc_server.c and grpc_client.c only.
 *
 * nghttp2 must not be called from its own call-backs and must not be freed in them. So these only
 * note what has come; everything else happens in ON_TURN, when nghttp2 has returned. What ON_TURN
 * and others submit is sent with the next turn, which grpc_conn_wake() asks for.
 */
#ifndef NET_GRPC_CONN_H
#define NET_GRPC_CONN_H

#include "base/text.h"

#include <nghttp2/nghttp2.h>
#include <uv.h>

struct grpc_conn {
    uv_poll_t poll;
    int fd; /* -1: closed; it is freed with the loop's next turn */
    nghttp2_session *session;
    struct text out; /* what the socket did not take */
    size_t out_at;

    void (*on_turn)(struct grpc_conn *c); /* look at what was noted; may close C */
    void (*on_end)(struct grpc_conn *c);  /* the other side is gone, or breaks the rules: close C */
    void (*on_free)(struct grpc_conn *c); /* after the close: frees what C stands in */
};

/* FD is C's on success and not to block. C is zero but for its call-backs. CALLBACKS get C as user
 * data. STREAMS: how many the other side may have open at once. */
int grpc_conn_open(struct grpc_conn *c, uv_loop_t *loop, int fd, bool is_server, uint32_t streams,
                   const nghttp2_session_callbacks *callbacks, struct err *e);

/* Something was submitted: it is sent with the loop's next turn. */
void grpc_conn_wake(struct grpc_conn *c);

/* No call-back but ON_FREE comes afterwards. Closing twice is fine. */
void grpc_conn_close(struct grpc_conn *c);

/* What a stream has to say, from one text: for nghttp2's data sources. Moves *AT. */
ssize_t grpc_source(const struct text *from, size_t *at, uint8_t *buf, size_t room);

#define GRPC_PAIR(n, v)                                                                            \
    {                                                                                              \
        (uint8_t *)(uintptr_t)(n), (uint8_t *)(uintptr_t)(v), strlen(n), strlen(v),                \
            NGHTTP2_NV_FLAG_NONE                                                                   \
    }

#endif
