#include "net/own_cert.h"

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/failpoint.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <string.h>
#include <time.h>

#define DAY_S     INT64_C(86400)
#define CA_S      (20 * 365 * DAY_S)
#define SERVER_S  (365 * DAY_S)
#define RENEW_S   (90 * DAY_S)
#define FILE_MOST 65536

static const char *const usual_names[] = {"localhost", "127.0.0.1", "::1", NULL};

static void crt_freep(gnutls_x509_crt_t *c)
{
    if (*c)
        gnutls_x509_crt_deinit(*c);
}
#define auto_crt AUTO(crt_freep)

static void key_freep(gnutls_x509_privkey_t *k)
{
    if (*k)
        gnutls_x509_privkey_deinit(*k);
}
#define auto_key AUTO(key_freep)

struct authority {
    gnutls_x509_crt_t crt;
    gnutls_x509_privkey_t key;
};

static void authority_done(struct authority *a)
{
    crt_freep(&a->crt);
    key_freep(&a->key);
}
#define auto_authority AUTO(authority_done)

static int failed(int rc, const char *what, struct err *e)
{
    return err_set(e, ERR_INTERNAL, "could not %s: %s", what, gnutls_strerror(rc));
}

/* ---- reading ---- */

static bool read_crt(const char *path, gnutls_x509_crt_t *ret)
{
    auto_free char *text = NULL;
    size_t len;
    if (file_read(path, FILE_MOST, &text, &len, NULL) < 0 || gnutls_x509_crt_init(ret) < 0)
        return false;
    const gnutls_datum_t pem = {(unsigned char *)text, (unsigned)len};
    return gnutls_x509_crt_import(*ret, &pem, GNUTLS_X509_FMT_PEM) == 0;
}

static bool read_key(const char *path, gnutls_x509_privkey_t *ret)
{
    auto_free char *text = NULL;
    size_t len;
    if (file_read(path, FILE_MOST, &text, &len, NULL) < 0 || gnutls_x509_privkey_init(ret) < 0)
        return false;
    const gnutls_datum_t pem = {(unsigned char *)text, (unsigned)len};
    bool good = gnutls_x509_privkey_import2(*ret, &pem, GNUTLS_X509_FMT_PEM, NULL, 0) == 0;
    explicit_bzero(text, len);
    return good;
}

static bool fits(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key)
{
    unsigned char a[64], b[64];
    size_t a_len = sizeof a, b_len = sizeof b;
    return gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, a, &a_len) == 0 &&
           gnutls_x509_privkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, b, &b_len) == 0 &&
           a_len == b_len && memcmp(a, b, a_len) == 0;
}

static bool lasts(gnutls_x509_crt_t crt, int64_t now_s)
{
    return gnutls_x509_crt_get_expiration_time(crt) > now_s + RENEW_S &&
           gnutls_x509_crt_get_activation_time(crt) <= now_s;
}

static bool names_all(gnutls_x509_crt_t crt, const char *const *names)
{
    for (; names && *names; names++)
        if (strcmp(*names, "*") != 0 && !gnutls_x509_crt_check_hostname(crt, *names))
            return false;
    return true;
}

static bool is_good(const char *path, const struct authority *a, const char *const *names,
                    int64_t now_s)
{
    auto_crt gnutls_x509_crt_t crt = NULL;
    auto_key gnutls_x509_privkey_t key = NULL;
    return read_crt(path, &crt) && read_key(path, &key) && fits(crt, key) && lasts(crt, now_s) &&
           gnutls_x509_crt_check_issuer(crt, a->crt) && names_all(crt, usual_names) &&
           names_all(crt, names);
}

/* ---- making ---- */

static int new_key(gnutls_x509_privkey_t *ret, struct err *e)
{
    int rc = gnutls_x509_privkey_init(ret);
    if (rc == 0)
        rc = gnutls_x509_privkey_generate(*ret, GNUTLS_PK_ECDSA,
                                          GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
    return rc < 0 ? failed(rc, "make a key", e) : 0;
}

/* What both kinds have: a number of their own, whose it is, and from when to when. */
static int begin_crt(gnutls_x509_crt_t *ret, gnutls_x509_privkey_t key, const char *name,
                     int64_t now_s, int64_t for_s, struct err *e)
{
    unsigned char serial[16], id[64];
    size_t id_len = sizeof id;
    random_fill(serial, sizeof serial);
    serial[0] = (serial[0] & 0x3f) | 0x40; /* positive, and never shorter */
    int rc = gnutls_x509_crt_init(ret);
    if (rc < 0)
        return failed(rc, "make a certificate", e);
    gnutls_x509_crt_t crt = *ret;
    if ((rc = gnutls_x509_crt_set_version(crt, 3)) < 0 ||
        (rc = gnutls_x509_crt_set_serial(crt, serial, sizeof serial)) < 0 ||
        (rc = gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                            (unsigned)strlen(name))) < 0 ||
        /* Others' clocks may be behind ours. */
        (rc = gnutls_x509_crt_set_activation_time(crt, now_s - DAY_S)) < 0 ||
        (rc = gnutls_x509_crt_set_expiration_time(crt, now_s + for_s)) < 0 ||
        (rc = gnutls_x509_crt_set_key(crt, key)) < 0 ||
        (rc = gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA1, id, &id_len)) < 0 ||
        (rc = gnutls_x509_crt_set_subject_key_id(crt, id, id_len)) < 0)
        return failed(rc, "make a certificate", e);
    return 0;
}

