/*
 * The certificate chain and key of a listener. GnuTLS asks for them in each handshake and only
 * borrows what it gets, so what was replaced is kept for as long as a handshake may take.
 */
#include "net/http_parts.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <sys/stat.h>

#define CHAIN_MOST   16
#define FILE_MOST    (1024 * 1024)
#define HANDSHAKE_MS 300000

struct material {
    struct material *older;
    int64_t retired_ms;
    gnutls_pcert_st chain[CHAIN_MOST];
    unsigned count;
    gnutls_privkey_t key;
};

struct file_stamp {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec modified;
};

struct tls_files {
    char *certificate, *key;
    struct file_stamp stamps[2];
    struct material *now; /* and behind it what was replaced */
};

static _Thread_local struct tls_files *serving;

static void material_free(struct material *m)
{
    if (!m)
        return;
    for (unsigned i = 0; i < m->count; i++)
        gnutls_pcert_deinit(&m->chain[i]);
    if (m->key)
        gnutls_privkey_deinit(m->key);
    free(m);
}
DEFINE_AUTO(struct material, material_free)
#define auto_material AUTO(material_freep)

static int read_file(const char *path, gnutls_datum_t *ret, struct err *e)
{
    char *bytes;
    size_t len;
    if (file_read(path, FILE_MOST, &bytes, &len, e) < 0)
        return -1;
    ret->data = (unsigned char *)bytes;
    ret->size = (unsigned)len;
    return 0;
}

static void wipe(gnutls_datum_t *d)
{
    if (d->data)
        gnutls_memset(d->data, 0, d->size);
    free(d->data);
}

static int load_chain(struct material *m, const char *path, struct err *e)
{
    gnutls_datum_t pem = {0};
    if (read_file(path, &pem, e) < 0)
        return -1;
    m->count = CHAIN_MOST;
    int rc = gnutls_pcert_list_import_x509_raw(m->chain, &m->count, &pem, GNUTLS_X509_FMT_PEM, 0);
    free(pem.data);
    if (rc == 0 && m->count > 0)
        return 0;
    m->count = 0;
    return err_set(e, ERR_INVALID, "file '%s' holds no certificate chain in PEM form: %s", path,
                   gnutls_strerror(rc));
}

static int load_key(struct material *m, const char *path, struct err *e)
{
    gnutls_datum_t pem AUTO(wipe) = {0};
    if (read_file(path, &pem, e) < 0)
        return -1;
    int rc = gnutls_privkey_init(&m->key);
    if (rc == 0)
        rc = gnutls_privkey_import_x509_raw(m->key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (rc == 0)
        return 0;
    return err_set(e, ERR_INVALID, "file '%s' holds no private key in PEM form: %s", path,
                   gnutls_strerror(rc));
}

static void pubkey_deinit(gnutls_pubkey_t *key)
{
    if (*key)
        gnutls_pubkey_deinit(*key);
}

/* A key of another certificate would make every handshake fail. */
static bool belong_together(const struct material *m)
{
    unsigned char a[64], b[64];
    size_t a_len = sizeof a, b_len = sizeof b;
    gnutls_pubkey_t public AUTO(pubkey_deinit) = NULL;
    return gnutls_pubkey_init(&public) == 0 &&
           gnutls_pubkey_import_privkey(public, m->key, 0, 0) == 0 &&
           gnutls_pubkey_get_key_id(public, GNUTLS_KEYID_USE_SHA256, a, &a_len) == 0 &&
           gnutls_pubkey_get_key_id(m->chain[0].pubkey, GNUTLS_KEYID_USE_SHA256, b, &b_len) == 0 &&
           a_len == b_len && memcmp(a, b, a_len) == 0;
}

static struct file_stamp stamp_of(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return (struct file_stamp){0};
    return (struct file_stamp){st.st_dev, st.st_ino, st.st_size, st.st_mtim};
}

static bool stamps_equal(const struct file_stamp *a, const struct file_stamp *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           a->modified.tv_sec == b->modified.tv_sec && a->modified.tv_nsec == b->modified.tv_nsec;
}

static void forget_old(struct tls_files *t, int64_t now_ms)
{
    struct material **p = &t->now->older;
    while (*p) {
        struct material *m = *p;
        if (m->retired_ms + HANDSHAKE_MS > now_ms) {
            p = &m->older;
            continue;
        }
        *p = m->older;
        material_free(m);
    }
}

int tls_files_reload(struct tls_files *t, bool only_if_changed, struct err *e)
{
    struct file_stamp stamps[2] = {stamp_of(t->certificate), stamp_of(t->key)};
    if (only_if_changed && stamps_equal(&stamps[0], &t->stamps[0]) &&
        stamps_equal(&stamps[1], &t->stamps[1]))
        return 0;
    /* Noted before it is known to be good: the same bad file is complained about once. */
    memcpy(t->stamps, stamps, sizeof stamps);

    auto_material struct material *m = mem_new(struct material);
    if (load_chain(m, t->certificate, e) < 0 || load_key(m, t->key, e) < 0)
        return -1;
    if (!belong_together(m))
        return err_set(e, ERR_INVALID,
                       "the key in file '%s' is not that of the certificate in '%s'", t->key,
                       t->certificate);

    int64_t now_ms = clock_mono_ms();
    if (t->now)
        t->now->retired_ms = now_ms;
    m->older = t->now;
    t->now = TAKE(m);
    forget_old(t, now_ms);
    return 0;
}

int tls_files_open(const char *certificate, const char *key, struct tls_files **ret, struct err *e)
{
    struct tls_files *t = mem_new(struct tls_files);
    t->certificate = mem_strdup(certificate);
    t->key = mem_strdup(key);
    if (tls_files_reload(t, false, e) < 0) {
        tls_files_free(t);
        return -1;
    }
    *ret = t;
    return 0;
}

void tls_files_free(struct tls_files *t)
{
    if (!t)
        return;
    for (struct material *m = t->now, *older; m; m = older) {
        older = m->older;
        material_free(m);
    }
    free(t->certificate);
    free(t->key);
    free(t);
}

void tls_files_serve(struct tls_files *t)
{
    serving = t;
}

int tls_files_retrieve(gnutls_session_t session, const gnutls_datum_t *ca, int ca_count,
                       const gnutls_pk_algorithm_t *algos, int algo_count,
                       gnutls_pcert_st **ret_certs, unsigned *ret_count, gnutls_privkey_t *ret_key)
{
    (void)session;
    (void)ca;
    (void)ca_count;
    (void)algos;
    (void)algo_count;
    if (!serving)
        return -1;
    *ret_certs = serving->now->chain;
    *ret_count = serving->now->count;
    *ret_key = serving->now->key;
    return 0;
}
