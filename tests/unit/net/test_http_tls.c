#include "certs.h"
#include "door.h"

#include "base/mem.h"

#include <stdlib.h>

struct place {
    struct door door;
    struct certs certs;
    char url[128];
};

static void place_open(struct place *p)
{
    *p = (struct place){0};
    certs_make(&p->certs);
    p->door.listen.certificate = p->certs.certificate;
    p->door.listen.key = p->certs.key;
    door_open(&p->door);
    snprintf(p->url, sizeof p->url, "%s/peer", p->door.url);
}

static void place_close(struct place *p)
{
    door_close(&p->door);
    certs_remove(&p->certs);
}

TEST("a client that trusts the CA is served over TLS, another refuses us")
{
    struct place p;
    struct http_reply reply;
    place_open(&p);
    auto_http_sync struct http_sync *c = http_sync_new();
    struct http_call call = {.url = p.url, .ca_file = p.certs.ca};
    CHECK_OK(http_sync_send(c, &call, NULL, &reply, &test_err));
    ck_assert_msg(strstr(reply.body, "tls loopback"), "%s", reply.body);

    auto_http_sync struct http_sync *stranger = http_sync_new();
    struct http_call no_trust = {.url = p.url};
    CHECK_FAILS(http_sync_send(stranger, &no_trust, NULL, &reply, &test_err), ERR_DENIED,
                "certificate");
    no_trust.insecure = true;
    CHECK_OK(http_sync_send(stranger, &no_trust, NULL, &reply, &test_err));
    place_close(&p);
}

static void reload(struct door *d, void *ret_rc)
{
    *(int *)ret_rc = http_server_reload_tls(d->server, &test_err);
}

TEST("a renewed certificate serves new connections, and old ones go on")
{
    struct place p;
    struct http_reply reply;
    place_open(&p);
    auto_free char *old_ca = mem_printf("%s/old.pem", p.certs.folder);
    auto_free char *copy = mem_printf("cp %s %s", p.certs.ca, old_ca);
    CHECK(system(copy) == 0);
    auto_http_sync struct http_sync *before = http_sync_new();
    struct http_call old_call = {.url = p.url, .ca_file = old_ca};
    CHECK_OK(http_sync_send(before, &old_call, NULL, &reply, &test_err));

    certs_renew(&p.certs);
    int rc;
    door_do(&p.door, reload, &rc);
    CHECK_OK(rc);

    CHECK_OK(
        http_sync_send(before, &old_call, NULL, &reply, &test_err)); /* its connection is kept */
    CHECK_INT(door_counts(&p.door).connections_total, 1);
    auto_http_sync struct http_sync *after = http_sync_new();
    CHECK_FAILS(http_sync_send(after, &old_call, NULL, &reply, &test_err), ERR_DENIED,
                "certificate");
    struct http_call new_call = {.url = p.url, .ca_file = p.certs.ca};
    CHECK_OK(http_sync_send(after, &new_call, NULL, &reply, &test_err));
    place_close(&p);
}

static void spoil(const char *path)
{
    FILE *f = fopen(path, "w");
    CHECK(f);
    fputs("no certificate\n", f);
    fclose(f);
}

TEST("a certificate that cannot be read again leaves the old one in use")
{
    struct place p;
    struct http_reply reply;
    place_open(&p);
    auto_free char *keep = mem_printf("cp %s %s/keep.pem", p.certs.ca, p.certs.folder);
    CHECK(system(keep) == 0);
    spoil(p.certs.certificate);
    int rc;
    door_do(&p.door, reload, &rc);
    CHECK_INT(rc, -1);
    CHECK(strstr(test_err.text, "cert.pem"));
    auto_http_sync struct http_sync *c = http_sync_new();
    struct http_call call = {.url = p.url, .ca_file = p.certs.ca};
    CHECK_OK(http_sync_send(c, &call, NULL, &reply, &test_err));
    place_close(&p);
}

TEST("files that are missing, no certificate or of two pairs are refused before listening")
{
    auto_certs struct certs a = {0};
    auto_certs struct certs b = {0};
    certs_make(&a);
    certs_make(&b);
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct http_server *s = http_server_new(&loop, &(struct http_server_config){0});
    struct http_listen how = {.address = "127.0.0.1:0", .certificate = a.certificate, .key = b.key};
    CHECK_FAILS(http_server_listen(s, &how, NULL, &test_err), ERR_INVALID, "not that of");
    how.key = "/nonexistent/key.pem";
    CHECK_FAILS(http_server_listen(s, &how, NULL, &test_err), ERR_NOT_FOUND, "/nonexistent");
    spoil(a.certificate);
    how.key = a.key;
    CHECK_FAILS(http_server_listen(s, &how, NULL, &test_err), ERR_INVALID, "PEM");
    http_server_stop(s, 0, NULL, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK_INT(uv_loop_close(&loop), 0);
}

TEST("plain HTTP and nonsense at a TLS port do no harm")
{
    struct place p;
    struct http_reply reply;
    place_open(&p);
    auto_free char *plain = raw_ask(&p.door, "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n");
    CHECK_INT(raw_status(plain), 0);
    auto_free char *nonsense = raw_ask(&p.door, "\x16\x03\x01\xff\xff nonsense nonsense");
    CHECK_INT(raw_status(nonsense), 0);
    auto_http_sync struct http_sync *c = http_sync_new();
    struct http_call call = {.url = p.url, .ca_file = p.certs.ca};
    CHECK_OK(http_sync_send(c, &call, NULL, &reply, &test_err));
    CHECK_INT(p.door.calls, 1);
    place_close(&p);
}

TEST("a handshake that does not come to an end is cut")
{
    struct place p = {.door.config.header_ms = 100};
    certs_make(&p.certs);
    p.door.listen.certificate = p.certs.certificate;
    p.door.listen.key = p.certs.key;
    door_open(&p.door);
    auto_close int fd = raw_connect(&p.door);
    auto_free char *nothing = raw_read(fd, NULL);
    CHECK_TEXT(nothing, "");
    place_close(&p);
}

TEST("a large body and a large answer pass through TLS")
{
    struct place p;
    struct http_reply reply;
    place_open(&p);
    auto_free char *body = mem_alloc(1000000, 1);
    for (int i = 0; i < 1000000; i++)
        body[i] = (char)(i * 31 >> 3);
    auto_free char *url = mem_printf("%s/echo", p.door.url);
    auto_http_sync struct http_sync *c = http_sync_new();
    struct http_call call = {HTTP_POST, .url = url, .ca_file = p.certs.ca, .body = body,
                             .len = 1000000};
    CHECK_OK(http_sync_send(c, &call, NULL, &reply, &test_err));
    CHECK_INT(reply.len, 1000000);
    CHECK(memcmp(reply.body, body, 1000000) == 0);
    place_close(&p);
}
