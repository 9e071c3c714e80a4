#include "redis/url.h"

#include "base/digest.h"
#include "base/mem.h"
#include "net/addr.h"

#include <ctype.h>

enum { DB_MOST = 1 << 20, URL_BYTES_MOST = 2048 };

void redis_url_done(struct redis_url *u)
{
    free(u->unix_path);
    free(u->host);
    free(u->user);
    free(u->password);
    *u = (struct redis_url){0};
}

/* LEN bytes without their %XX. */
static int decode(const char *p, size_t len, const char *what, char **ret, struct err *e)
{
    auto_text struct text t = {0};
    text_reserve(&t, len + 1);
    for (size_t i = 0; i < len; i++) {
        char hex[3] = {0}, byte = p[i];
        if (byte == '%') {
            if (len - i < 3)
                return err_set(e, ERR_INVALID, "%s ends within a %%XX", what);
            hex[0] = (char)tolower((unsigned char)p[i + 1]);
            hex[1] = (char)tolower((unsigned char)p[i + 2]);
            if (!hex_read(&byte, 1, hex) || !byte)
                return err_set(e, ERR_INVALID, "%s holds a '%%' that is no %%XX", what);
            i += 2;
        }
        text_add_char(&t, byte);
    }
    *ret = text_take(&t);
    return 0;
}

/* "user:password@", ":password@" or nothing in front of *AT, which moves behind it. UPTO: where to
 * look for the '@'. */
static int read_login(const char **at, size_t upto, struct redis_url *u, struct err *e)
{
    const char *sign = memrchr(*at, '@', upto);
    if (!sign)
        return 0;
    size_t len = (size_t)(sign - *at);
    const char *colon = memchr(*at, ':', len);
    size_t user = colon ? (size_t)(colon - *at) : len;
    if (user && decode(*at, user, "the user in it", &u->user, e) < 0)
        return -1;
    if (colon && decode(colon + 1, len - user - 1, "the password in it", &u->password, e) < 0)
        return -1;
    *at = sign + 1;
    return 0;
}

static int read_db(const char *text, struct redis_url *u, struct err *e)
{
    return text_to_int(text, 0, DB_MOST, "the number of its database", &u->db, e);
}

static int read_host(const char *at, size_t len, struct redis_url *u, struct err *e)
{
    auto_free char *text = mem_strndup(at, len);
    auto_free char *with_port = NULL;
    struct net_addr addr;
    const char *bracket = strrchr(text, ']'), *colon = strrchr(bracket ? bracket : text, ':');
    if (!colon)
        with_port = mem_printf("%s:6379", text);
    if (!*text || *text == ':' || (strchr(text, ':') != colon && *text != '['))
        return err_set(e, ERR_INVALID, "it has no host");
    if (net_addr_parse(with_port ? with_port : text, &addr, e) < 0)
        return -1;
    if (!addr.port)
        return err_set(e, ERR_INVALID, "its port is 0");
    u->host = mem_strdup(addr.host);
    u->port = addr.port;
    return 0;
}

static int read_tcp(const char *at, struct redis_url *u, struct err *e)
{
    size_t upto = strcspn(at, "/?#");
    const char *end = at + upto;
    if (read_login(&at, upto, u, e) < 0 || read_host(at, (size_t)(end - at), u, e) < 0)
        return -1;
    if (*end == '/' && end[1])
        return read_db(end + 1, u, e);
    if (*end && *end != '/')
        return err_set(e, ERR_INVALID, "what stands behind its host is no database");
    return 0;
}

static int read_unix(const char *at, struct redis_url *u, struct err *e)
{
    size_t path = strcspn(at, "?");
    const char *options = at + path;
    if (text_starts_with(at, "//")) {
        at += 2;
        path -= 2;
        const char *slash = memchr(at, '/', path), *start = at;
        if (slash && read_login(&at, (size_t)(slash - at), u, e) < 0)
            return -1;
        path -= (size_t)(at - start);
    }
    if (*at != '/')
        return err_set(e, ERR_INVALID, "the path of its socket does not begin with '/'");
    if (decode(at, path, "its path", &u->unix_path, e) < 0)
        return -1;
    if (strlen(u->unix_path) > 107)
        return err_set(e, ERR_INVALID, "the path of its socket has more than 107 bytes");
    if (!*options)
        return 0;
    if (!text_starts_with(options, "?db="))
        return err_set(e, ERR_INVALID, "of options it may only have ?db=N");
    return read_db(options + 4, u, e);
}

int redis_url_parse(const char *text, struct redis_url *ret, struct err *e)
{
    struct redis_url u = {0};
    int rc;
    if (strlen(text) > URL_BYTES_MOST)
        return err_set(e, ERR_INVALID, "the address of Redis is too long");
    if (text_starts_with(text, "redis://")) {
        rc = read_tcp(text + 8, &u, e);
    } else if (text_starts_with(text, "rediss://")) {
        u.tls = true;
        rc = read_tcp(text + 9, &u, e);
    } else if (text_starts_with(text, "unix:")) {
        rc = read_unix(text + 5, &u, e);
    } else {
        rc = err_set(e, ERR_INVALID, "it begins with none of redis://, rediss:// and unix:");
    }
    if (rc < 0) {
        redis_url_done(&u);
        return err_wrap(e, "the address of Redis is not understood");
    }
    *ret = u;
    return 0;
}

void redis_url_write(const struct redis_url *u, struct text *out)
{
    if (u->unix_path) {
        text_addf(out, "unix:%s", u->unix_path);
        if (u->db)
            text_addf(out, "?db=%lld", (long long)u->db);
        return;
    }
    text_addf(out, strchr(u->host, ':') ? "%s://[%s]:%u" : "%s://%s:%u",
              u->tls ? "rediss" : "redis", u->host, u->port);
    if (u->db)
        text_addf(out, "/%lld", (long long)u->db);
}
