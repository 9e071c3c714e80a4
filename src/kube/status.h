/* What an API server says when it will not do something: its Status object. */
#ifndef KUBE_STATUS_H
#define KUBE_STATUS_H

#include "base/err.h"

#include <stdint.h>

struct kube_status {
    int code;                    /* as the HTTP status; 0: it does not say */
    char reason[48];             /* "NotFound", "Expired"; "" when it gives none */
    char message[400];           /* cut; "" when there is none */
    char cause[48];              /* the reason of its first cause: "FieldManagerConflict" */
    char next[2048];             /* metadata.continue: where an expired list may go on; "" */
    int64_t retry_after_seconds; /* 0: it does not say */
};

/* Also the {"code", "message"} of Argo Server. False: the LEN bytes at JSON are neither. */
bool kube_status_parse(const char *json, size_t len, struct kube_status *ret);

/* The failure, as ours: the code from the reason, else from the HTTP status. Returns -1. */
int kube_status_to_err(const struct kube_status *s, struct err *e);

/* What was asked for is too old to be told (410): list anew. */
bool kube_status_is_expired(const struct kube_status *s);

#endif
