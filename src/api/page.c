#include "api/page.h"

#include "api/door.h"
#include "api/handlers.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/mem.h"
#include "net/http_coding.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

enum { FILES_MOST = 1000, BYTES_MOST = 16 << 20 };

struct page {
    struct page_file *files;
    size_t count, bytes;
};

/* Best first. The plain form is always there. */
static const struct {
    const char *coding, *suffix;
} codings[] = {{"br", ".br"}, {"gzip", ".gz"}, {NULL, ""}};

static const struct {
    const char *suffix, *type;
} types[] = {
    {".html", "text/html; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".ico", "image/x-icon"},
    {".woff2", "font/woff2"},
    {".json", "application/json"},
    {".map", "application/json"},
    {".webmanifest", "application/manifest+json"},
    {".txt", "text/plain; charset=utf-8"},
};

/* ---- loading ---- */

void page_free(struct page *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->count; i++)
        for (size_t k = 0; k < COUNT_OF(codings); k++)
            http_bytes_unref(p->files[i].forms[k].bytes);
    free(p->files);
    free(p);
}

static const char *type_of(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (text_ends_with(name, types[i].suffix))
            return types[i].type;
    return "application/octet-stream";
}

/* "app-3XK7Q2ZB.js": behind the last '-' eight or more of A-Z and 0-9, as bundlers write hashes. */
static bool has_hash(const char *name)
{
    const char *dash = strrchr(name, '-');
    size_t len = dash ? strspn(dash + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") : 0;
    return len >= 8 && dash[1 + len] == '.';
}

static int load_form(struct page *p, const char *path, struct page_form *ret, struct err *e)
{
    auto_free char *data = NULL;
    size_t len;
    if (file_read(path, BYTES_MOST - p->bytes, &data, &len, e) < 0)
        return -1;
    struct digest d = digest_of(data, len);
    char hex[33];
    snprintf(ret->tag, sizeof ret->tag, "\"%s\"", hex_write(hex, d.bytes, 16));
    ret->bytes = http_bytes_new(data, len);
    p->bytes += len;
    return 0;
}

static bool is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* NAME as in struct page_file. */
static int load_file(struct page *p, const char *path, const char *name, struct err *e)
{
    if (p->count == FILES_MOST)
        return err_set(e, ERR_TOO_LARGE, "there are more than %d files", FILES_MOST);
    p->files = mem_resize_array(p->files, p->count + 1);
    struct page_file *f = &p->files[p->count++];
    *f = (struct page_file){.type = type_of(path), .is_forever = has_hash(name)};
    snprintf(f->name, sizeof f->name, "%s", name);
    for (size_t i = 0; i < COUNT_OF(codings); i++) {
        auto_free char *form = mem_printf("%s%s", path, codings[i].suffix);
        f->forms[i].coding = codings[i].coding;
        if ((!codings[i].coding || is_file(form)) && load_form(p, form, &f->forms[i], e) < 0)
            return -1;
    }
    return 0;
}

static bool is_packed(const char *name)
{
    return text_ends_with(name, ".gz") || text_ends_with(name, ".br");
}

static int load_assets(struct page *p, const char *folder, struct err *e)
{
    auto_free char *assets = mem_printf("%s/assets", folder);
    DIR *d = opendir(assets);
    if (!d)
        return errno == ENOENT ? 0 : err_sys(e, errno, "could not open folder '%s'", assets);
    int rc = 0;
    for (struct dirent *entry; rc == 0 && (entry = readdir(d));) {
        const char *name = entry->d_name;
        auto_free char *path = mem_printf("%s/%s", assets, name);
        if (text_is_name(name, sizeof((struct page_file *)0)->name - 1) && !is_packed(name) &&
            is_file(path))
            rc = load_file(p, path, name, e);
    }
    closedir(d);
    return rc;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct page_file *)a)->name, ((const struct page_file *)b)->name);
}

int page_load(const char *folder, struct page **ret, struct err *e)
{
    auto_free char *index = mem_printf("%s/index.html", folder);
    if (!is_file(index))
        return err_set(e, ERR_NOT_FOUND, "there is no page in folder '%s': it has no index.html",
                       folder);
    struct page *p = mem_new(struct page);
    if (load_file(p, index, "", e) < 0 || load_assets(p, folder, e) < 0) {
        page_free(p);
        return err_wrap(e, "could not load the page of folder '%s'", folder);
    }
    qsort(p->files, p->count, sizeof *p->files, by_name);
    *ret = p;
    return 0;
}

/* ---- finding ---- */

static int by_key(const void *name, const void *file)
{
    return strcmp(name, ((const struct page_file *)file)->name);
}

const struct page_file *page_find(const struct page *p, const char *name)
{
    return p ? bsearch(name, p->files, p->count, sizeof *p->files, by_key) : NULL;
}

const struct page_form *page_form(const struct page_file *f, const char *accept)
{
    const struct page_form *best = &f->forms[COUNT_OF(codings) - 1];
    int wanted = -1;
    for (size_t i = 0; i < COUNT_OF(codings); i++) {
        const struct page_form *form = &f->forms[i];
        int weight = http_coding_weight(accept, form->coding ? form->coding : "identity");
        if (form->bytes && weight > wanted && weight > 0) {
            best = form;
            wanted = weight;
        }
    }
    return best;
}

/* ---- answering ---- */

/* Scripts, styles and data come from us alone, nothing may frame us, no form leaves by itself. */
#define POLICY                                                                                     \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "        \
    "font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; "                  \
    "form-action 'none'; frame-ancestors 'none'"

static void answer_file(struct call *c, const struct page_file *f)
{
    const struct page_form *form = page_form(f, http_header_get(c->request, "Accept-Encoding"));
    const char *known = http_header_get(c->request, "If-None-Match");
    bool same = known && (strcmp(known, "*") == 0 || strstr(known, form->tag));
    struct http_header headers[] = {
        {"ETag", form->tag},
        {"Cache-Control", f->is_forever ? "public, max-age=31536000, immutable" : "no-cache"},
        {"Vary", "Accept-Encoding"},
        {"Content-Security-Policy", POLICY},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Opener-Policy", "same-origin"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {"Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()"},
        {form->coding ? "Content-Encoding" : NULL, form->coding},
        {0},
    };
    c->api->answered[same ? 3 : 2]++;
    if (same)
        http_answer(c->request, 304, NULL, headers, NULL);
    else
        http_answer_shared(c->request, 200, f->type, headers, form->bytes);
}

void serve_page(struct call *c)
{
    const struct page_file *f = page_find(c->api->page, "");
    if (f) {
        answer_file(c, f);
        return;
    }
    c->answer.status = 404;
    c->answer.type = "text/plain; charset=utf-8";
    text_add(&c->answer.body,
             "There is no page here: build it with ./run (which needs Node 18), or "
             "name its folder with the option --web of reeved.\n");
    call_answer(c);
}

void serve_asset(struct call *c)
{
    const struct page_file *f = c->param[0][0] ? page_find(c->api->page, c->param[0]) : NULL;
    if (f)
        answer_file(c, f);
    else
        call_refuse(c, ERR_NOT_FOUND, "the page has no file '%.128s'", c->param[0]);
}
