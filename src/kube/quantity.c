#include "kube/quantity.h"

#include "base/mem.h"

#include <assert.h>
#include <string.h>

typedef unsigned __int128 wide;

enum { MOST_PLACES = 18, MOST_EXPONENT = 60 };

struct number {
    uint64_t whole;    /* 63 bits: more is past what we hold, whatever follows */
    uint64_t fraction; /* of 10^PLACES; what stands behind the 18th place only rounds up */
    int places;
    bool negative;
    bool is_past;
    bool is_more; /* something that is not 0 was cut off behind */
};

static void add_digit(struct number *n, char c, bool behind_point)
{
    uint64_t digit = (uint64_t)(c - '0');
    if (!behind_point) {
        n->is_past = n->is_past || n->whole > INT64_MAX / 10;
        n->whole = n->is_past ? 0 : n->whole * 10 + digit;
    } else if (n->places == MOST_PLACES) {
        n->is_more = n->is_more || digit;
    } else {
        n->fraction = n->fraction * 10 + digit;
        n->places++;
    }
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

/* VALUE * 10^TEN, rounded up, with MORE behind it; too much stays too much. */
static wide times_ten(wide value, int ten, bool more)
{
    for (; ten > 0 && value <= INT64_MAX; ten--)
        value *= 10;
    for (; ten < 0; ten++, value /= 10)
        more = more || value % 10;
    return value + more;
}

/* The size of N * 2^TWO * 10^TEN, rounded up; at most INT64_MAX. TWO goes with no negative TEN. */
static int64_t size_of(const struct number *n, int two, int ten)
{
    wide size;
    if (n->is_past)
        return INT64_MAX;
    if (ten < 0) {
        size = n->whole; /* 63 bits, and 60 for the places */
        for (int i = 0; i < n->places; i++)
            size *= 10;
        size = times_ten(size + n->fraction, ten - n->places, n->is_more);
    } else {
        size = times_ten((wide)n->whole << two, ten, false);
        size += times_ten((wide)n->fraction << two, ten - n->places, n->is_more);
    }
    return size > INT64_MAX ? INT64_MAX : (int64_t)size;
}

bool kube_quantity(const char *s, size_t len, int64_t scale, int64_t *ret)
{
    struct number n;
    int two, ten;
    const char *end = s + len, *suffix = read_number(s, end, &n);
    if (!suffix || !read_suffix(suffix, end, &two, &ten))
        return false;
    assert(scale == 1 || scale == 1000);
    int64_t size = size_of(&n, two, scale == 1000 ? ten + 3 : ten);
    *ret = n.negative ? -size : size;
    return true;
}
