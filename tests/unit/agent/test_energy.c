#include "agent/energy.h"
#include "test.h"

#define NONE ENERGY_NO_READING

TEST("energy is what the driver's counter moved by, however far apart the readings are")
{
    struct energy_meter m;
    energy_meter_init(&m, "GPU-a");
    energy_meter_feed(&m, 1000, 50000, 10, 5000);
    energy_meter_feed(&m, 4500, 50000, 3600010, 5000);
    CHECK_INT(m.total_mj, 3500);
    CHECK(energy_is_measured(&m));
}

TEST("a counter that went back begins anew, and what was lost with it is said")
{
    struct energy_meter m;
    energy_meter_init(&m, "GPU-a");
    energy_meter_feed(&m, 1000, NONE, 10, 5000);
    energy_meter_feed(&m, 200, NONE, 20, 5000);
    CHECK_INT(m.total_mj, 200);
    CHECK(!energy_is_measured(&m));
}

TEST("a missing reading between two of the counter costs nothing")
{
    struct energy_meter m;
    energy_meter_init(&m, "GPU-a");
    energy_meter_feed(&m, 1000, 5, 10, 5000);
    energy_meter_feed(&m, NONE, NONE, 20, 5000);
    energy_meter_feed(&m, NONE, 5, 30, 5000);
    energy_meter_feed(&m, 1700, 5, 40, 5000);
    CHECK_INT(m.total_mj, 700);
    CHECK(energy_is_measured(&m));
}

TEST("without a counter it is power times time, and gaps of more than two intervals are unmeasured")
{
    struct energy_meter m;
    energy_meter_init(&m, "GPU-a");
    energy_meter_feed(&m, NONE, 100000, 1000, 5000);
    energy_meter_feed(&m, NONE, 200000, 6000, 5000);
    CHECK_INT(m.total_mj, 750000); /* 150 W for 5 s */
    CHECK(energy_is_measured(&m));
    energy_meter_feed(&m, NONE, 200000, 16001, 5000);
    CHECK_INT(m.total_mj, 750000);
    CHECK_INT(m.unmeasured_ms, 10001);
}

TEST("the end of an attempt is measured when the last reading is near, and not without any")
{
    struct energy_meter m;
    energy_meter_init(&m, "GPU-a");
    energy_meter_feed(&m, 0, 100000, 1000, 5000);
    energy_meter_end(&m, 2000, 5000);
    CHECK_INT(m.total_mj, 100000);
    CHECK(energy_is_measured(&m));
    energy_meter_end(&m, 60000, 5000);
    CHECK(!energy_is_measured(&m));

    energy_meter_init(&m, "GPU-a");
    energy_meter_end(&m, 2000, 5000);
    CHECK(!energy_is_measured(&m));
}

TEST("meters written to a folder go on counting when they are read again")
{
    struct energy_meter before[2], after[2];
    energy_meter_init(&before[0], "GPU-a");
    energy_meter_init(&before[1], "GPU-b");
    energy_meter_feed(&before[0], 100, 1, 10, 5000);
    energy_meter_feed(&before[0], 300, 1, 20, 5000);
    energy_meter_feed(&before[1], NONE, 7, 20, 5000);
    auto_text struct text t = {0};
    energy_write(before, 2, &t);

    energy_meter_init(&after[0], "GPU-b");
    energy_meter_init(&after[1], "GPU-a");
    CHECK_INT(energy_read(after, 2, text_get(&t)), 2);
    energy_meter_feed(&after[1], 1000, 1, 90000, 5000);
    CHECK_INT(after[1].total_mj, 900);
    CHECK_INT(after[0].last_power_mw, 7);
    CHECK_INT(energy_read(after, 2, "GPU-a 1 2\nnonsense"), 0);
}
