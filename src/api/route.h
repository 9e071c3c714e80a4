/* Every route, once: what it is called, who may, what it takes, who serves it. */
#ifndef API_ROUTE_H
#define API_ROUTE_H

#include "base/err.h"
#include "core/access/access.h"
#include "net/http.h"

struct call;
struct store_reader;

enum route_flag {
    ROUTE_LIST = 1,       /* takes ?limit= and ?cursor= */
    ROUTE_POLLED = 2,     /* has an ETag: asked again and again */
    ROUTE_IDEMPOTENT = 4, /* takes Idempotency-Key */
    ROUTE_JSON = 8,       /* needs a JSON body */
    ROUTE_EARLY = 16,     /* answers before the store is loaded */
    ROUTE_SOURCE = 32,    /* may be open without a token on loopback */
    ROUTE_TIMED = 64,     /* counts as an answer about status (Q10) */
};

struct route {
    enum http_method method;
    const char *path; /* segments in braces match any one segment */
    enum permission permission;
    unsigned flags;
    const char *query; /* further parameters it takes, separated by spaces */
    /* One of the two: on the door's thread, owing an answer; or on a worker, filling C->answer. */
    void (*serve)(struct call *c);
    int (*read)(struct call *c, struct store_reader *r, struct err *e);
    size_t body_limit; /* 0: HTTP_BODY_LIMIT */
};

enum { ROUTE_PARAMS = 2, ROUTE_PARAM_SIZE = 129 };

extern const struct route routes[];
extern const size_t route_count;

/*
 * The route of this request, and what stood in place of its braces. ERR_NOT_FOUND: no such path;
 * ERR_METHOD: only other methods, which ALLOW then lists ("GET, POST"). HEAD finds GET.
 */
const struct route *route_find(enum http_method method, const char *path,
                               char params[ROUTE_PARAMS][ROUTE_PARAM_SIZE], char allow[64],
                               struct err *e);

#endif
