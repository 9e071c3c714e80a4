#include "gpu/roll.h"
#include "test.h"

#include "base/mem.h"

static struct roll *roll;
static struct wire_ready *ready;
static struct wire_device device;

static void open_devices(uint32_t count, uint64_t skip)
{
    free(ready);
    ready = mem_alloc(1, sizeof *ready + 64 * sizeof ready->infos[0]);
    ready->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (skip >> i & 1)
            continue;
        struct gpu_info *info = &ready->infos[ready->count++];
        gpu_info_clear(info);
        info->index = i;
        snprintf(info->uuid, sizeof info->uuid, "GPU-%u", i);
    }
    roll_open(roll, ready, skip);
}

static void begin(uint32_t count)
{
    roll_free(roll);
    roll = roll_new();
    open_devices(count, 0);
    roll_begin(roll, 1000);
}

static bool tell(uint32_t index, int code, const char *text)
{
    device = (struct wire_device){.index = index, .code = code};
    gpu_sample_clear(&device.sample);
    device.sample.energy_mj = 100;
    gpu_copy_text(device.text, sizeof device.text, text);
    return roll_device(roll, &device, offsetof(struct wire_device, sample.processes));
}

static bool tell_xid(uint32_t index, int64_t xid)
{
    struct wire_events ev = {.count = 1, .events = {{.device = index, .xid = xid}}};
    return roll_events(roll, &ev, offsetof(struct wire_events, events) + sizeof ev.events[0], 1000);
}

static const struct gpu_device *the(uint32_t place)
{
    return &roll_report(roll)->devices[place];
}

static void done(void)
{
    roll_free(roll);
    free(ready);
    roll = NULL;
    ready = NULL;
}

TEST("a device that answers is well, one that is lost keeps its place and says why")
{
    begin(2);
    CHECK(tell(0, 0, "") && tell(1, ERR_NOT_FOUND, "off the bus"));
    CHECK_INT(roll_report(roll)->device_count, 2);
    CHECK_INT(the(0)->health, GPU_OK);
    CHECK_INT(the(1)->health, GPU_LOST);
    CHECK_TEXT(the(1)->reason, "off the bus");
    CHECK(the(1)->sample.energy_mj == GPU_NO_READING);

    open_devices(1, 0); /* opened anew, the driver names one only */
    CHECK_INT(roll_report(roll)->device_count, 2);
    CHECK_INT(the(1)->health, GPU_LOST);
    open_devices(2, 0);
    CHECK(tell(1, 0, ""));
    CHECK_INT(the(1)->health, GPU_OK);
    done();
}

TEST("after a critical error a device is not used until the driver was loaded anew")
{
    begin(1);
    CHECK(tell(0, 0, "") && tell_xid(0, 48));
    CHECK_INT(the(0)->health, GPU_FAILED);
    CHECK(strstr(the(0)->reason, "XID 48"));
    CHECK(strstr(the(0)->reason, "reset the GPU"));
    CHECK_INT(the(0)->last_xid, 48);
    CHECK_INT(roll_report(roll)->event_count, 1);
    CHECK(the(0)->sample.energy_mj == 100); /* it still tells */

    roll_begin(roll, 2000);
    CHECK(tell(0, 0, ""));
    CHECK_INT(the(0)->health, GPU_FAILED);
    CHECK_INT(roll_report(roll)->event_count, 0);

    device.sample.energy_mj = 3; /* the counter began anew */
    CHECK(roll_device(roll, &device, offsetof(struct wire_device, sample.processes)));
    CHECK_INT(the(0)->health, GPU_OK);
    done();
}

TEST("what the driver asks for is a reason, and its end is one to go on")
{
    begin(1);
    CHECK(tell(0, 0, "") && tell_xid(0, 95));
    device.sample.recovery_action = GPU_RECOVERY_RESET;
    CHECK(roll_device(roll, &device, offsetof(struct wire_device, sample.processes)));
    CHECK_INT(the(0)->health, GPU_FAILED);
    device.sample.recovery_action = GPU_RECOVERY_NONE;
    CHECK(roll_device(roll, &device, offsetof(struct wire_device, sample.processes)));
    CHECK_INT(the(0)->health, GPU_OK);

    device.sample.recovery_action = GPU_RECOVERY_REBOOT;
    CHECK(roll_device(roll, &device, offsetof(struct wire_device, sample.processes)));
    CHECK_TEXT(the(0)->reason, "the driver asks: reboot the node");
    done();
}

