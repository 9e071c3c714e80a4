#include "kube/build.h"

#include "base/mem.h"
#include "kube/quantity.h"
#include "kube/timestamp.h"

#include <assert.h>

enum {
    ROOM = 192 * 1024, /* of one record: two raw parts of 64 KiB, and 64 KiB for the rest */
    ASIDE = 8192,
    MOST_TEXT = 253,
    MOST_THINGS = 64,
};

/* Everything is put behind one another in a room that does not move, with plain pointers; where
 * such a pointer lies is noted, so that a copy's pointers can be moved along. */
struct kube_build {
    char *room;
    size_t used;
    uint32_t *links; /* offsets of pointers in ROOM */
    size_t link_count, link_room;
    const void *context;
    char *aside;
    size_t aside_used;
};

struct kube_build *kube_build_new(void)
{
    struct kube_build *b = mem_new(struct kube_build);
    b->room = mem_alloc(ROOM, 1);
    b->aside = mem_alloc(ASIDE, 1);
    return b;
}

void kube_build_free(struct kube_build *b)
{
    if (!b)
        return;
    free(b->room);
    free(b->links);
    free(b->aside);
    free(b);
}

const void *kube_build_context(const struct kube_build *b)
{
    return b->context;
}

void *kube_build_more(struct kube_build *b, size_t size)
{
    size_t at = (b->used + 7) & ~(size_t)7;
    if (at > ROOM || size > ROOM - at)
        return NULL;
    memset(b->room + at, 0, size);
    b->used = at + size;
    return b->room + at;
}

void *kube_build_aside(struct kube_build *b, size_t size)
{
    assert(size <= ASIDE);
    if (!b->aside_used) {
        memset(b->aside, 0, size);
        b->aside_used = size;
    }
    assert(b->aside_used == size); /* one thing a record */
    return b->aside;
}

void kube_build_link(struct kube_build *b, void *slot, const void *what)
{
    size_t at = (size_t)((char *)slot - b->room);
    assert(at < b->used);
    memcpy(slot, &what, sizeof what);
    if (b->link_count == b->link_room) {
        b->link_room = b->link_room ? b->link_room * 2 : 64;
        b->links = mem_resize_array(b->links, b->link_room);
    }
    b->links[b->link_count++] = (uint32_t)at;
}

void *kube_build_begin(struct kube_build *b, size_t size, const void *context)
{
    b->used = b->link_count = b->aside_used = 0;
    b->context = context;
    void *record = kube_build_more(b, size);
    assert(record);
    return record;
}

void *kube_build_end(struct kube_build *b, size_t *ret_size)
{
    char *record = mem_dup(b->room, b->used), *what;
    for (size_t i = 0; i < b->link_count; i++) {
        /* A slot that was linked twice has been moved already. */
        memcpy(&what, record + b->links[i], sizeof what);
        if (what >= b->room && what < b->room + ROOM) {
            what = record + (what - b->room);
            memcpy(record + b->links[i], &what, sizeof what);
        }
    }
    *ret_size = b->used;
    return record;
}

/* ---- texts ---- */

static const char replacement[] = "\xef\xbf\xbd";

/* The length of the UTF-8 character at P; 0: it is none. */
static size_t character_at(const char *p, const char *end)
{
    unsigned char c = (unsigned char)*p;
    size_t len = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : 4;
    if (c >= 0xf5 || (c >= 0x80 && c < 0xc2) || (size_t)(end - p) < len)
        return 0;
    return len == 1 || text_is_utf8(p, len) ? len : 0;
}

/* The character that the escape at P means, as a JSON text of its own; what means nothing is one
 * backslash long. */
