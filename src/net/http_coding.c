#include "net/http_coding.h"

#include <string.h>
#include <strings.h>

#define BLANKS " \t"

/* "q=0.5" in thousandths, as RFC 9110 has it: at most three digits behind the point; -1: it is
 * none. */
static int read_weight(const char *s, size_t len)
{
    if (len < 3 || (s[0] | 0x20) != 'q' || s[1] != '=' || (s[2] != '0' && s[2] != '1'))
        return -1;
    int weight = (s[2] - '0') * 1000, unit = 100;
    if (len > 7 || (len > 3 && s[3] != '.'))
        return -1;
    for (size_t i = 4; i < len; i++, unit /= 10) {
        if (s[i] < '0' || s[i] > '9')
            return -1;
        weight += (s[i] - '0') * unit;
    }
    return weight <= 1000 ? weight : -1;
}

static size_t without_blanks(const char *s, size_t len)
{
    while (len && strchr(BLANKS, s[len - 1]))
        len--;
    return len;
}

int http_coding_weight(const char *accept, const char *coding)
{
    int other = strcmp(coding, "identity") == 0 ? 1 : 0; /* wanted least, but never missing */
    for (const char *at = accept ? accept : ""; *at;) {
        size_t len = strcspn(at, ",");
        const char *item = at;
        at += len + (at[len] == ',');

        size_t skip = strspn(item, BLANKS);
        item += skip < len ? skip : len;
        len = without_blanks(item, len - (skip < len ? skip : len));
        size_t name = 0;
        while (name < len && item[name] != ';')
            name++;
        int weight = 1000;
        if (name < len) {
            size_t from = name + 1;
            while (from < len && strchr(BLANKS, item[from]))
                from++;
            weight = read_weight(item + from, len - from);
        }
        name = without_blanks(item, name);
        if (weight < 0)
            continue;
        if (name == strlen(coding) && strncasecmp(item, coding, name) == 0)
            return weight;
        if (name == 1 && *item == '*')
            other = weight;
    }
    return other;
}
