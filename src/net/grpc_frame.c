#include "net/grpc_frame.h"

#include <string.h>

enum { PLAIN, COMPRESSED };

void grpc_frames_done(struct grpc_frames *f)
{
    text_done(&f->message);
}

static int read_head(struct grpc_frames *f, struct err *e)
{
    if (f->head[0] == COMPRESSED)
        return err_set(e, ERR_METHOD, "compressed messages are not understood");
    if (f->head[0] != PLAIN)
        return err_set(e, ERR_INVALID, "a message begins with %d instead of 0", f->head[0]);
    f->want = (size_t)f->head[1] << 24 | (size_t)f->head[2] << 16 | (size_t)f->head[3] << 8 |
              (size_t)f->head[4];
    if (f->want > f->most)
        return err_set(e, ERR_TOO_LARGE, "a message of %zu bytes is more than %zu", f->want,
                       f->most);
    return 0;
}

static size_t take(size_t room, const uint8_t *at, const uint8_t *end)
{
    size_t there = (size_t)(end - at);
    return there < room ? there : room;
}

int grpc_frames_feed(struct grpc_frames *f, const void *bytes, size_t len,
                     grpc_on_message *on_message, void *arg, struct err *e)
{
    if (!len)
        return 0;
    const uint8_t *at = bytes, *end = at + len;
    while (at < end) {
        if (f->head_len < sizeof f->head) {
            size_t n = take(sizeof f->head - f->head_len, at, end);
            memcpy(f->head + f->head_len, at, n);
            f->head_len += n;
            at += n;
            if (f->head_len < sizeof f->head)
                return 0;
            if (read_head(f, e) < 0)
                return -1;
        }
        size_t n = take(f->want - f->message.len, at, end);
        text_add_bytes(&f->message, at, n);
        at += n;
        if (f->message.len < f->want)
            return 0;
        int rc = on_message(arg, (const uint8_t *)text_get(&f->message), f->want, e);
        text_clear(&f->message);
        f->head_len = 0;
        if (rc < 0)
            return -1;
    }
    return 0;
}

bool grpc_frames_may_end(const struct grpc_frames *f)
{
    return f->head_len == 0;
}

void grpc_frame_add(struct text *out, const void *message, size_t len)
{
    const uint8_t head[] = {PLAIN, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
                            (uint8_t)len};
    text_add_bytes(out, head, sizeof head);
    text_add_bytes(out, message, len);
}