static size_t escape_at(const char *p, const char *end, struct text *ret)
{
    char quoted[16] = "\"";
    size_t most = (size_t)(end - p);
    text_clear(ret);
    for (size_t len = 2; len <= 12 && len <= most; len = len == 2 ? 6 : len + 6) {
        struct json_scan s;
        struct json_part part;
        memcpy(quoted + 1, p, len);
        quoted[len + 1] = '"';
        json_scan_init(&s, quoted, len + 2);
        json_scan_value(&s, &part);
        if (json_scan_end(&s, NULL) == 0) {
            json_part_text(&part, ret);
            return len;
        }
    }
    text_add(ret, replacement);
    return most >= 6 && p[1] == 'u' ? 6 : 1;
}

/* Adds what fits in MOST bytes. */
static size_t decode(const char *p, const char *end, char *to, size_t most)
{
    auto_text struct text escaped = {0};
    size_t used = 0;
    while (p < end) {
        const char *from = p;
        size_t len = *p == '\\' ? 0 : character_at(p, end), taken = len;
        if (*p == '\\') {
            taken = escape_at(p, end, &escaped);
            from = escaped.data;
            len = escaped.len;
        } else if (!len) {
            taken = 1;
            from = replacement;
            len = strlen(replacement);
        }
        if (len > most - used)
            break;
        memcpy(to + used, from, len);
        used += len;
        p += taken;
    }
    return used;
}

void kube_build_text(struct kube_build *b, const struct json_part *part, size_t most,
                     const char **slot)
{
    if (part->kind != JSON_PART_TEXT || b->used >= ROOM)
        return;
    char *to = b->room + b->used;
    if (most > ROOM - b->used - 1)
        most = ROOM - b->used - 1;
    size_t len = part->len;
    if (!part->has_escapes && len <= most && text_is_utf8(part->at, len))
        memcpy(to, part->at, len);
    else
        len = decode(part->at, part->at + part->len, to, most);
    to[len] = '\0';
    b->used += len + 1;
    kube_build_link(b, slot, to);
}

/* ---- fields ---- */

static void read_raw(struct kube_build *b, const struct json_part *part, size_t most,
                     const char **slot)
{
    /* Of a text, its quotes belong to it. */
    const char *at = part->kind == JSON_PART_TEXT ? part->at - 1 : part->at;
    size_t len = part->kind == JSON_PART_TEXT ? part->len + 2 : part->len;
    *slot = NULL;
    if (part->kind == JSON_PART_NONE || part->kind == JSON_PART_NULL || len > most ||
        len >= ROOM - b->used)
        return;
    char *to = b->room + b->used;
    memcpy(to, at, len);
    to[len] = '\0';
    b->used += len + 1;
    kube_build_link(b, slot, to);
}

static void read_scalar(struct kube_build *b, struct json_scan *s, const struct kube_field *f,
                        void *member)
{
    struct json_part part;
    int64_t number;
    bool truth;
    json_scan_pass(s, &part);
    switch (f->type) {
    case KUBE_TEXT:
        kube_build_text(b, &part, f->most ? f->most : MOST_TEXT, member);
        break;
    case KUBE_RAW:
        read_raw(b, &part, f->most, member);
        break;
    case KUBE_INT:
        if (json_part_int(&part, &number))
            memcpy(member, &number, sizeof number);
        break;
    case KUBE_TIME:
        if (part.kind == JSON_PART_TEXT && kube_time(part.at, part.len, &number))
            memcpy(member, &number, sizeof number);
        break;
    case KUBE_BOOL:
        truth = part.kind == JSON_PART_TRUE;
        memcpy(member, &truth, sizeof truth);
        break;
    default:
        break;
    }
}

/* A list, or the values of an object, each as one thing behind the one before. */
static void read_list(struct kube_build *b, struct json_scan *s, const struct kube_field *f,
                      void *member)
{
    struct json_part part;
    void *slot = member, *none = NULL;
    size_t most = f->most ? f->most : MOST_THINGS, count = 0;
    memcpy(slot, &none, sizeof none);
    if (json_scan_next(s) != JSON_PART_LIST) {
        json_scan_pass(s, &part);
        return;
    }
    for (json_scan_list(s); json_scan_item(s);) {
        size_t size = f->type == KUBE_WORDS ? sizeof(struct kube_word) : f->size;
        void *thing = count++ < most ? kube_build_more(b, size) : NULL;
        if (!thing) {
            json_scan_pass(s, &part);
            continue;
        }
        kube_build_link(b, slot, thing);
        slot = thing; /* its first member leads to the next */
        if (f->type == KUBE_WORDS) {
            struct kube_word *word = thing;
            word->text = "";
            json_scan_pass(s, &part);
            kube_build_text(b, &part, MOST_TEXT, &word->text);
        } else {
            kube_build_empty_texts(f->fields, thing);
            kube_build_read(b, s, f->fields, thing);
        }
    }
}

