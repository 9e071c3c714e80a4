#include "door.h"

#include "base/file.h"
#include "base/mem.h"
#include "net/own_cert.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#define DAY_MS INT64_C(86400000)

struct place {
    char folder[64];
    char ca[96], server[96], key[96];
};

static void place_make(struct place *p)
{
    strcpy(p->folder, "/tmp/test-own-XXXXXX");
    CHECK(mkdtemp(p->folder));
    snprintf(p->ca, sizeof p->ca, "%s/tls/ca.pem", p->folder);
    snprintf(p->key, sizeof p->key, "%s/tls/ca.key", p->folder);
    snprintf(p->server, sizeof p->server, "%s/tls/server.pem", p->folder);
}

static void place_remove(struct place *p)
{
    file_remove_tree(p->folder, NULL);
}
#define auto_place AUTO(place_remove)

static int64_t now_ms(void)
{
    return (int64_t)time(NULL) * 1000;
}

/* Whether server.pem was made anew. */
static bool ensure(struct place *p, const char *const *names, int64_t at_ms)
{
    auto_free char *folder = mem_printf("%s/tls", p->folder);
    bool changed;
    CHECK_OK(own_cert_ensure(folder, names, at_ms, &changed, &test_err));
    return changed;
}

static char *content(const char *path)
{
    char *text;
    size_t len;
    CHECK_OK(file_read(path, 65536, &text, &len, &test_err));
    return text;
}

static unsigned mode_of(const char *path)
{
    struct stat st;
    CHECK(stat(path, &st) == 0);
    return st.st_mode & 0777;
}

TEST("whoever trusts the CA that we made is served with the certificate that we made")
{
    auto_place struct place p = {0};
    struct door d = {0};
    struct http_reply reply;
    place_make(&p);
    CHECK(ensure(&p, NULL, now_ms()));
    CHECK_INT(mode_of(p.server), 0600);
    CHECK_INT(mode_of(p.key), 0600);
    CHECK_INT(mode_of(p.ca), 0644);
    d.listen.certificate = d.listen.key = p.server;
    door_open(&d);
    auto_free char *url = mem_printf("https://localhost:%u/peer", d.port);
    auto_http_sync struct http_sync *c = http_sync_new();
    struct http_call call = {.url = url, .ca_file = p.ca};
    CHECK_OK(http_sync_send(c, &call, NULL, &reply, &test_err));
    auto_free char *bare = mem_printf("https://127.0.0.1:%u/peer", d.port);
    call.url = bare;
    CHECK_OK(http_sync_send(c, &call, NULL, &reply, &test_err));
    door_close(&d);
}

TEST("OpenSSL finds the chain good, for each name and no other")
{
    static const char *const names[] = {"reeve.reeve.svc", "10.0.0.7", "*", NULL};
    auto_place struct place p = {0};
    place_make(&p);
    ensure(&p, names, now_ms());
    auto_free char *good = mem_printf("openssl verify -x509_strict -purpose sslserver -CAfile %s "
                                      "-verify_hostname reeve.reeve.svc %s >/dev/null 2>&1",
                                      p.ca, p.server);
    CHECK_INT(system(good), 0);
    auto_free char *address = mem_printf(
        "openssl verify -CAfile %s -verify_ip 10.0.0.7 %s >/dev/null 2>&1", p.ca, p.server);
    CHECK_INT(system(address), 0);
    auto_free char *other = mem_printf(
        "openssl verify -CAfile %s -verify_hostname other.svc %s >/dev/null 2>&1", p.ca, p.server);
    CHECK(system(other) != 0);
}

TEST("a certificate is made anew before it ends, by the same authority")
{
    auto_place struct place p = {0};
    place_make(&p);
    int64_t now = now_ms();
    CHECK(ensure(&p, NULL, now));
    auto_free char *ca = content(p.ca);
    CHECK(!ensure(&p, NULL, now));
    CHECK(!ensure(&p, NULL, now + 270 * DAY_MS));
    CHECK(ensure(&p, NULL, now + 280 * DAY_MS));
    CHECK(!ensure(&p, NULL, now + 281 * DAY_MS));
    auto_free char *after = content(p.ca);
    CHECK_TEXT(after, ca);

    CHECK(ensure(&p, NULL, now + 7300 * DAY_MS)); /* the authority's own end comes near */
    auto_free char *other = content(p.ca);
    CHECK(strcmp(other, ca) != 0);
}

TEST("a further name, and files that are spoilt or of two pairs, make it anew")
{
    static const char *const two[] = {"a.example", "b.example", NULL};
    static const char *const one[] = {"a.example", NULL};
    auto_place struct place p = {0};
    place_make(&p);
    int64_t now = now_ms();
    ensure(&p, one, now);
    CHECK(ensure(&p, two, now));
    CHECK(!ensure(&p, one, now)); /* it says more than is asked for */
    CHECK_OK(file_replace(p.server, "spoilt", 6, 0600, &test_err));
    CHECK(ensure(&p, two, now));
    auto_free char *ca = content(p.ca);
    CHECK_OK(file_replace(p.server, ca, strlen(ca), 0600, &test_err));
    CHECK(ensure(&p, two, now));
    CHECK(unlink(p.key) == 0);
    CHECK(ensure(&p, two, now));
    auto_free char *other = content(p.ca);
    CHECK(strcmp(other, ca) != 0);
}
