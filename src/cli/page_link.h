/* Links that sign a browser in at the page: each works once, for minutes. */
#ifndef CLI_PAGE_LINK_H
#define CLI_PAGE_LINK_H

#include "cli/client.h"

struct page_link {
    int64_t id;
    char *url;     /* "http://127.0.0.1:8081/#/link=..." */
    json_t *asked; /* the server's answer, with "url" beside it */
};

/* For USER; NULL: for whoever we are. */
int page_link_make(struct client *c, const char *user, struct page_link *ret, struct err *e);
void page_link_done(struct page_link *l); /* fine for one that is all zero */

enum page_link_state { PAGE_LINK_WAITS, PAGE_LINK_GONE, PAGE_LINK_UNKNOWN };
/* Gone: used, revoked or over. Unknown: the server does not answer. */
enum page_link_state page_link_look(struct client *c, int64_t id);

#endif
