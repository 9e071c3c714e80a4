#include "record/phrase.h"

#include "phrases.def"

#include "base/mem.h"

#include <ctype.h>
#include <strings.h>

/* ---- which language ---- */

const char *language_tag(enum language l)
{
    return l == LANGUAGE_KO ? "ko" : "en";
}

/* The weight of one range ("ko-KR;q=0.8") in thousandths; 1000 where none is said. */
static int weight(const char *range, size_t len)
{
    const char *q = memmem(range, len, "q=", 2);
    if (!q)
        return 1000;
    int whole = 0, scale = 1000;
    for (q += 2; q < range + len && (isdigit((unsigned char)*q) || *q == '.'); q++) {
        if (*q == '.')
            scale = 100;
        else if (scale == 1000)
            whole = (*q - '0') * 1000;
        else
            whole += (*q - '0') * scale, scale /= 10;
    }
    return whole;
}

enum language language_accepted(const char *accept)
{
    enum language best = LANGUAGE_EN;
    int most = 0;
    while (accept && *accept) {
        accept += strspn(accept, ", \t");
        size_t len = strcspn(accept, ",");
        bool ends = len < 3 || !isalpha((unsigned char)accept[2]); /* "kok" is Konkani */
        bool ko = len >= 2 && ends && strncasecmp(accept, "ko", 2) == 0;
        bool en = (len >= 2 && ends && strncasecmp(accept, "en", 2) == 0) || *accept == '*';
        int w = ko || en ? weight(accept, len) : 0;
        if (w > most) {
            most = w;
            best = ko ? LANGUAGE_KO : LANGUAGE_EN;
        }
        accept += len;
    }
    return best;
}

/* ---- sentences ---- */

enum {
    FILLED_MOST = 9, /* places of a form */
    NESTED_MOST = 3, /* sentences within sentences */
};

struct filled {
    const char *at;
    size_t len;
};

static const struct phrase {
    const char *en, *ko;
} phrases[] = {
#define P(en, ko) {en, ko},
    PHRASES(P)
#undef P
};

static bool is_number(const char *text, size_t len)
{
    size_t i = len > 1 && *text == '-';
    while (i < len && isdigit((unsigned char)text[i]))
        i++;
    return i == len;
}

/* Whether TEXT is FORM filled in, and with what. A place takes as little as lets the rest fit; the
 * texts are a few hundred bytes and the places few. */
static bool fits(const char *form, const char *text, size_t len, struct filled *ret)
{
    while (*form) {
        if (form[0] == '%' && form[1] != '%') {
            form += 1 + strcspn(form + 1, "sdugf");
            bool number = *form++ != 's';
            for (size_t take = number; take <= len; take++) {
                *ret = (struct filled){text, take};
                if ((!number || is_number(text, take)) &&
                    fits(form, text + take, len - take, ret + 1))
                    return true;
            }
            return false;
        }
        form += form[0] == '%';
        if (!len || *form++ != *text++)
            return false;
        len--;
    }
    return !len;
}

static void add(struct text *out, const char *sentence, size_t len, int depth)
{
    struct filled filled[FILLED_MOST + 1];
    for (size_t i = 0; depth < NESTED_MOST && len && i < COUNT_OF(phrases); i++) {
        if (!fits(phrases[i].en, sentence, len, filled))
            continue;
        for (const char *ko = phrases[i].ko; *ko; ko++) {
            if (*ko == '%' && *++ko != '%')
                add(out, filled[*ko - '1'].at, filled[*ko - '1'].len, depth + 1);
            else
                text_add_char(out, *ko);
        }
        return;
    }
    text_add_bytes(out, sentence, len);
}

void phrase_add(struct text *out, enum language language, const char *sentence)
{
    add(out, sentence, strlen(sentence), language == LANGUAGE_KO ? 0 : NESTED_MOST);
}
