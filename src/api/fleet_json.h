/* What several answers tell of devices. */
#ifndef API_FLEET_JSON_H
#define API_FLEET_JSON_H

#include "api/samples.h"
#include "base/json_out.h"
#include "core/fleet/fleet.h"

enum device_state {
    DEVICE_STATE_AVAILABLE,
    DEVICE_STATE_ALLOCATED, /* held by a job */
    DEVICE_STATE_BUSY,      /* used by others */
    DEVICE_STATE_FAULTY,
    DEVICE_STATE_UNKNOWN, /* not heard of, or gone */
    DEVICE_STATES
};
extern const char *const device_state_names[DEVICE_STATES];
enum device_state device_state(const struct fleet_view *v, const struct device *d);

/* Not those of retired nodes. */
bool device_is_shown(const struct fleet_view *v, const struct device *d);

/* The device with its account brought up to NOW. */
void device_time_now(const struct fleet_view *v, const struct device *d, int64_t now_ms,
                     struct device *ret);
void device_time_write(struct json_out *o, const char *key, const int64_t bucket[BUCKET_COUNT]);

#endif
