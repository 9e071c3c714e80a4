#include "agent/command.h"
#include "test.h"

#define START                                                                                      \
    "{\"type\":\"start\",\"epoch\":4,\"boot_id\":\"b\",\"data_id\":\"d\","                         \
    "\"attempt\":\"0123456789abcdef0123456789abcdef\",\"name\":\"reeve-s-7-1\",\"job\":7,\"n\":1," \
    "\"user\":\"alice\",\"devices\":[\"GPU-1\",\"GPU-2\"],\"gpu_memory_mib\":8192,"                \
    "\"spec\":{\"command\":[\"true\"]}"

static int parse(const char *line, struct command *c)
{
    return command_parse(line, strlen(line), c, &test_err);
}

TEST("a check and a meter are about an attempt that runs as a pod")
{
    static const char check[] =
        "{\"type\":\"check\",\"attempt\":\"0123456789abcdef0123456789abcdef\",\"job\":7,\"n\":2,"
        "\"devices\":[\"GPU-a\",\"GPU-b\"],\"gpu_memory_mib\":8192}";
    static const char meter[] =
        "{\"type\":\"meter\",\"attempt\":\"0123456789abcdef0123456789abcdef\",\"job\":7,\"n\":2,"
        "\"devices\":[],\"ago_ms\":1200}";
    static const char no_job[] =
        "{\"type\":\"meter\",\"attempt\":\"0123456789abcdef0123456789abcdef\",\"n\":2}";
    struct command c;
    CHECK_OK(command_parse(check, strlen(check), &c, &test_err));
    CHECK_INT(c.type, COMMAND_CHECK);
    CHECK_INT(c.device_count, 2);
    CHECK_TEXT(c.devices[1], "GPU-b");
    CHECK_INT(c.gpu_memory_mib, 8192);
    command_done(&c);
    CHECK_OK(command_parse(meter, strlen(meter), &c, &test_err));
    CHECK_INT(c.type, COMMAND_METER);
    CHECK_INT(c.ago_ms, 1200);
    command_done(&c);
    CHECK_FAILS(command_parse(no_job, strlen(no_job), &c, &test_err), ERR_INVALID, "above 0");
}

TEST("a start command is read with all it names")
{
    auto_command struct command c = {0};
    CHECK_OK(parse(START ",\"newer\":1}", &c));
    CHECK_INT(c.type, COMMAND_START);
    CHECK_INT(c.epoch, 4);
    CHECK_TEXT(c.attempt, "0123456789abcdef0123456789abcdef");
    CHECK_INT(c.device_count, 2);
    CHECK_TEXT(c.devices[1], "GPU-2");
    CHECK_INT(c.gpu_memory_mib, 8192);
    CHECK_INT(c.time_limit_ms, 0);
    CHECK(c.spec);
}

TEST("the gate may be set without a welcome")
{
    auto_command struct command c = {0};
    CHECK_OK(parse("{\"type\":\"gate\",\"gate\":{\"off\":true,\"gpu_pct\":70}}", &c));
    CHECK_INT(c.type, COMMAND_GATE);
    CHECK_INT(c.gate.gpu_pct, 70);
    CHECK(c.gate.off);
}

TEST("a welcome sets the gate, and what it does not say is as usual")
{
    auto_command struct command c = {0};
    CHECK_OK(parse(
        "{\"type\":\"welcome\",\"epoch\":9,\"sample_ms\":1000,\"gate\":{\"cpu_pct\":50}}", &c));
    CHECK_INT(c.type, COMMAND_WELCOME);
    CHECK_INT(c.gate.cpu_pct, 50);
    CHECK_INT(c.gate.free_mib, 2048);
    CHECK(!c.gate.off);
}

TEST("a word of a newer control plane is passed over")
{
    auto_command struct command c = {0};
    CHECK_OK(parse("{\"type\":\"dance\",\"attempt\":5}", &c));
    CHECK_INT(c.type, COMMAND_OTHER);
}

TEST("lines that make no sense are refused")
{
    struct command c = {0};
    CHECK_FAILS(parse("nonsense", &c), ERR_INVALID, "");
    CHECK_FAILS(parse("{}", &c), ERR_INVALID, "type");
    CHECK_FAILS(parse("{\"type\":\"welcome\"}", &c), ERR_INVALID, "epoch");
    CHECK_FAILS(parse("{\"type\":\"cancel\",\"attempt\":\"../../../../../../../../../etc/p\"}", &c),
                ERR_INVALID, "attempt");
    CHECK_FAILS(parse("{\"type\":\"forget\"}", &c), ERR_INVALID, "attempt");
    CHECK_FAILS(parse(START ",\"name\":\"twice\"}", &c), ERR_INVALID, "");
    CHECK_FAILS(
        parse("{\"type\":\"start\",\"attempt\":\"0123456789abcdef0123456789abcdef\","
              "\"epoch\":1,\"job\":1,\"n\":1,\"name\":\"../up\",\"user\":\"a\",\"spec\":{}}",
              &c),
        ERR_INVALID, "name");
    CHECK_FAILS(parse("{\"type\":\"start\",\"attempt\":\"0123456789abcdef0123456789abcdef\","
                      "\"epoch\":1,\"job\":1,\"n\":1,\"name\":\"a\",\"user\":\"a\",\"spec\":{},"
                      "\"devices\":[\"GPU-1,GPU-2\"]}",
                      &c),
                ERR_INVALID, "devices");
}
