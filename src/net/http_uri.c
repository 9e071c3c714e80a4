#include "net/http_uri.h"

#include "base/text.h"
#include "net/addr.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes in place; PLUS: '+' stands for a space. Gives the length; -1: bad escape or a NUL. */
static long decode(char *s, bool plus, const char **ret_why)
{
    char *out = s;
    for (const char *p = s; *p; p++) {
        if (*p == '+' && plus) {
            *out++ = ' ';
        } else if (*p == '%') {
            int high = hex_value(p[1]), low = high < 0 ? -1 : hex_value(p[2]);
            if (low < 0) {
                *ret_why = "has a '%' that two hexadecimal digits do not follow";
                return -1;
            }
            if (high == 0 && low == 0) {
                *ret_why = "has a zero byte";
                return -1;
            }
            *out++ = (char)(high << 4 | low);
            p += 2;
        } else {
            *out++ = *p;
        }
    }
    *out = '\0';
    if (text_is_utf8(s, (size_t)(out - s)))
        return out - s;
    *ret_why = "is not UTF-8";
    return -1;
}

/* Looked for before decoding: behind it an encoded slash can't be told from a real one. */
static bool has_encoded_slash(const char *path)
{
    for (const char *p = path; (p = strchr(p, '%')); p++)
        if (p[1] == '2' && (p[2] == 'f' || p[2] == 'F'))
            return true;
    return false;
}

bool http_path_decode(char *path, const char **ret_why)
{
    if (path[0] != '/') {
        *ret_why = "does not begin with '/'";
        return false;
    }
    if (has_encoded_slash(path)) {
        *ret_why = "has an encoded slash";
        return false;
    }
    if (decode(path, false, ret_why) < 0)
        return false;

    for (const char *segment = path + 1;;) {
        size_t len = strcspn(segment, "/");
        bool last = segment[len] == '\0';
        for (size_t i = 0; i < len; i++) {
            if ((unsigned char)segment[i] < ' ' || segment[i] == 0x7f) {
                *ret_why = "has a control character";
                return false;
            }
        }
        if (len == 0 && !last) {
            *ret_why = "has an empty segment";
            return false;
        }
        if ((len == 1 && segment[0] == '.') || (len == 2 && memcmp(segment, "..", 2) == 0)) {
            *ret_why = "has a '.' or '..' segment";
            return false;
        }
        if (last)
            return true;
        segment += len + 1;
    }
}

bool http_query_decode(char *query, struct http_param *ret, size_t *ret_count, const char **ret_why)
{
    size_t count = 0;
    char *rest = query;
    for (char *pair; (pair = strsep(&rest, "&"));) {
        if (!*pair)
            continue;
        if (count == HTTP_PARAMS_MOST) {
            *ret_why = "has too many parameters";
            return false;
        }
        char *value = pair + strcspn(pair, "=");
        if (*value)
            *value++ = '\0';
        if (decode(pair, true, ret_why) < 0 || decode(value, true, ret_why) < 0)
            return false;
        ret[count++] = (struct http_param){pair, value};
    }
    *ret_count = count;
    return true;
}

char *http_target_path(char *target)
{
    size_t scheme = strncasecmp(target, "http://", 7) == 0    ? 7
                    : strncasecmp(target, "https://", 8) == 0 ? 8
                                                              : 0;
    if (!scheme)
        return target;
    target += scheme;
    target += strcspn(target, "/?");
    /* "http://host" alone means its root: the slash overwrites nothing that is still needed. */
    if (*target != '/')
        *--target = '/';
    return target;
}

/* Nothing, or a colon and perhaps a number. */
static bool is_port(const char *s)
{
    return !*s || (*s == ':' && !s[1 + strspn(s + 1, "0123456789")]);
}

/* Length of the name in a Host header, without port, brackets and the root's dot; 0: it is none. */
static size_t host_name(const char **host)
{
    size_t len;
    if (**host == '[') {
        ++*host;
        len = strcspn(*host, "]");
        return (*host)[len] && is_port(*host + len + 1) ? len : 0;
    }
    len = strcspn(*host, ":");
    if (!is_port(*host + len))
        return 0;
    return len > 1 && (*host)[len - 1] == '.' ? len - 1 : len;
}

bool http_host_is(const char *host, const char *name)
{
    size_t len = host_name(&host);
    return len == strlen(name) && strncasecmp(host, name, len) == 0;
}

bool http_host_is_local(const char *host)
{
    char name[256];
    bool in_brackets = *host == '[';
    size_t len = host_name(&host);
    if (len == 0 || len >= sizeof name)
        return false;
    memcpy(name, host, len);
    name[len] = '\0';
    if (in_brackets || net_host_is_ip(name))
        return net_host_is_ip(name);

    static const char below[] = ".localhost";
    size_t tail = sizeof below - 1;
    return strcasecmp(name, "localhost") == 0 ||
           (len > tail && strcasecmp(name + len - tail, below) == 0);
}