static int add_name(gnutls_x509_crt_t crt, const char *name, struct err *e)
{
    unsigned char address[16];
    int rc;
    if (inet_pton(AF_INET, name, address) == 1)
        rc = gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, address, 4,
                                                  GNUTLS_FSAN_APPEND);
    else if (inet_pton(AF_INET6, name, address) == 1)
        rc = gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, address, 16,
                                                  GNUTLS_FSAN_APPEND);
    else
        rc = gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, name,
                                                  (unsigned)strlen(name), GNUTLS_FSAN_APPEND);
    return rc < 0 ? failed(rc, "put a name into a certificate", e) : 0;
}

static int add_pem(struct text *out, int rc, gnutls_datum_t *pem, struct err *e)
{
    if (rc < 0)
        return failed(rc, "write a certificate or key", e);
    text_add_bytes(out, (const char *)pem->data, pem->size);
    explicit_bzero(pem->data, pem->size);
    gnutls_free(pem->data);
    return 0;
}

static int add_crt(struct text *out, gnutls_x509_crt_t crt, struct err *e)
{
    gnutls_datum_t pem = {0};
    return add_pem(out, gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem), &pem, e);
}

static int add_key(struct text *out, gnutls_x509_privkey_t key, struct err *e)
{
    gnutls_datum_t pem = {0};
    return add_pem(out, gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, 0, &pem),
                   &pem, e);
}

static int make_authority(const char *key_path, const char *crt_path, int64_t now_s,
                          struct authority *ret, struct err *e)
{
    auto_authority struct authority a = {0};
    auto_text struct text key = {0}, crt = {0};
    if (new_key(&a.key, e) < 0 || begin_crt(&a.crt, a.key, "Reeve's own CA", now_s, CA_S, e) < 0)
        return -1;
    int rc = gnutls_x509_crt_set_basic_constraints(a.crt, 1, 0);
    if (rc == 0)
        rc = gnutls_x509_crt_set_key_usage(a.crt, GNUTLS_KEY_KEY_CERT_SIGN);
    if (rc == 0)
        rc = gnutls_x509_crt_sign2(a.crt, a.crt, a.key, GNUTLS_DIG_SHA256, 0);
    if (rc < 0)
        return failed(rc, "sign a certificate", e);
    /* A key without its certificate is made anew, so what others may trust comes last. */
    if (add_key(&key, a.key, e) < 0 || add_crt(&crt, a.crt, e) < 0 ||
        file_replace(key_path, text_get(&key), key.len, 0600, e) < 0)
        return -1;
    if (FAILPOINT("net.own-cert.authority"))
        return err_set(e, ERR_INTERNAL, "failpoint net.own-cert.authority");
    if (file_replace(crt_path, text_get(&crt), crt.len, 0644, e) < 0)
        return -1;
    explicit_bzero(key.data, key.len);
    *ret = a;
    memset(&a, 0, sizeof a); /* theirs now */
    return 0;
}

static int sign_server(gnutls_x509_crt_t crt, const struct authority *a, struct err *e)
{
    unsigned char id[64];
    size_t len = sizeof id;
    int rc = gnutls_x509_crt_get_key_id(a->crt, GNUTLS_KEYID_USE_SHA1, id, &len);
    if (rc == 0)
        rc = gnutls_x509_crt_set_authority_key_id(crt, id, len);
    if (rc == 0)
        rc = gnutls_x509_crt_set_basic_constraints(crt, 0, -1);
    if (rc == 0)
        rc = gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE);
    if (rc == 0)
        rc = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
    if (rc == 0)
        rc = gnutls_x509_crt_sign2(crt, a->crt, a->key, GNUTLS_DIG_SHA256, 0);
    return rc < 0 ? failed(rc, "sign a certificate", e) : 0;
}

static int make_server(const char *path, const struct authority *a, const char *const *names,
                       int64_t now_s, struct err *e)
{
    auto_crt gnutls_x509_crt_t crt = NULL;
    auto_key gnutls_x509_privkey_t key = NULL;
    auto_text struct text pem = {0};
    if (new_key(&key, e) < 0 || begin_crt(&crt, key, "reeved", now_s, SERVER_S, e) < 0)
        return -1;
    for (const char *const *n = usual_names; *n; n++)
        if (add_name(crt, *n, e) < 0)
            return -1;
    for (const char *const *n = names; n && *n; n++)
        if (strcmp(*n, "*") != 0 && add_name(crt, *n, e) < 0)
            return -1;
    if (sign_server(crt, a, e) < 0 || add_crt(&pem, crt, e) < 0 || add_key(&pem, key, e) < 0)
        return -1;
    int rc = file_replace(path, text_get(&pem), pem.len, 0600, e);
    explicit_bzero(pem.data, pem.len);
    return rc;
}

int own_cert_ensure(const char *folder, const char *const *names, int64_t now_ms, bool *ret_changed,
                    struct err *e)
{
    auto_authority struct authority a = {0};
    auto_free char *ca_key = mem_printf("%s/ca.key", folder), *ca = mem_printf("%s/ca.pem", folder),
                   *server = mem_printf("%s/server.pem", folder);
    int64_t now_s = now_ms / 1000;
    bool changed = false;
    if (file_make_folder(folder, 0711, e) < 0)
        return -1;
    if (!read_key(ca_key, &a.key) || !read_crt(ca, &a.crt) || !fits(a.crt, a.key) ||
        !lasts(a.crt, now_s)) {
        authority_done(&a);
        a = (struct authority){0};
        if (make_authority(ca_key, ca, now_s, &a, e) < 0)
            return err_wrap(e, "could not make an authority in '%s'", folder);
    }
    if (!is_good(server, &a, names, now_s)) {
        if (make_server(server, &a, names, now_s, e) < 0)
            return err_wrap(e, "could not make a certificate in '%s'", folder);
        changed = true;
    }
    if (ret_changed)
        *ret_changed = changed;
    return 0;
}
