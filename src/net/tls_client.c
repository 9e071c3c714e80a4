#include "net/tls_client.h"

#include "base/mem.h"
#include "net/addr.h"

#include <errno.h>
#include <gnutls/gnutls.h>

struct tls_client {
    gnutls_certificate_credentials_t credentials;
    gnutls_session_t session;
    char *host;
    struct text in; /* from the wire; the first READ bytes are used up */
    size_t read;
    struct text out;
};

static ssize_t pull(gnutls_transport_ptr_t arg, void *p, size_t room)
{
    struct tls_client *t = arg;
    size_t len = t->in.len - t->read;
    if (len == 0) {
        gnutls_transport_set_errno(t->session, EAGAIN);
        return -1;
    }
    if (len > room)
        len = room;
    memcpy(p, t->in.data + t->read, len);
    t->read += len;
    if (t->read == t->in.len) {
        text_clear(&t->in);
        t->read = 0;
    }
    return (ssize_t)len;
}

static ssize_t push(gnutls_transport_ptr_t arg, const void *p, size_t len)
{
    struct tls_client *t = arg;
    text_add_bytes(&t->out, p, len);
    return (ssize_t)len;
}

static int fail(int rc, const char *what, struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "%s: %s", what, gnutls_strerror(rc));
}

static int load_files(struct tls_client *t, const char *ca, const char *certificate,
                      const char *key, struct err *e)
{
    int rc = ca ? gnutls_certificate_set_x509_trust_file(t->credentials, ca, GNUTLS_X509_FMT_PEM)
                : gnutls_certificate_set_x509_system_trust(t->credentials);
    if (rc <= 0 && ca)
        return err_set(e, ERR_INVALID, "file '%s' holds no certificates in PEM form%s%s", ca,
                       rc < 0 ? ": " : "", rc < 0 ? gnutls_strerror(rc) : "");
    if (!certificate)
        return 0;
    rc =
        gnutls_certificate_set_x509_key_file(t->credentials, certificate, key, GNUTLS_X509_FMT_PEM);
    if (rc < 0)
        return err_set(e, ERR_INVALID, "certificate '%s' with key '%s' cannot be used: %s",
                       certificate, key, gnutls_strerror(rc));
    return 0;
}

static int begin(struct tls_client *t, struct err *e)
{
    int rc = gnutls_init(&t->session, GNUTLS_CLIENT | GNUTLS_NONBLOCK);
    if (rc < 0)
        return fail(rc, "could not begin with TLS", e);
    gnutls_set_default_priority(t->session);
    gnutls_credentials_set(t->session, GNUTLS_CRD_CERTIFICATE, t->credentials);
    gnutls_session_set_verify_cert(t->session, t->host, 0);
    if (!net_host_is_ip(t->host))
        gnutls_server_name_set(t->session, GNUTLS_NAME_DNS, t->host, strlen(t->host));
    gnutls_transport_set_ptr(t->session, t);
    gnutls_transport_set_pull_function(t->session, pull);
    gnutls_transport_set_push_function(t->session, push);
    return 0;
}

int tls_client_new(const char *host, const char *ca, const char *certificate, const char *key,
                   struct tls_client **ret, struct err *e)
{
    struct tls_client *t = mem_new(struct tls_client);
    t->host = mem_strdup(host);
    int rc = gnutls_certificate_allocate_credentials(&t->credentials);
    if (rc < 0)
        fail(rc, "could not begin with TLS", e);
    if (rc < 0 || load_files(t, ca, certificate, key, e) < 0 || begin(t, e) < 0) {
        tls_client_free(t);
        return -1;
    }
    *ret = t;
    return 0;
}

void tls_client_free(struct tls_client *t)
{
    if (!t)
        return;
    if (t->session)
        gnutls_deinit(t->session);
    if (t->credentials)
        gnutls_certificate_free_credentials(t->credentials);
    text_done(&t->in);
    text_done(&t->out);
    free(t->host);
    free(t);
}

void tls_client_feed(struct tls_client *t, const char *p, size_t len)
{
    text_add_bytes(&t->in, p, len);
}

struct text *tls_client_out(struct tls_client *t)
{
    return &t->out;
}

/* Why a certificate was refused, in GnuTLS' words. */
static int refused(struct tls_client *t, struct err *e)
{
    gnutls_datum_t words = {0};
    unsigned status = gnutls_session_get_verify_cert_status(t->session);
    int type = (int)gnutls_certificate_type_get(t->session);
    if (gnutls_certificate_verification_status_print(status, (gnutls_certificate_type_t)type,
                                                     &words, 0) < 0)
        return err_set(e, ERR_UNAVAILABLE, "the certificate of '%s' is not to be trusted", t->host);
    err_set(e, ERR_UNAVAILABLE, "the certificate of '%s' is not to be trusted: %.300s", t->host,
            (const char *)words.data);
    gnutls_free(words.data);
    return -1;
}

int tls_client_handshake(struct tls_client *t, struct err *e)
{
    for (;;) {
        int rc = gnutls_handshake(t->session);
        if (rc == GNUTLS_E_SUCCESS)
            return 1;
        if (rc == GNUTLS_E_AGAIN)
            return 0;
        if (rc == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR)
            return refused(t, e);
        if (rc == GNUTLS_E_FATAL_ALERT_RECEIVED)
            return err_set(e, ERR_UNAVAILABLE, "TLS was refused by the other side: %s",
                           gnutls_alert_get_name(gnutls_alert_get(t->session)));
        if (gnutls_error_is_fatal(rc))
            return fail(rc, "TLS could not be agreed on", e);
    }
}

long tls_client_read(struct tls_client *t, char *p, size_t room, struct err *e)
{
    for (;;) {
        ssize_t n = gnutls_record_recv(t->session, p, room);
        if (n > 0)
            return (long)n;
        if (n == GNUTLS_E_AGAIN)
            return 0;
        if (n == 0)
            return err_set(e, ERR_UNAVAILABLE, "the other side ended the connection");
        if (n == GNUTLS_E_FATAL_ALERT_RECEIVED)
            return err_set(e, ERR_UNAVAILABLE, "TLS was ended by the other side: %s",
                           gnutls_alert_get_name(gnutls_alert_get(t->session)));
        if (gnutls_error_is_fatal((int)n))
            return fail((int)n, "TLS failed", e);
    }
}

int tls_client_write(struct tls_client *t, const void *p, size_t len, struct err *e)
{
    const char *at = p;
    while (len) {
        ssize_t n = gnutls_record_send(t->session, at, len);
        if (n == GNUTLS_E_INTERRUPTED || n == GNUTLS_E_AGAIN)
            n = gnutls_record_send(t->session, NULL, 0);
        if (n < 0)
            return fail((int)n, "TLS failed", e);
        at += n;
        len -= (size_t)n;
    }
    return 0;
}
