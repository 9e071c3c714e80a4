/*
 * The devices that were ever seen on this node, and what is known of each now: what the watch puts
 * into its reports. Knows nothing of processes, sockets or time beyond what it is told.
 */
#ifndef GPU_ROLL_H
#define GPU_ROLL_H

#include "gpu/wire.h"

#include <stdbool.h>

struct roll;

struct roll *roll_new(void);
void roll_free(struct roll *r);

/* The report as it stands; good until the roll changes. */
const struct gpu_report *roll_report(const struct roll *r);

/* A driver was opened: these are its devices. Known ones keep their place; those that it no longer
 * names are lost, unless SKIP (bits of driver's indices) says that we did not let it look. */
void roll_open(struct roll *r, const struct wire_ready *ready, uint64_t skip);

/* There is no driver, or it went away: no device can be known about. CODE ERR_NOT_FOUND: there is
 * none on this node. */
void roll_no_driver(struct roll *r, enum err_code code, const char *why);

/* A new round begins at BOOT_MS: forgets the events of the last. */
void roll_begin(struct roll *r, int64_t boot_ms);
/* What the driver said about the device at INDEX of ready's infos. False: nonsense. */
bool roll_device(struct roll *r, const struct wire_device *d, size_t len);
bool roll_events(struct roll *r, const struct wire_events *ev, size_t len, int64_t boot_ms);
/* The round is over. */
void roll_end(struct roll *r, int64_t boot_ms);

/*
 * CALL about the device with the driver's index DEVICE (-1: none in particular) did not come back
 * (or ended the helper: WHY says which). The device is hung until it answers again and is to be
 * passed over for a while; the others that did not answer in this round are unknown.
 */
void roll_hung(struct roll *r, int device, const char *why, int64_t boot_ms);
/* Driver's indices of the devices to pass over at BOOT_MS. */
uint64_t roll_skip(const struct roll *r, int64_t boot_ms);

/* True: some device is lost or hung and could be found again by opening the driver anew. */
bool roll_wants_reopen(const struct roll *r, int64_t opened_ms, int64_t boot_ms, uint64_t skipped);

#endif
