#include "kube/base64.h"

#include "base/mem.h"

#include <stdint.h>

static int value_of(char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

char *kube_base64_decode(const char *s, size_t len, size_t *ret_len)
{
    auto_free char *out = mem_alloc(len / 4 * 3 + 4, 1);
    size_t used = 0, digits = 0, fill = 0;
    uint32_t bits = 0;
    for (size_t i = 0; i < len; i++) {
        if (s[i] == '\n' || s[i] == '\r' || s[i] == ' ' || s[i] == '\t')
            continue;
        int value = s[i] == '=' ? 0 : value_of(s[i]);
        if (value < 0 || (fill && s[i] != '='))
            return NULL;
        fill += s[i] == '=';
        bits = bits << 6 | (uint32_t)value;
        if (++digits % 4)
            continue;
        out[used++] = (char)(bits >> 16 & 0xff);
        out[used++] = (char)(bits >> 8 & 0xff);
        out[used++] = (char)(bits & 0xff);
    }
    if (digits % 4 || fill > 2)
        return NULL;
    used -= fill;
    out[used] = '\0';
    *ret_len = used;
    return TAKE(out);
}
