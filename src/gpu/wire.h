/*
 * What watch and helper say to each other: frames of a head and a plain structure. Both are of one
 * build; WIRE_VERSION and the length of each frame are checked all the same, because a driver's
 * library lives in the helper and may have written anywhere.
 */
#ifndef GPU_WIRE_H
#define GPU_WIRE_H

#include "gpu/backend.h"

enum {
    WIRE_VERSION = 1,
    WIRE_MOST = 64 << 10, /* of a whole frame */
    WIRE_FD = 3,          /* the helper's end of the socket */
    WIRE_PULSE_FD = 4,    /* the memory that holds struct gpu_pulse */
};

enum wire_type {
    WIRE_OPEN = 1, /* -> struct wire_open, first thing */
    WIRE_SAMPLE,   /* -> struct wire_sample; answered by devices, events, then an end */
    WIRE_READY,    /* <- struct wire_ready and COUNT struct gpu_info */
    WIRE_FAILED,   /* <- struct wire_failed instead of ready; the helper ends */
    WIRE_DEVICE,   /* <- struct wire_device, cut behind its last process */
    WIRE_EVENTS,   /* <- struct wire_events, cut behind its last event */
    WIRE_END,      /* <- struct wire_end; with a code the helper ends */
};

struct wire_head {
    uint32_t length; /* of what follows */
    uint16_t type, version;
};

struct wire_open {
    char backend[16], library[1024], program[1024]; /* "" for the default */
    int64_t timeout_ms;
    uint64_t skip;
};

struct wire_sample {
    uint32_t round;
};

struct wire_ready {
    char backend[16];
    struct gpu_driver driver;
    uint32_t count;
    uint32_t unused;
    struct gpu_info infos[];
};

struct wire_failed {
    int32_t code; /* enum err_code */
    char text[400];
};

struct wire_device {
    uint32_t round, index; /* place among the infos */
    int32_t code;          /* enum err_code; 0: SAMPLE holds */
    char text[200];
    struct gpu_sample sample;
};

struct wire_events {
    uint32_t round, count;
    struct gpu_event events[GPU_MAX_EVENTS];
};

struct wire_end {
    uint32_t round;
    int32_t code;
    char text[400];
};

#endif
