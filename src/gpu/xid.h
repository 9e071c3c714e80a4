/* NVIDIA's error codes (XID): what each means, how bad it is, what helps. */
#ifndef GPU_XID_H
#define GPU_XID_H

#include <stdint.h>

enum xid_severity {
    XID_INFO,
    XID_WARNING,
    XID_ERROR,    /* the job is lost, the GPU is fine */
    XID_CRITICAL, /* the GPU must not be used until the action is done */
};

enum xid_action {
    XID_NONE,
    XID_RESTART_JOB,
    XID_RESET,   /* drain the GPU and reset it */
    XID_REBOOT,  /* the node */
    XID_INSPECT, /* power and seating of the board */
    XID_UPDATE,  /* driver or firmware */
    XID_SUPPORT, /* NVIDIA's */
};

struct xid {
    int64_t code;
    enum xid_severity severity;
    enum xid_action action;
    const char *meaning;
};

/* NULL: unknown; take it for critical. */
const struct xid *xid_find(int64_t code);

/* The same with an answer for unknown codes. */
enum xid_severity xid_severity(int64_t code);
const char *xid_meaning(int64_t code);
/* "reset the GPU"; "" when there is nothing to do. */
const char *xid_advice(int64_t code);

#endif
