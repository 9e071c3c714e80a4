#include "kube/path.h"

#include <string.h>

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("-._~", c));
}

static void add_escaped(struct text *out, const char *s)
{
    /* A whole segment of dots would be taken for a step up. */
    bool dots = strcmp(s, ".") == 0 || strcmp(s, "..") == 0;
    for (; *s; s++) {
        if (is_plain(*s) && !dots)
            text_add_char(out, *s);
        else
            text_addf(out, "%%%02X", (unsigned char)*s);
    }
}

static void add_segment(struct text *out, const char *s)
{
    if (!s)
        return;
    text_add_char(out, '/');
    add_escaped(out, s);
}

void kube_path(struct text *out, const struct kube_resource_name *r, const char *ns,
               const char *name, const char *sub)
{
    text_add(out, r->group[0] ? "/apis" : "/api");
    if (r->group[0])
        add_segment(out, r->group);
    add_segment(out, r->version);
    if (ns) {
        text_add(out, "/namespaces");
        add_segment(out, ns);
    }
    add_segment(out, r->resource);
    add_segment(out, name);
    add_segment(out, sub);
}

void kube_query(struct text *out, const char *key, const char *value)
{
    if (!value)
        return;
    bool first = !out->data || !strchr(out->data, '?');
    text_add_char(out, first ? '?' : '&');
    text_add(out, key);
    text_add_char(out, '=');
    add_escaped(out, value);
}

void kube_query_int(struct text *out, const char *key, int64_t value)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%lld", (long long)value);
    kube_query(out, key, digits);
}

bool kube_name_is_valid(const char *name)
{
    size_t len = strlen(name);
    if (len < 1 || len > 253 || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") != len)
        return false;
    return !strchr("-.", name[0]) && !strchr("-.", name[len - 1]);
}
