/*
 * The devices of this node as the control plane should see them: the driver's report, less what
 * jobs of ours use, judged by the gate's limits. Keeps what was last told, so that only changes
 * are.
 */
#ifndef AGENT_DEVICES_H
#define AGENT_DEVICES_H

#include "agent/gate.h"
#include "gpu/gpu.h"

/* Our word for it in reports: "ok", "unknown", "faulty", "gone". */
const char *device_health_word(enum gpu_health health);

#define DEVICE_HOLDER_SIZE 128

struct device_view {
    /* The driver's word. */
    char uuid[96], model[96], vendor[16];
    int64_t index, memory_mib;
    enum gpu_health health;

    /* Without what is ours; GATE_UNKNOWN where not known. */
    struct gate_device use;
    bool foreign;                    /* somebody else's process is on it, or their pod holds it */
    bool is_ours;                    /* an attempt of ours holds it */
    char holder[DEVICE_HOLDER_SIZE]; /* the pod that makes it foreign, in words; "": none known */
    struct gate_busy busy;
    char why[128]; /* health or business, in words; "" when it is free */

    int64_t boot_ms;       /* of the reading */
    int64_t ours_until_ms; /* boot clock: when the last attempt of ours on it ended; 0: never */
    uint32_t strangers;    /* processes in the last look that /proc does not know */

    bool tell; /* something changed that was not told yet */
    struct device_told {
        int64_t free_mib;
        enum gpu_health health;
        bool busy, foreign, is_ours;
        char holder[DEVICE_HOLDER_SIZE];
    } told;
};

struct devices {
    struct device_view items[GPU_MAX_DEVICES];
    size_t count;
    bool is_new_set; /* a device came that no hello has named */
    bool is_known;   /* there was a report */
};

/* Whose process this is. */
enum owner { OWNER_OTHER, OWNER_OURS, OWNER_UNKNOWN /* /proc does not know it */ };

struct devices_context {
    const struct gate_limits *limits;
    /* WORDS says whose it is, when it is somebody else's and that is known. */
    enum owner (*owner_of)(void *arg, uint32_t pid, char words[DEVICE_HOLDER_SIZE]);
    bool (*is_held)(void *arg, const char *uuid); /* by an attempt of ours */
    void *arg;
    /* Which pod holds it, by kubelet's word; OWNER_UNKNOWN: none. NULL: there is no kubelet. */
    enum owner (*pod_on)(void *arg, const char *uuid, char words[DEVICE_HOLDER_SIZE]);
};

/* Takes in a report. Returns whether anything is to be told. */
bool devices_update(struct devices *d, const struct gpu_report *report,
                    const struct devices_context *context);

/* NULL: no such device. */
struct device_view *devices_find(struct devices *d, const char *uuid);

/* An attempt of ours took or left the device at NOW_MS of the boot clock. */
void devices_hold(struct devices *d, const char *uuid, bool is_held, int64_t now_ms);

/* For the gate: whether a job that needs NEED_MIB may have this device now. */
bool device_may_start(const struct device_view *v, const struct gate_limits *limits,
                      int64_t need_mib, char why[GATE_WHY_SIZE]);

/* Marks as told what `tell` stood for; a report that failed puts `tell` back itself. */
void device_told(struct device_view *v);

#endif
