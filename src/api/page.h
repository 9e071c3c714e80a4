/*
 * The page for people: static files, read whole when the program starts and answered from memory,
 * so no path from outside ever reaches the file system.
 */
#ifndef API_PAGE_H
#define API_PAGE_H

#include "base/err.h"
#include "net/http_server.h"

struct page;

/*
 * index.html and assets/ of FOLDER. A file's packed forms lie beside it with .br and .gz behind its
 * name. What is no regular file, or hidden, is left out. ERR_NOT_FOUND: there is no index.html.
 * ERR_TOO_LARGE: more than 1,000 files or 16 MiB.
 */
int page_load(const char *folder, struct page **ret, struct err *e);
void page_free(struct page *p); /* answers under way keep what they need */

/* One way to send a file. */
struct page_form {
    struct http_bytes *bytes; /* NULL: there is none */
    const char *coding;       /* NULL: as it is */
    char tag[40];
};

struct page_file {
    char name[128]; /* "" is index.html, else the name in assets/ */
    const char *type;
    bool is_forever; /* its name has a hash of what is in it */
    struct page_form forms[3];
};

/* NULL: there is no such file. */
const struct page_file *page_find(const struct page *p, const char *name);
/* The smallest form that this Accept-Encoding (NULL: none) takes; never NULL. */
const struct page_form *page_form(const struct page_file *f, const char *accept);

#endif
