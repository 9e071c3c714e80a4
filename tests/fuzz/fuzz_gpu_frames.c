/* Frames from a helper whose memory a driver has spoilt: type, length (two bytes), body, again and
 * again. The report stays one that can be shown. */
#include "base/mem.h"
#include "base/text.h"
#include "gpu/roll.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void apply(struct roll *r, uint8_t type, const void *body, size_t len)
{
    const struct wire_ready *ready = body;
    switch (type % 6) {
    case 0: /* checked by the watch before it comes to the roll */
        if (len >= sizeof *ready && ready->count <= GPU_MAX_DEVICES &&
            len >= sizeof *ready + ready->count * sizeof ready->infos[0])
            roll_open(r, ready, type);
        break;
    case 1:
        roll_device(r, body, len);
        break;
    case 2:
        roll_events(r, body, len, 5);
        break;
    case 3:
        roll_begin(r, type);
        break;
    case 4:
        roll_hung(r, type / 6 - 1, "why", type);
        break;
    default:
        roll_no_driver(r, type % 2 ? ERR_NOT_FOUND : ERR_UNAVAILABLE, "why");
        break;
    }
}

static void check(const struct gpu_report *rep)
{
    assert(rep->device_count <= GPU_MAX_DEVICES && rep->event_count <= GPU_MAX_EVENTS);
    for (uint32_t i = 0; i < rep->event_count; i++)
        assert(rep->events[i].device < rep->device_count);
    for (uint32_t i = 0; i < rep->device_count; i++) {
        const struct gpu_device *d = &rep->devices[i];
        assert(d->health < GPU_HEALTH_COUNT && d->sample.process_count <= GPU_MAX_PROCESSES);
        assert(text_is_utf8(d->info.name, strlen(d->info.name)));
        assert(text_is_utf8(d->reason, strlen(d->reason)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct roll *r = roll_new();
    while (size >= 3) {
        size_t len = data[1] + data[2] * 256u;
        uint8_t type = data[0];
        data += 3;
        size -= 3;
        if (len > size)
            len = size;
        /* A copy of its own: the sanitizer sees each byte that is read behind it. */
        auto_free void *body = mem_dup(data, len);
        apply(r, type, body, len);
        check(roll_report(r));
        data += len;
        size -= len;
    }
    roll_free(r);
    return 0;
}
