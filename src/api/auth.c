#include "api/auth.h"

#include "api/door.h"
#include "base/mem.h"

#include <ctype.h>
#include <pwd.h>

/* Tokens of service accounts are signed texts of a thousand bytes and more. */
enum { TOKEN_MOST = 4096, FIRST_PRINCIPAL = 1 /* made with the store: the administrator */ };

struct account {
    uid_t uid;
    char name[FLEET_NAME];
    struct account *next;
};

bool auth_account_is_known(const struct api *a, const struct http_peer *peer)
{
    if (!peer->is_unix || peer->uid == 0 || peer->uid == getuid())
        return true;
    for (const struct account *at = a->accounts; at; at = at->next)
        if (at->uid == peer->uid)
            return true;
    return false;
}

void auth_lookup(uid_t uid, char name[FLEET_NAME])
{
    struct passwd account, *found = NULL;
    char room[4096];
    name[0] = '\0';
    if (getpwuid_r(uid, &account, room, sizeof room, &found) == 0 && found &&
        strlen(account.pw_name) < FLEET_NAME)
        strcpy(name, account.pw_name);
}

void auth_remember(struct api *a, uid_t uid, const char *name)
{
    for (const struct account *at = a->accounts; at; at = at->next)
        if (at->uid == uid)
            return; /* two requests had asked */
    struct account *added = mem_new(struct account);
    added->uid = uid;
    snprintf(added->name, sizeof added->name, "%s", name);
    added->next = a->accounts;
    a->accounts = added;
}

void auth_forget_all(struct api *a)
{
    while (a->accounts) {
        struct account *gone = a->accounts;
        a->accounts = gone->next;
        free(gone);
    }
}

static const struct principal *peer_principal(const struct api *a, const struct http_peer *peer,
                                              const struct fleet_view *v)
{
    if (!peer->is_unix || peer->uid == (uid_t)-1)
        return NULL;
    if (peer->uid == 0 || peer->uid == getuid())
        return fleet_principal(v, FIRST_PRINCIPAL);
    for (const struct account *at = a->accounts; at; at = at->next)
        if (at->uid == peer->uid && at->name[0])
            return fleet_principal_named(v, at->name);
    return NULL;
}

const char *auth_bearer(const struct http_request *r)
{
    const char *header = http_header_get(r, "Authorization");
    if (!header)
        return NULL;
    if (strncasecmp(header, "Bearer ", 7) != 0 || strlen(header) > TOKEN_MOST)
        return "";
    return header + 7 + strspn(header + 7, " ");
}

static void become(struct caller *w, const struct principal *p)
{
    w->kind = CALLER_PRINCIPAL;
    w->id = p->id;
    w->role = p->role;
    snprintf(w->name, sizeof w->name, "%s", p->name);
}

static void from_token(struct call *c, const char *token, const struct fleet_view *v)
{
    struct caller *w = &c->caller;
    struct token_holder holder;
    w->hash = token_hash(token);
    if (!tokens_find(engine_tokens(c->api->engine), &w->hash, c->now_ms, &holder))
        return;

    const struct principal *p;
    const struct node *n;
    w->id = holder.holder;
    switch (holder.kind) {
    case TOKEN_API:
    case TOKEN_SESSION:
        w->token = holder.id;
        w->expires_ms = holder.expires_ms;
        p = fleet_principal(v, holder.holder);
        if (p && !p->disabled_ms)
            become(w, p);
        return;
    case TOKEN_NODE:
        n = fleet_node(v, holder.holder);
        if (n && n->state != NODE_RETIRED_) {
            w->kind = CALLER_NODE;
            snprintf(w->name, sizeof w->name, "%s", n->name);
        }
        return;
    case TOKEN_ENROL:
        w->kind = CALLER_ENROLMENT;
        return;
    case TOKEN_LINK: /* good for a session, not instead of one */
        return;
    }
}

bool auth_still_holds(struct api *a, const struct caller *w)
{
    static const struct digest none;
    struct token_holder holder;
    const struct engine_view *v = engine_view_get(a->engine);
    const struct principal *p = fleet_principal(&v->fleet, w->id);
    bool holds = p && !p->disabled_ms && p->role == w->role;
    engine_view_release(a->engine, v);
    if (memcmp(&w->hash, &none, sizeof none) != 0) /* else a unix socket's other end */
        holds = holds &&
                tokens_find(engine_tokens(a->engine), &w->hash, engine_now_ms(a->engine), &holder);
    return holds;
}

/* Three parts in base64url: what Kubernetes signs for service accounts. Ours have no dot. */
static bool is_signed(const char *token)
{
    size_t dots = 0;
    for (const char *p = token; *p; p++) {
        dots += *p == '.';
        if (!isalnum((unsigned char)*p) && !strchr("-_.", *p))
            return false;
    }
    return dots == 2;
}

