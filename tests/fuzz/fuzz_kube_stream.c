/* A list or stream gives the same objects however the network cuts it: in one piece, and in pieces
 * whose size the second byte says. The first one says which of both it is. */
#include "base/json.h"
#include "kube/split.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool collect(void *arg, const char *json, size_t len)
{
    assert(len >= 2 && json[0] == '{' && json[len - 1] == '}');
    text_add_bytes(arg, json, len);
    text_add_char(arg, '|');
    return true;
}

static int split(enum kube_split_mode mode, const char *p, size_t len, size_t piece,
                 struct text *out, struct err *e)
{
    struct kube_split s = {.mode = mode, .most = 1000, .on_object = collect, .arg = out};
    int rc = 0;
    for (size_t at = 0; at < len && rc == 0; at += piece)
        rc = kube_split_feed(&s, p + at, len - at < piece ? len - at : piece, e);
    if (rc == 0)
        rc = kube_split_end(&s, e);
    assert(rc == 0 || e->code);
    kube_split_done(&s);
    return rc;
}

/* What is JSON in itself is split into what jansson finds in it. */
static void compare(const char *p, size_t len, const char *out)
{
    auto_json json_t *tree = NULL;
    size_t objects = 0, items;
    if (json_parse(p, len, &tree, NULL) < 0 || !json_is_object(tree))
        return;
    for (const char *c = out; *c; c++)
        objects += *c == '|' && (c[1] == '{' || !c[1]) && c > out && c[-1] == '}';
    items = json_array_size(json_object_get(tree, "items"));
    assert(items == 0 || objects >= items); /* bars within texts may add to it */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    enum kube_split_mode mode = data[0] % 2 ? KUBE_SPLIT_ITEMS : KUBE_SPLIT_EVENTS;
    size_t piece = data[1] ? data[1] : 1;
    const char *p = (const char *)data + 2;
    auto_text struct text whole = {0}, pieces = {0};
    struct err e = {0}, f = {0};
    int rc = split(mode, p, size - 2, size, &whole, &e);
    assert(split(mode, p, size - 2, piece, &pieces, &f) == rc);
    /* A piece that is too large is noticed sooner or later, by the way it comes in. */
    assert(e.code == f.code || e.code == ERR_TOO_LARGE || f.code == ERR_TOO_LARGE);
    if (rc == 0)
        assert(strcmp(text_get(&whole), text_get(&pieces)) == 0);
    if (rc == 0 && mode == KUBE_SPLIT_ITEMS && !memmem(p, size - 2, "\\", 1))
        compare(p, size - 2, text_get(&whole));
    return 0;
}
