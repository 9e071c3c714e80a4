/*
 * Server-Sent Events, both ways: writing one event, and reading a stream of bytes that comes in
 * pieces of any size.
 */
#ifndef NET_SSE_H
#define NET_SSE_H

#include "base/err.h"
#include "base/text.h"

/* Adds one event. ID and EVENT may be NULL and must hold no line break; DATA may hold some, each
 * line becomes one data line. */
void sse_write(struct text *out, const char *id, const char *event, const char *data, size_t len);
/* A comment line, which keeps a quiet stream alive. */
void sse_write_comment(struct text *out, const char *comment);

struct sse_event {
    const char *id;    /* of the newest event that had one; "" before that */
    const char *event; /* "message" when the stream names none */
    const char *data;  /* LEN bytes and a NUL */
    size_t len;
};

struct sse_parser;

/* An event of more than MOST bytes is an error. Never NULL. */
struct sse_parser *sse_parser_new(size_t most);
void sse_parser_free(struct sse_parser *p);

/* Calls ON_EVENT for each event that is complete; what it gets is good until it returns. When it
 * returns false, reading stops and the rest of the bytes is forgotten; that is no error.
 * ERR_TOO_LARGE: an event is larger than the limit. */
int sse_parse(struct sse_parser *p, const char *bytes, size_t len,
              bool (*on_event)(void *arg, const struct sse_event *event), void *arg, struct err *e);

/* The id to ask for on reconnect (Last-Event-ID); "" when there was none. Good until the next call.
 */
const char *sse_last_id(const struct sse_parser *p);
/* What the stream's retry field said last, in ms; -1: nothing. */
int64_t sse_retry_ms(const struct sse_parser *p);

DEFINE_AUTO(struct sse_parser, sse_parser_free)
#define auto_sse_parser AUTO(sse_parser_freep)

#endif
