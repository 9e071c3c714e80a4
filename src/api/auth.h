/* Who is asking, and whether they may. */
#ifndef API_AUTH_H
#define API_AUTH_H

#include "api/call.h"
#include "core/explain/explain.h"

/* From the token, the unix socket's other end, or nothing; fills C->caller and C->scope.
 * ERR_UNAUTHENTICATED, ERR_DENIED. The account of a unix peer must be known: auth_account(). */
int auth_check(struct call *c, const struct fleet_view *v, struct err *e);

/* What is shown as a token: NULL without the header, "" when it is no bearer. */
const char *auth_bearer(const struct http_request *r);

/* False: the account of this unix peer must be looked up first (which may ask a directory service).
 * On a worker: auth_lookup(); then on the door's thread: auth_remember(). */
bool auth_account_is_known(const struct api *a, const struct http_peer *peer);
void auth_lookup(uid_t uid, char name[FLEET_NAME]);
void auth_remember(struct api *a, uid_t uid, const char *name);
void auth_forget_all(struct api *a);

/* How far this principal's permission goes; nothing for others than principals. */
enum scope caller_scope(const struct caller *w, enum permission p);

/* Into an object: "user", "role", "permissions" and how far each of them goes. */
void auth_write_principal(struct json_out *o, const char *name, int role);

/* Whether a principal who was let in for a stream would be let in now: the token stands, the user
 * is not disabled, the role is the same. */
bool auth_still_holds(struct api *a, const struct caller *w);

/* How much of a job is shown. */
enum sight {
    SIGHT_EXISTS, /* that it is, whose, its state, place, devices and times */
    SIGHT_COST,   /* also what it took */
    SIGHT_ALL,
};
enum sight caller_sight(const struct caller *w, int64_t principal, int64_t submitter);
/* How sentences are made for them. */
struct explain_reader caller_reads(const struct api *a, const struct caller *w);
/* Whether the user's name is shown. */
bool caller_sees_user(const struct api *a, enum sight sight);

#endif
