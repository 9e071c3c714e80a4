/* A server with a few routes on a thread of its own, and a client that speaks bytes. */
#ifndef UNIT_NET_DOOR_H
#define UNIT_NET_DOOR_H

#include "base/text.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/loop.h"
#include "test.h"

#include <stdatomic.h>

#define HELD_MOST 2048

/*
 *   /hello           "hello"
 *   /echo            the body
 *   /later           "later", two turns of the loop later
 *   /hold            nothing, until door_release()
 *   /watch           the same, watched
 *   /peer            "unix UID" | "loopback" | "tls loopback" ...
 *   /query           name=value; of each parameter
 *   /fail            a 503 problem
 *   /stream          a stream of "first\n"; door_say() writes into all of them
 *   /flood?bytes=N   a stream of N bytes, as fast as it is taken, then the end
 *   anything else    404 with the path as detail
 */
struct door {
    struct http_server_config config; /* filled in by the test, may stay zero */
    struct http_listen listen;        /* the same; 127.0.0.1:0 when zero */
    int64_t stop_ms;                  /* deadline of the stop */

    struct loop_thread *thread;
    struct http_server *server;
    uint16_t port;
    char url[64];

    /* The door's own. */
    struct http_request *held[HELD_MOST];
    struct http_stream *streams[HELD_MOST];
    size_t held_count, stream_count;
    bool stopping;
    atomic_bool stopped;

    atomic_int calls; /* of on_request */
    atomic_int gone, closed, drained, refused, problems;
    atomic_int held_now, streams_now;
};

void door_open(struct door *d);
/* Begins to stop the server; door_close() does it too. Once stopped, what is held is answered. */
void door_stop(struct door *d);
/* Stops the server and waits for its thread. */
void door_close(struct door *d);

/* Runs FN on the door's thread and waits. */
void door_do(struct door *d, void (*fn)(struct door *d, void *arg), void *arg);
void door_release(struct door *d); /* answers what is held: "released" */
void door_say(struct door *d, const char *text);
struct http_server_counts door_counts(struct door *d);

/* Waits up to 5 s until *COUNT is WANTED. */
#define WAIT_FOR(count, wanted) CHECK_INT(wait_for(&(count), wanted), wanted)
int wait_for(atomic_int *count, int wanted);

/* ---- a client of bytes; -1 and 5 s time-outs ---- */

int raw_connect(const struct door *d);
void raw_send(int fd, const char *text);
/* Everything until the other side closes, or up to and with UNTIL when that is given. */
char *raw_read(int fd, const char *until);
/* Connects, sends, reads until the end: the whole answer. The caller frees it. */
char *raw_ask(const struct door *d, const char *text);
int raw_status(const char *answer); /* 0: none */

#define auto_door AUTO(door_close)

#endif
