/*
 * Prometheus remote-write 1.0: batches of series as a protobuf message in a snappy block. Agents
 * encode, the control plane decodes; what comes from outside is held to limits.
 */
#ifndef TSDB_REMOTE_WRITE_H
#define TSDB_REMOTE_WRITE_H

#include "tsdb/tsdb.h"

#define REMOTE_WRITE_CONTENT_TYPE     "application/x-protobuf"
#define REMOTE_WRITE_CONTENT_ENCODING "snappy"
#define REMOTE_WRITE_VERSION_HEADER   "X-Prometheus-Remote-Write-Version"
#define REMOTE_WRITE_VERSION          "0.1.0"

enum {
    REMOTE_WRITE_BYTES_MOST = 16 << 20, /* of one message, unpacked */
    REMOTE_WRITE_SAMPLES_MOST = 1000000,
};

struct series {
    const struct label *labels; /* sorted by name, "__name__" included */
    size_t label_count;
    const struct sample *samples; /* t_ms ascending */
    size_t sample_count;
};

/* The request's body, owned by the caller (free()). ERR_TOO_LARGE: send fewer at a time. */
int remote_write_encode(const struct series *series, size_t count, void **ret, size_t *ret_len,
                        struct err *e);

/* Good during the call. Not 0: stop, and the caller returns -1 without touching its error. */
typedef int (*remote_write_on_series)(void *arg, const struct series *series);

/*
 * Calls ON_SERIES for every series of a body from outside, in order. Labels come sorted, without
 * empty values, as UTF-8. ERR_INVALID: not what it should be; series before the bad one were
 * delivered. ERR_TOO_LARGE: over a limit.
 */
int remote_write_decode(const void *body, size_t len, remote_write_on_series on_series, void *arg,
                        struct err *e);

#endif
