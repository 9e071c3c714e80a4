#include "agent/report.h"
#include "test.h"

TEST("a report that has nothing to say is empty, and a hello never is")
{
    CHECK(report_is_empty(&(struct report){.boot_id = "b"}));
    CHECK(!report_is_empty(&(struct report){.hello = &(struct report_hello){0}}));
    CHECK(!report_is_empty(&(struct report){.host = &(struct gate_host){0}}));
}

TEST("what running attempts have used so far is a list of its own")
{
    auto_text struct text t = {0};
    const struct report_meter meters[] = {{7, 1, 1200, true}, {8, 2, 0, false}};
    const struct report r = {
        .boot_id = "b", .data_id = "d", .seq = 1, .meters = meters, .meter_count = 2};
    CHECK(!report_is_empty(&r));
    report_write(&r, &t);
    CHECK_TEXT(text_get(&t),
               "{\"boot_id\":\"b\",\"data_id\":\"d\",\"seq\":1,\"meters\":[{\"job\":7,\"n\":1,"
               "\"energy_mj\":1200,\"measured\":true},{\"job\":8,\"n\":2,\"energy_mj\":0,"
               "\"measured\":false}]}");
}

TEST("a hello names everything, also that there is nothing")
{
    auto_text struct text t = {0};
    const struct report_hello hello = {"0.1.0", "user", 16000, 128000};
    report_write(&(struct report){.boot_id = "b", .data_id = "d", .seq = 1, .hello = &hello}, &t);
    CHECK_TEXT(text_get(&t),
               "{\"boot_id\":\"b\",\"data_id\":\"d\",\"seq\":1,\"hello\":{\"version\":\"0.1.0\","
               "\"features\":[],\"cpu_milli\":16000,\"memory_mib\":128000,\"isolation\":\"user\"},"
               "\"devices\":[],\"attempts\":[]}");
}

TEST("a report carries the fields of the protocol")
{
    auto_text struct text t = {0};
    const struct device_view v = {.uuid = "GPU-1",
                                  .model = "M",
                                  .vendor = "nvidia",
                                  .index = 2,
                                  .memory_mib = 10240,
                                  .health = GPU_HUNG,
                                  .use = {9000, 7},
                                  .foreign = true,
                                  .busy = {.busy = true},
                                  .why = "w"};
    const struct device_view *devices[] = {&v};
    const struct report_attempt attempts[] = {
        {.id = "a", .state = "started", .job = 7, .n = 1, .ago_ms = 20},
        {.id = "a",
         .state = "ended",
         .job = 7,
         .n = 1,
         .ago_ms = 3,
         .outcome = "failed",
         .exit_code = 3,
         .run_ms = 17,
         .energy_mj = 5,
         .energy_measured = true,
         .why = "x"},
        {.id = "b", .state = "refused", .job = 8, .n = 2, .why = "full"},
    };
    const struct report_progress progress[] = {{7, 1, 3, 12}};
    const struct gate_host host = {12345, GATE_UNKNOWN};
    report_write(&(struct report){.boot_id = "b",
                                  .data_id = "d",
                                  .seq = 12,
                                  .host = &host,
                                  .devices = devices,
                                  .device_count = 1,
                                  .attempts = attempts,
                                  .attempt_count = 3,
                                  .progress = progress,
                                  .progress_count = 1},
                 &t);
    CHECK_TEXT(
        text_get(&t),
        "{\"boot_id\":\"b\",\"data_id\":\"d\",\"seq\":12,"
        "\"host\":{\"busy\":false,\"cpu_pct\":12,\"memory_pct\":0},"
        "\"devices\":[{\"uuid\":\"GPU-1\",\"index\":2,\"model\":\"M\",\"vendor\":\"nvidia\","
        "\"memory_mib\":10240,\"health\":\"faulty\",\"busy\":true,\"foreign\":true,\"free_mib\":"
        "9000,"
        "\"gpu_pct\":7,\"why\":\"w\"}],"
        "\"attempts\":[{\"id\":\"a\",\"job\":7,\"n\":1,\"state\":\"started\",\"ago_ms\":20},"
        "{\"id\":\"a\",\"job\":7,\"n\":1,\"state\":\"ended\",\"ago_ms\":3,\"outcome\":\"failed\","
        "\"exit_code\":3,\"signal\":0,\"run_ms\":17,\"energy_mj\":5,\"energy_measured\":true,"
        "\"why\":\"x\"},"
        "{\"id\":\"b\",\"job\":8,\"n\":2,\"state\":\"refused\",\"ago_ms\":0,\"why\":\"full\"}],"
        "\"progress\":[{\"job\":7,\"n\":1,\"done\":3,\"total\":12}]}");
}

TEST("devices that kubelet has given to pods of ours are told as a whole, also none")
{
    auto_text struct text t = {0};
    const struct report_bound bound[] = {{.job = 7,
                                          .n = 1,
                                          .namespace = "reeve",
                                          .pod = "reeve-main-7-1",
                                          .devices = {"GPU-1", "GPU-2"},
                                          .device_count = 2}};
    CHECK(!report_is_empty(&(struct report){.has_bound = true}));
    report_write(&(struct report){.boot_id = "b",
                                  .data_id = "d",
                                  .seq = 1,
                                  .bound = bound,
                                  .bound_count = 1,
                                  .has_bound = true},
                 &t);
    CHECK_TEXT(text_get(&t),
               "{\"boot_id\":\"b\",\"data_id\":\"d\",\"seq\":1,\"bound\":[{\"job\":7,\"n\":1,"
               "\"namespace\":\"reeve\",\"pod\":\"reeve-main-7-1\","
               "\"devices\":[\"GPU-1\",\"GPU-2\"]}]}");
    text_clear(&t);
    report_write(&(struct report){.boot_id = "b", .data_id = "d", .seq = 2, .has_bound = true}, &t);
    CHECK_TEXT(text_get(&t), "{\"boot_id\":\"b\",\"data_id\":\"d\",\"seq\":2,\"bound\":[]}");
}
