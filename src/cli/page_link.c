#include "cli/page_link.h"

#include "base/mem.h"
#include "cli/json_view.h"

#include <inttypes.h>

int page_link_make(struct client *c, const char *user, struct page_link *ret, struct err *e)
{
    auto_json json_t *body = json_object(), *answer = NULL;
    auto_free char *base = client_public_url(c);
    if (user)
        json_object_set_new(body, "user", json_string(user));
    if (client_send(c, HTTP_POST, "/api/v1/links", body, &answer, e) < 0)
        return -1;
    const char *path = view_text(answer, "path");
    if (path[0] != '/')
        return err_set(e, ERR_INTERNAL, "the server's answer holds no link");
    ret->id = view_int(answer, "id", 0);
    ret->url = mem_printf("%s%s", base, path);
    json_object_set_new(answer, "url", json_string(ret->url));
    ret->asked = TAKE(answer);
    return 0;
}

void page_link_done(struct page_link *l)
{
    free(l->url);
    json_decref(l->asked);
    *l = (struct page_link){0};
}

enum page_link_state page_link_look(struct client *c, int64_t id)
{
    char path[64];
    struct err e = {0};
    auto_json json_t *answer = NULL;
    snprintf(path, sizeof path, "/api/v1/links/%" PRId64, id);
    if (client_get(c, path, &answer, &e) == 0)
        return PAGE_LINK_WAITS;
    return e.code == ERR_NOT_FOUND ? PAGE_LINK_GONE : PAGE_LINK_UNKNOWN;
}
