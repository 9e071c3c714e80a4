#include "kube/quantity.h"

#include "base/mem.h"

#include <string.h>

typedef unsigned __int128 wide;

/* Finer than a billionth is rounded up, there as here. */
enum { MOST_PLACES = 9, MOST_EXPONENT = 40 };

struct number {
    wide digits; /* without the point; the whole part fits in 64 bits, so 94 bits at most */
    int places;  /* of DIGITS, behind the point */
    bool negative;
    bool is_past; /* it has more digits than we hold */
    bool is_more; /* something that is not 0 was cut off behind */
};

static void add_digit(struct number *n, char c, bool behind_point)
{
    if (behind_point && n->places == MOST_PLACES) {
        n->is_more = n->is_more || c != '0';
        return;
    }
    if (!behind_point && n->digits > INT64_MAX) {
        n->is_past = true;
        return;
    }
    n->digits = n->digits * 10 + (uint64_t)(c - '0');
    n->places += behind_point;
}

/* Returns behind the number; NULL: there is none. */
static const char *read_number(const char *p, const char *end, struct number *n)
{
    bool point = false, any = false;
    *n = (struct number){0};
    if (p < end && (*p == '-' || *p == '+'))
        n->negative = *p++ == '-';
    for (; p < end && ((*p >= '0' && *p <= '9') || (*p == '.' && !point)); p++) {
        if (*p == '.') {
            point = true;
        } else {
            add_digit(n, *p, point);
            any = true;
        }
    }
    return any ? p : NULL;
}

/* What stands behind the number, as a factor 2^RET_TWO * 10^RET_TEN. */
static bool read_suffix(const char *p, const char *end, int *ret_two, int *ret_ten)
{
    static const struct {
        const char *name;
        int two, ten;
    } suffixes[] = {{"", 0, 0},    {"Ki", 10, 0}, {"Mi", 20, 0}, {"Gi", 30, 0},
                    {"Ti", 40, 0}, {"Pi", 50, 0}, {"Ei", 60, 0}, {"n", 0, -9},
                    {"u", 0, -6},  {"m", 0, -3},  {"k", 0, 3},   {"M", 0, 6},
                    {"G", 0, 9},   {"T", 0, 12},  {"P", 0, 15},  {"E", 0, 18}};
    size_t len = (size_t)(end - p);
    for (size_t i = 0; i < COUNT_OF(suffixes); i++)
        if (strlen(suffixes[i].name) == len && memcmp(suffixes[i].name, p, len) == 0) {
            *ret_two = suffixes[i].two;
            *ret_ten = suffixes[i].ten;
            return true;
        }
    if (*p++ != 'e' && p[-1] != 'E')
        return false;
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    if (p == end)
        return false;
    int exponent = 0;
    for (; p < end; p++) {
        if (*p < '0' || *p > '9')
            return false;
        if (exponent <= MOST_EXPONENT)
            exponent = exponent * 10 + (*p - '0');
    }
    *ret_two = 0;
    *ret_ten = negative ? -exponent : exponent;
    return true;
}

/* The size of N * 2^TWO * 10^TEN * SCALE, rounded up; at most INT64_MAX. */
static int64_t size_of(const struct number *n, int two, int ten, int64_t scale)
{
    /* With a binary suffix at most nine places are divided away below, so more than this is past
     * what we hold, and less stays within 128 bits. */
    const wide past = (wide)INT64_MAX * 1000000000;
    wide value = n->digits * (wide)scale;
    bool more = n->is_more;
    ten -= n->places;
    if (n->is_past)
        return INT64_MAX;
    for (; two > 0; two--, value *= 2)
        if (value > past)
            return INT64_MAX;
    for (; ten > 0; ten--, value *= 10)
        if (value > INT64_MAX)
            return INT64_MAX;
    for (; ten < 0; ten++, value /= 10)
        more = more || value % 10;
    value += more;
    return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

bool kube_quantity(const char *s, size_t len, int64_t scale, int64_t *ret)
{
    struct number n;
    int two, ten;
    const char *end = s + len, *suffix = read_number(s, end, &n);
    if (!suffix || !read_suffix(suffix, end, &two, &ten))
        return false;
    int64_t size = size_of(&n, two, ten, scale);
    *ret = n.negative ? -size : size;
    return true;
}
