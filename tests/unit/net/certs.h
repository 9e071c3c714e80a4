/* Certificates for tests, made by the openssl program in a folder of their own. */
#ifndef UNIT_NET_CERTS_H
#define UNIT_NET_CERTS_H

struct certs {
    char folder[64];
    char ca[96], certificate[96], key[96];
};

/* A new CA, and a certificate by it for localhost and 127.0.0.1. */
void certs_make(struct certs *c);
/* The same into the same files, by another CA. */
void certs_renew(struct certs *c);
void certs_remove(struct certs *c);

#define auto_certs __attribute__((cleanup(certs_remove)))

#endif
