/*
 * One request under way. It lives from its arrival to its answer and belongs to the door's thread;
 * while a worker reads for it, the worker alone may touch it.
 */
#ifndef API_CALL_H
#define API_CALL_H

#include "api/api.h"
#include "api/route.h"
#include "base/json.h"
#include "base/json_out.h"
#include "net/http_server.h"
#include "record/phrase.h"

enum caller_kind {
    CALLER_NOBODY,
    CALLER_PRINCIPAL,
    CALLER_NODE,      /* a node's key: id is the node's */
    CALLER_ENROLMENT, /* a one-time token: hash is the token's */
    CALLER_POD,  /* what may be a pod's token, which nobody has looked at yet: hash is its own */
    CALLER_OPEN, /* the source's routes without a token, on loopback */
};

struct caller {
    enum caller_kind kind;
    int64_t id;
    int role; /* of a principal */
    char name[FLEET_NAME];
    struct digest hash;
    enum language language;    /* that they read; what they ask for by Accept-Language */
    int64_t token, expires_ms; /* of a principal's token: its number; 0: none was shown, or never */
};

enum { CALL_HEADERS = 6, CALL_HEADER_SIZE = 192 };

struct answer {
    int status;       /* 0: 200 */
    const char *type; /* NULL: application/json */
    struct text body;
    unsigned header_count;
    struct http_header headers[CALL_HEADERS + 1];
    char values[CALL_HEADERS][CALL_HEADER_SIZE];
};

struct call {
    struct api *api;
    struct http_request *request;
    const struct route *route;
    struct caller caller;
    enum scope scope; /* of the caller for the route's permission */
    char param[ROUTE_PARAMS][ROUTE_PARAM_SIZE];
    int64_t began_us;
    int64_t now_ms;
    int64_t limit;   /* ROUTE_LIST */
    int64_t cursor;  /* the same; 0: from the beginning */
    int64_t subject; /* the job or so that it turned out to be about */
    struct answer answer;

    /* While a worker has it. */
    int (*read)(struct call *c, struct store_reader *r, struct err *e);
    void (*after)(struct call *c); /* on the door's thread; NULL: answer */
    struct err err;
    /* While the engine has a command of it. */
    void (*then)(struct call *c, struct command *command);

    /* The handler's own, freed with the call. */
    void *own;
    void (*own_free)(void *own);
};

/* ---- on the door's thread ---- */

/* Answers with C->answer; C is gone afterwards, as after each call_fail and call_problem. */
void call_answer(struct call *c);
void call_fail(struct call *c, const struct err *e);
/* One line for the most frequent failures. */
void call_refuse(struct call *c, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* READ runs on a worker; then its failure is answered, or AFTER runs here, or C->answer leaves. */
void call_read(struct call *c, int (*read)(struct call *c, struct store_reader *r, struct err *e),
               void (*after)(struct call *c));

/* Hands COMMAND to the engine, for this caller. THEN runs here when it is done and durable; its
 * failure is answered by us. COMMAND is freed when THEN returns. */
void call_command(struct call *c, struct command *command,
                  void (*then)(struct call *c, struct command *command));
/* A THEN for commands after which nothing is left to tell: 204. */
void call_answer_gone(struct call *c, struct command *command);
/* The command's idempotency key and body hash, where the request has a key. */
void call_idempotency(struct call *c, struct command *command);

/* The body as JSON. The caller owns it. */
int call_json(struct call *c, json_t **ret, struct err *e);
/* A query parameter as a whole number; FALLBACK when it is not there. */
int call_query_int(struct call *c, const char *name, int64_t least, int64_t most, int64_t fallback,
                   int64_t *ret, struct err *e);
int call_query_bool(struct call *c, const char *name, bool *ret, struct err *e);
/* A path parameter as an id. Something that is none is ERR_NOT_FOUND: WHAT names what is asked
 * for. */
int call_param_id(struct call *c, unsigned index, const char *what, int64_t *ret, struct err *e);

/* ---- anywhere ---- */

/* The answer's body as a JSON document to be written. */
struct json_out call_out(struct call *c);
/* VALUE is copied and cut. */
void call_header(struct call *c, const char *name, const char *value);
/* "next_cursor": NEXT 0 is null. */
void call_write_cursor(struct json_out *o, int64_t next);

#endif
