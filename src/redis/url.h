/* Where a Redis is, as people write it. */
#ifndef REDIS_URL_H
#define REDIS_URL_H

#include "base/text.h"

/* Texts are owned. */
struct redis_url {
    bool tls;
    char *unix_path; /* NULL: HOST and PORT */
    char *host;      /* without brackets */
    uint16_t port;
    int64_t db;
    char *user, *password; /* NULL: not given */
};

/*
 *     redis://[[user]:password@]host[:port][/db]     port 6379, db 0
 *     rediss://...                                   the same in TLS
 *     unix:[//[[user]:password@]]/path[?db=N]
 *
 * User, password and path may hold %XX. The error never has the password in it.
 */
int redis_url_parse(const char *text, struct redis_url *ret, struct err *e);
void redis_url_done(struct redis_url *u);

/* The same without user and password, for logs. */
void redis_url_write(const struct redis_url *u, struct text *out);

#endif