TEST("an application's own error is told but does not take the device away")
{
    begin(1);
    CHECK(tell(0, 0, "") && tell_xid(0, 31));
    CHECK_INT(the(0)->health, GPU_OK);
    CHECK_INT(the(0)->last_xid, 31);
    CHECK_INT(the(0)->xid_total, 1);
    done();
}

TEST("one device hangs: it is passed over for longer and longer, the others come back")
{
    begin(3);
    CHECK(tell(0, 0, ""));
    roll_hung(roll, 1, "a call did not come back", 1000);
    CHECK_INT(the(0)->health, GPU_OK);
    CHECK_INT(the(1)->health, GPU_HUNG);
    CHECK_INT(the(2)->health, GPU_UNKNOWN);
    CHECK_INT(roll_skip(roll, 1001), 1 << 1);

    open_devices(3, 1 << 1);
    CHECK_INT(the(1)->health, GPU_HUNG);
    roll_begin(roll, 2000);
    CHECK(tell(0, 0, "") && tell(1, 0, "")); /* the second that was opened is number 2 */
    CHECK_INT(the(2)->health, GPU_OK);
    CHECK(!roll_wants_reopen(roll, 1000, 2000, 1 << 1));
    CHECK(roll_wants_reopen(roll, 1000, 11001, 1 << 1));
    CHECK_INT(roll_skip(roll, 11001), 0);

    open_devices(3, 0);
    roll_hung(roll, 1, "again", 12000);
    CHECK_INT(roll_skip(roll, 31999), 1 << 1);
    CHECK_INT(roll_skip(roll, 32001), 0);
    done();
}

TEST("a device that hangs before it was named is shown, and takes its place when it is")
{
    roll_free(roll);
    roll = roll_new();
    roll_hung(roll, 1, "did not come back", 1000);
    CHECK_INT(roll_report(roll)->device_count, 1);
    CHECK_INT(the(0)->health, GPU_HUNG);
    CHECK_INT(the(0)->info.index, 1);
    open_devices(2, 1 << 1);
    CHECK_INT(roll_report(roll)->device_count, 2);
    open_devices(2, 0);
    CHECK_INT(roll_report(roll)->device_count, 2);
    CHECK_TEXT(the(0)->info.uuid, "GPU-1");
    done();
}

TEST("without a driver nothing is known; a hang of the whole driver is told for all")
{
    begin(2);
    CHECK(tell(0, 0, "") && tell(1, 0, ""));
    roll_begin(roll, 2000);
    roll_hung(roll, -1, "nvmlInit did not come back", 3000);
    CHECK_INT(the(0)->health, GPU_UNKNOWN);
    CHECK_TEXT(roll_report(roll)->reason, "nvmlInit did not come back");
    roll_no_driver(roll, ERR_UNAVAILABLE, "gone");
    CHECK_INT(the(1)->health, GPU_UNKNOWN);
    CHECK_TEXT(the(1)->reason, "gone");
    done();
}

TEST("nonsense from a helper whose memory is spoilt is refused")
{
    begin(1);
    CHECK(!tell(1, 0, ""));
    CHECK(!tell(0xffffffff, 0, ""));
    CHECK(tell(0, 0, ""));
    device.sample.process_count = 1000;
    CHECK(!roll_device(roll, &device, sizeof device));
    device.sample.process_count = 2;
    CHECK(!roll_device(roll, &device, offsetof(struct wire_device, sample.processes)));
    CHECK(!roll_device(roll, &device, 4));
    CHECK(!tell_xid(7, 48));
    struct wire_events many = {.count = 1000};
    CHECK(!roll_events(roll, &many, sizeof many, 1));
    done();
}
