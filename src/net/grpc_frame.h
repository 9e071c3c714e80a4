/*
 * The messages in the body of a gRPC call: a byte that says whether it is compressed, its length in
 * four bytes, the message. Pure.
 */
#ifndef NET_GRPC_FRAME_H
#define NET_GRPC_FRAME_H

#include "base/err.h"
#include "base/text.h"

/* Reads messages of at most MOST bytes. Set MOST; all else zero is a fresh one. */
struct grpc_frames {
    size_t most;
    uint8_t head[5];
    size_t head_len; /* 5: the message is being read */
    size_t want;     /* its length */
    struct text message;
};
void grpc_frames_done(struct grpc_frames *f);

/*
 * Takes in bytes as they come. ON_MESSAGE gets every message that is whole, good until it returns;
 * when it returns -1 so does this. Memory grows with what has come, not with what was announced.
 * ERR_TOO_LARGE: a message announces more than MOST. ERR_METHOD: it is compressed, which nobody
 * asked for. ERR_INVALID: no message begins like that.
 */
typedef int grpc_on_message(void *arg, const uint8_t *message, size_t len, struct err *e);
int grpc_frames_feed(struct grpc_frames *f, const void *bytes, size_t len,
                     grpc_on_message *on_message, void *arg, struct err *e);

/* Where a body may end: no message is half read. */
bool grpc_frames_may_end(const struct grpc_frames *f);

/* Adds a message with its head. */
void grpc_frame_add(struct text *out, const void *message, size_t len);

#endif
