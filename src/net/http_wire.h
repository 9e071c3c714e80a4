/*
 * An HTTP/1.1 answer as bytes that arrive piece by piece. Pure; what comes from the other side is
 * hostile. Chunks, lengths and answers that end with their connection are understood; interim
 * answers are passed over by whoever gets the lines.
 */
#ifndef NET_HTTP_WIRE_H
#define NET_HTTP_WIRE_H

#include "base/err.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

/* Both: -1 and E end the answer. */
struct http_wire_events {
    int (*on_line)(void *arg, const char *line, size_t len, struct err *e); /* without line end */
    int (*on_body)(void *arg, const char *bytes, size_t len, struct err *e);
};

struct http_wire {
    enum {
        WIRE_STATUS, /* the first line of an answer, interim ones included */
        WIRE_HEADERS,
        WIRE_LENGTH, /* LEFT bytes of body */
        WIRE_CHUNK_SIZE,
        WIRE_CHUNK,     /* LEFT bytes of a chunk */
        WIRE_CHUNK_END, /* the line end behind it */
        WIRE_TRAILERS,
        WIRE_TO_CLOSE, /* the body ends with the connection */
        WIRE_DONE
    } state;
    bool is_head;   /* answers HEAD: no body whatever the headers say */
    bool is_kept;   /* the connection may carry another call */
    bool has_begun; /* a byte has come */
    int status;
    bool has_length, is_chunked;
    int64_t left;
    struct text line; /* the beginning of a line whose end has not come */
};

void http_wire_init(struct http_wire *w, bool is_head);
void http_wire_done(struct http_wire *w);

/* Takes LEN bytes; what stands behind the end of the answer makes the connection useless. */
int http_wire_take(struct http_wire *w, const char *bytes, size_t len,
                   const struct http_wire_events *on, void *arg, struct err *e);
/* The other side has closed. -1: the answer is not whole. */
int http_wire_end(struct http_wire *w, struct err *e);

#endif
