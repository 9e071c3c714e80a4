/*
 * Commands about what principals show: tokens, links and the sessions that a link's code makes. All
 * are records of one table with numbers of one kind.
 */
#include "base/mem.h"
#include "engine/internal.h"

enum {
    SESSION_MS = 12 * 3600 * 1000,
    EXPIRED_AT_ONCE = 100,
    LINKS_MOST = 32, /* of one user, not used yet */
    SESSIONS_MOST = 256,
};

struct token_holder engine_token_holder(const struct token_row *r)
{
    struct token_holder holder = {.kind = (enum token_kind)r->kind,
                                  .id = r->id,
                                  .holder = r->principal,
                                  .expires_ms = r->expires_ms,
                                  .created_ms = r->created_ms,
                                  .until_ms = r->until_ms};
    snprintf(holder.name, sizeof holder.name, "%s", r->name ? r->name : "");
    return holder;
}

void engine_put_token(struct engine *g, const struct digest *hash,
                      const struct token_holder *holder)
{
    struct token_row row = {.id = holder->id,
                            .principal = holder->holder,
                            .name = holder->name,
                            .hash = {hash->bytes, DIGEST_SIZE},
                            .created_ms = holder->created_ms,
                            .expires_ms = holder->expires_ms,
                            .kind = holder->kind,
                            .until_ms = holder->until_ms};
    struct enrolment_row enrolment = {.id = holder->id,
                                      .node = holder->name,
                                      .hash = {hash->bytes, DIGEST_SIZE},
                                      .created_ms = holder->created_ms,
                                      .expires_ms = holder->expires_ms};
    if (holder->kind == TOKEN_ENROL)
        batch_put(engine_batch(g), TABLE_ID_ENROLMENT, &enrolment);
    else if (holder->kind != TOKEN_NODE)
        batch_put(engine_batch(g), TABLE_ID_TOKEN, &row);
}

/* The event, the row and, once they are durable, the entry. */
static void add_token(struct engine *g, struct event *ev, const struct digest *hash,
                      int64_t until_ms)
{
    ev->kind = EVENT_ID_TOKEN_CREATED;
    ev->subject = g->next_token++;
    engine_event(g, ev);
    struct token_row row = {.id = ev->subject,
                            .principal = ev->TOKEN_CREATED.principal,
                            .name = ev->TOKEN_CREATED.name,
                            .hash = {hash->bytes, DIGEST_SIZE},
                            .created_ms = ev->time_ms,
                            .expires_ms = ev->TOKEN_CREATED.expires_ms,
                            .kind = ev->TOKEN_CREATED.kind,
                            .until_ms = until_ms};
    batch_put(engine_batch(g), TABLE_ID_TOKEN, &row);
    struct action put = {
        .what = ACTION_TOKEN_PUT, .hash = *hash, .holder = engine_token_holder(&row)};
    engine_act(g, &put);
}

/* Any user makes links, so they are bounded. */
static int check_links(struct engine *g, int64_t principal, struct err *e)
{
    if (tokens_count(g->tokens, TOKEN_LINK, principal) >= LINKS_MOST)
        return err_set(e, ERR_EXHAUSTED, "there are %d links already that wait to be used",
                       LINKS_MOST);
    if (tokens_count(g->tokens, TOKEN_SESSION, principal) >= SESSIONS_MOST)
        return err_set(e, ERR_EXHAUSTED, "there are %d sessions already: sign out of some",
                       SESSIONS_MOST);
    return 0;
}

int command_token_create(struct engine *g, struct command *c, struct err *e)
{
    if (!engine_principal(g, c->principal, e))
        return -1;
    if (c->token_kind == TOKEN_LINK && check_links(g, c->principal, e) < 0)
        return -1;
    struct event ev = {.actor = c->actor};
    ev.TOKEN_CREATED.principal = c->principal;
    ev.TOKEN_CREATED.expires_ms = c->expires_ms;
    ev.TOKEN_CREATED.kind = c->token_kind;
    event_set_text(ev.TOKEN_CREATED.name, c->name);
    add_token(g, &ev, &c->hash, c->until_ms);
    c->ret_id = ev.subject;
    return 0;
}