void kube_build_read_value(struct kube_build *b, struct json_scan *s, const struct json_part *key,
                           const struct kube_field *fields, void *into)
{
    struct json_part part;
    for (const struct kube_field *f = fields; f && f->key; f++) {
        if (f->type == KUBE_FILLED || !json_part_is(key, f->key))
            continue;
        char *member = (char *)into + f->offset;
        if (f->type == KUBE_OBJECT)
            kube_build_read(b, s, f->fields, into);
        else if (f->type == KUBE_CALL)
            f->call(b, s, member);
        else if (f->type == KUBE_LIST || f->type == KUBE_WORDS)
            read_list(b, s, f, member);
        else
            read_scalar(b, s, f, member);
        return;
    }
    json_scan_pass(s, &part);
}

void kube_build_read(struct kube_build *b, struct json_scan *s, const struct kube_field *fields,
                     void *into)
{
    struct json_part key;
    if (json_scan_next(s) != JSON_PART_OBJECT) {
        json_scan_pass(s, &key);
        return;
    }
    for (json_scan_object(s); json_scan_member(s, &key);)
        kube_build_read_value(b, s, &key, fields, into);
}

void kube_build_empty_texts(const struct kube_field *fields, void *into)
{
    const char *empty = "";
    for (const struct kube_field *f = fields; f && f->key; f++) {
        if (f->type == KUBE_TEXT || f->type == KUBE_FILLED)
            memcpy((char *)into + f->offset, &empty, sizeof empty);
        else if (f->type == KUBE_OBJECT)
            kube_build_empty_texts(f->fields, into);
    }
}

/* ---- for tables ---- */

static bool is_kept(const struct json_part *key, const char *const *prefixes)
{
    for (; prefixes && *prefixes; prefixes++) {
        size_t len = strlen(*prefixes);
        if (key->len >= len && memcmp(key->at, *prefixes, len) == 0)
            return true;
    }
    return false;
}

void kube_build_pairs(struct kube_build *b, struct json_scan *s, const char *const *prefixes,
                      const struct kube_pair **slot)
{
    struct json_part key, value;
    void *link = slot;
    size_t count = 0;
    *slot = NULL;
    if (!prefixes || json_scan_next(s) != JSON_PART_OBJECT) {
        json_scan_pass(s, &value);
        return;
    }
    for (json_scan_object(s); json_scan_member(s, &key);) {
        json_scan_pass(s, &value);
        if (!is_kept(&key, prefixes) || count == 2 * MOST_THINGS)
            continue;
        struct kube_pair *pair = kube_build_more(b, sizeof *pair);
        if (!pair)
            continue;
        count++;
        pair->key = pair->value = "";
        kube_build_text(b, &key, 320, &pair->key);
        kube_build_text(b, &value, 1024, &pair->value);
        kube_build_link(b, link, pair);
        link = pair;
    }
}

const char *kube_pair_find(const struct kube_pair *list, const char *key)
{
    for (; list; list = list->next)
        if (strcmp(list->key, key) == 0)
            return list->value;
    return NULL;
}

bool kube_part_quantity(const struct json_part *p, int64_t scale, int64_t *ret)
{
    bool may_be =
        p->kind == JSON_PART_TEXT || p->kind == JSON_PART_INT || p->kind == JSON_PART_REAL;
    return may_be && kube_quantity(p->at, p->len, scale, ret);
}
