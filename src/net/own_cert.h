/*
 * A certificate for a server that nobody gave one: signed by an authority of its own, whose
 * certificate is given to those that are to trust the server. In a folder:
 *
 *     ca.key      the authority's key, mode 0600
 *     ca.pem      its certificate, good for 20 years: what others trust
 *     server.pem  the server's certificate, good for a year, and its key, mode 0600: one file, so
 *                 that the two always fit each other
 */
#ifndef NET_OWN_CERT_H
#define NET_OWN_CERT_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Makes what is missing, cannot be read, ends within 90 days of NOW_MS or lacks one of NAMES (host
 * names and addresses; NULL ends them; "*" is passed over; localhost is always added). A
 * certificate that is made anew is signed by the same authority while that lasts. RET_CHANGED:
 * server.pem is another one; may be NULL. Reads and writes files.
 */
int own_cert_ensure(const char *folder, const char *const *names, int64_t now_ms, bool *ret_changed,
                    struct err *e);

#endif
