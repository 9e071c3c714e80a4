/*
 * The connection to reeved: over the unix socket of one that runs on this machine, else by HTTP
 * with a token. One call after the other.
 */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include "base/json.h"
#include "cli/command.h"
#include "net/http.h"

struct client;

/*
 * Finds out where reeved is: what --server says ("http://HOST:PORT", "unix:PATH"), else the socket
 * of one that runs here, else http://127.0.0.1:8081. Does not call yet.
 */
int client_open(const struct cli_options *opt, struct client **ret, struct err *e);
/* For one whose place is known: the socket at PATH. TOKEN NULL: as the account that we are. */
struct client *client_open_socket(const char *path, const char *token);
void client_close(struct client *c);

/* "unix socket /var/lib/reeve/reeved.sock" or the URL. */
const char *client_where(const struct client *c);
/* The address that a browser on this machine can use: the URL, or by the socket's reeved.ports. The
 * caller frees it. */
char *client_public_url(const struct client *c);
/* False when the last call got no answer at all. */
bool client_was_answered(const struct client *c);

/* All paths begin with "/". Every failure is an error with the server's own sentence in it. */

/* *RET is owned by the caller; NULL when the answer had no body. */
int client_get(struct client *c, const char *path, json_t **ret, struct err *e);

struct client_etag {
    char text[160];
};
/* *RET is NULL when nothing has changed since the answer that left ETAG; all zero: not asked yet.
 */
int client_get_changed(struct client *c, const char *path, struct client_etag *etag, json_t **ret,
                       struct err *e);
/* BODY may be NULL; it stays the caller's. RET may be NULL. */
int client_send(struct client *c, enum http_method method, const char *path, const json_t *body,
                json_t **ret, struct err *e);
/* A POST that is safe to repeat: carries an Idempotency-Key and is tried again when the connection
 * breaks or the server asks for patience. */
int client_post_once(struct client *c, const char *path, const json_t *body, json_t **ret,
                     struct err *e);
/* All items of a paged list, at most MOST, in one answer of the form {"items": [...]}. PATH may
 * hold a query. */
int client_list(struct client *c, const char *path, int64_t most, json_t **ret, struct err *e);
enum { CLIENT_PAGE = 1000 /* what the server gives at once, at most */ };

/* One page of such a list as its text, LEN bytes and a NUL, the caller's: for lists too long for a
 * tree. CURSOR NULL: the first. */
int client_page(struct client *c, const char *path, int64_t limit, const char *cursor,
                char **ret_text, size_t *ret_len, struct err *e);
/* Asks for a page that client_page() with the same arguments will take if it is the next call, and
 * that is dropped if it is not. The server makes it while we are busy with the one before. */
void client_page_ahead(struct client *c, const char *path, int64_t limit, const char *cursor);
/* Hands the body to ON_DATA piece by piece until it ends or ON_DATA returns false. SILENCE_MS
 * without a byte end it too (0: never), as ERR_TIMEOUT. */
int client_stream(struct client *c, const char *path, int64_t silence_ms,
                  bool (*on_data)(void *arg, const char *bytes, size_t len), void *arg,
                  struct err *e);
/* Text as it is, for /metrics and logs. */
int client_get_text(struct client *c, const char *path, char **ret, size_t *ret_len, struct err *e);
/* The value of a header of the last answer; "" when it had none. */
const char *client_header(struct client *c, const char *name);

/* S as part of a query or path: "%20" for a blank. Added to OUT. */
void url_add(struct text *out, const char *s);

DEFINE_AUTO(struct client, client_close)
#define auto_client AUTO(client_closep)

#endif