static int denied(const struct call *c, struct err *e)
{
    if (c->caller.kind != CALLER_PRINCIPAL)
        return err_set(e, ERR_DENIED, "this token is not meant for '%s'", c->route->path);
    return err_set(e, ERR_DENIED, "role %s of user %s does not have the permission '%s'",
                   role_name(c->caller.role), c->caller.name,
                   permission_name(c->route->permission));
}

/*
 * A change that no bearer vouches for may come from a browser only if our own page asks: a page of
 * somewhere else can send requests here, and what lets them through would be where they come from.
 */
static int check_origin(const struct call *c, struct err *e)
{
    const char *origin = http_header_get(c->request, "Origin");
    const char *host = http_header_get(c->request, "Host");
    const char *name = origin ? strstr(origin, "://") : NULL;
    if (!origin || (name && host && strcasecmp(name + 3, host) == 0))
        return 0;
    return err_set(e, ERR_DENIED, "a page of another origin needs a token for this");
}

int auth_check(struct call *c, const struct fleet_view *v, struct err *e)
{
    enum permission needed = c->route->permission;
    const struct http_peer *peer = http_request_peer(c->request);
    const char *token = auth_bearer(c->request);
    struct caller *w = &c->caller;

    if (!token && c->route->method != HTTP_GET && check_origin(c, e) < 0)
        return -1;
    if (needed == PERMISSION_NONE)
        return 0;
    if (token && needed == PERMISSION_ENROL && c->api->config.voucher.ask && is_signed(token)) {
        w->kind = CALLER_POD;
        w->hash = token_hash(token);
        return 0;
    }
    if (token) {
        from_token(c, token, v);
    } else {
        const struct principal *p = peer_principal(c->api, peer, v);
        if (p && !p->disabled_ms)
            become(w, p);
        else if (c->api->config.source_open && c->route->flags & ROUTE_SOURCE && peer->is_loopback)
            w->kind = CALLER_OPEN;
    }

    if (w->kind == CALLER_NOBODY)
        return err_set(e, ERR_UNAUTHENTICATED,
                       token ? "this token is not valid here" : "a token is needed");
    if (needed == PERMISSION_NODE || needed == PERMISSION_ENROL) {
        enum caller_kind kind = needed == PERMISSION_NODE ? CALLER_NODE : CALLER_ENROLMENT;
        return w->kind == kind ? 0 : denied(c, e);
    }
    if (w->kind == CALLER_OPEN) {
        /* A page of somewhere else must not use what is open to this machine's own programs. */
        if (http_header_get(c->request, "Origin"))
            return err_set(e, ERR_DENIED, "a page in a browser needs a token");
        c->scope = SCOPE_OWN;
        return 0;
    }
    c->scope = caller_scope(w, needed);
    return c->scope == SCOPE_NOTHING ? denied(c, e) : 0;
}

void auth_write_principal(struct json_out *o, const char *name, int role)
{
    jo_text(o, "user", name);
    jo_text(o, "role", role_name(role));
    jo_list(o, "permissions");
    for (enum permission p = PERMISSION_TOKEN; p < PERMISSIONS; p++)
        if (access_scope(role, p) != SCOPE_NOTHING)
            jo_text(o, NULL, permission_name(p));
    jo_end(o);
    jo_object(o, "scopes");
    for (enum permission p = PERMISSION_TOKEN; p < PERMISSIONS; p++) {
        enum scope scope = access_scope(role, p);
        if (scope != SCOPE_NOTHING)
            jo_text(o, permission_name(p), scope == SCOPE_ALL ? "all" : "own");
    }
    jo_end(o);
}

enum scope caller_scope(const struct caller *w, enum permission p)
{
    return w->kind == CALLER_PRINCIPAL ? access_scope(w->role, p) : SCOPE_NOTHING;
}

enum sight caller_sight(const struct caller *w, int64_t principal, int64_t submitter)
{
    bool own = w->kind == CALLER_PRINCIPAL && (w->id == principal || w->id == submitter);
    enum scope read = caller_scope(w, PERMISSION_JOBS_READ);
    enum scope cost = caller_scope(w, PERMISSION_COST);
    if (read == SCOPE_ALL || (read == SCOPE_OWN && own))
        return SIGHT_ALL;
    return cost == SCOPE_ALL || (cost == SCOPE_OWN && own) ? SIGHT_COST : SIGHT_EXISTS;
}

bool caller_sees_user(const struct api *a, enum sight sight)
{
    return sight == SIGHT_ALL || !a->config.mask_users;
}

struct explain_reader caller_reads(const struct api *a, const struct caller *w)
{
    bool all = caller_scope(w, PERMISSION_JOBS_READ) == SCOPE_ALL;
    return (struct explain_reader){.mask_users = a->config.mask_users && !all,
                                   .language = w->language};
}