/* Links and sessions come and go with every visit, so their records go with them; the ledger keeps
 * that they were. Only the newest record stays: its number must not be given away again. */
static bool delete_row(struct engine *g, int64_t id)
{
    struct token_row row = {.id = id};
    if (id == g->next_token - 1)
        return false;
    batch_delete(engine_batch(g), TABLE_ID_TOKEN, &row);
    return true;
}

int command_session_begin(struct engine *g, struct command *c, struct err *e)
{
    struct token_holder link;
    /* Here and not in the door: two clients with the same code are decided one after the other. */
    if (!tokens_find(g->tokens, &c->hash, g->clock.last_ms, &link) || link.kind != TOKEN_LINK)
        return err_set(e, ERR_UNAUTHENTICATED,
                       "this link was used just now; 'reeve token link' prints a new one");
    if (!engine_principal(g, link.holder, e))
        return -1;
    struct event ev = {.actor = link.holder};
    ev.TOKEN_CREATED.principal = link.holder;
    ev.TOKEN_CREATED.expires_ms = g->clock.last_ms + SESSION_MS;
    if (link.until_ms && link.until_ms < ev.TOKEN_CREATED.expires_ms)
        ev.TOKEN_CREATED.expires_ms = link.until_ms;
    ev.TOKEN_CREATED.kind = TOKEN_SESSION;
    ev.TOKEN_CREATED.link = link.id;
    event_set_text(ev.TOKEN_CREATED.name, c->name);
    add_token(g, &ev, &c->key_hash, 0);
    delete_row(g, link.id);
    tokens_remove(g->tokens, &c->hash);
    c->ret_id = ev.subject;
    c->principal = link.holder;
    c->expires_ms = ev.TOKEN_CREATED.expires_ms;
    return 0;
}

static bool find_token(struct engine *g, int64_t id, struct digest *ret_hash,
                       struct token_holder *ret)
{
    static const enum token_kind kinds[] = {TOKEN_API, TOKEN_SESSION, TOKEN_LINK};
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (tokens_find_id(g->tokens, kinds[i], id, ret_hash, ret))
            return true;
    return false;
}

int command_token_revoke(struct engine *g, struct command *c, struct err *e)
{
    struct token_holder holder;
    if (!find_token(g, c->id, &c->hash, &holder))
        return err_set(e, ERR_NOT_FOUND, "there is no token %lld", (long long)c->id);
    struct event ev = {.kind = EVENT_ID_TOKEN_REVOKED, .subject = c->id, .actor = c->actor};
    ev.TOKEN_REVOKED.principal = holder.holder;
    engine_event(g, &ev);
    /* The record stays: lists tell since when, and its number is never given again. */
    struct token_row row = {.id = c->id,
                            .principal = holder.holder,
                            .name = holder.name,
                            .hash = {c->hash.bytes, DIGEST_SIZE},
                            .created_ms = holder.created_ms,
                            .expires_ms = holder.expires_ms,
                            .revoked_ms = ev.time_ms,
                            .kind = holder.kind,
                            .until_ms = holder.until_ms};
    if (holder.kind == TOKEN_API || !delete_row(g, c->id))
        batch_put(engine_batch(g), TABLE_ID_TOKEN, &row);
    engine_act(g, &(struct action){.what = ACTION_TOKEN_DROP, .hash = c->hash});
    return 0;
}

static void on_expired(void *arg, const struct token_holder *holder)
{
    delete_row(arg, holder->id);
}

void engine_expire_tokens(struct engine *g, int64_t now_ms)
{
    tokens_expire(g->tokens, now_ms, EXPIRED_AT_ONCE, on_expired, g);
}
