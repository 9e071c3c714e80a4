#include "agent/options.h"
#include "base/mem.h"
#include "test.h"

/* Reads these words as the command line. */
static int read_words(struct agent_options *o, char **words)
{
    int count = 0;
    while (words[count])
        count++;
    return agent_options_read(count, words, o, &test_err);
}

#define READ(o, ...) read_words(o, (char *[]){__VA_ARGS__ __VA_OPT__(, ) NULL})
#define S(text)      ((char[]){text})

TEST("what is not given has its default")
{
    struct agent_options o = {0};
    CHECK_OK(READ(&o));
    CHECK_TEXT(o.listen, "127.0.0.1:8080");
    CHECK_TEXT(o.gpu, "auto");
    CHECK_INT(o.sample_ms, 0);
    CHECK_INT(o.grace_ms, 30000);
    CHECK(o.data && o.node && !o.server);
    option_done(&agent_option_table, &o);
}

TEST("a control plane elsewhere needs TLS or the word that it may be without")
{
    struct agent_options o = {0};
    CHECK_FAILS(READ(&o, S("--server"), S("http://10.1.2.3:8081")), ERR_DENIED, "loopback");
    CHECK_OK(READ(&o, S("--server"), S("http://10.1.2.3:8081"), S("--insecure")));
    option_done(&agent_option_table, &o);
    CHECK_OK(READ(&o, S("--server"), S("https://reeve.example:8081")));
    option_done(&agent_option_table, &o);
    CHECK_OK(READ(&o, S("--server"), S("http://127.0.0.1:8081/")));
    option_done(&agent_option_table, &o);
    CHECK_OK(READ(&o, S("--server"), S("unix:/run/reeved.sock")));
    option_done(&agent_option_table, &o);
    CHECK_FAILS(READ(&o, S("--server"), S("unix:here")), ERR_INVALID, "absolute");
    CHECK_FAILS(READ(&o, S("--server"), S("reeve.example")), ERR_INVALID, "must begin");
}

TEST("the interval of samples is held to its range")
{
    struct agent_options o = {0};
    CHECK_FAILS(READ(&o, S("--sample"), S("2m")), ERR_INVALID, "sample");
    CHECK_OK(READ(&o, S("--sample"), S("1s")));
    CHECK_INT(o.sample_ms, 1000);
    option_done(&agent_option_table, &o);
}

TEST("what is said about kubelet is checked before anything begins")
{
    struct agent_options o = {0};
    CHECK_OK(READ(&o, S("--device-plugin"), S("auto"), S("--plugin-mount"), S("/a:/b"),
                  S("--plugin-mount"), S("/c"), S("--plugin-env"), S("A_1=x=y")));
    CHECK_INT(o.plugin_mounts.count, 2);
    CHECK_TEXT(o.plugin_resource, "nvidia.com/gpu");
    option_done(&agent_option_table, &o);
    CHECK_FAILS(READ(&o, S("--device-plugin"), S("yes")), ERR_INVALID, "off, auto or on");
    CHECK_FAILS(READ(&o, S("--kubelet-dir"), S("here")), ERR_INVALID, "absolute");
    CHECK_FAILS(READ(&o, S("--plugin-resource"), S("gpu")), ERR_INVALID, "nvidia.com/gpu");
    CHECK_FAILS(READ(&o, S("--plugin-cdi"), S("a/b/c")), ERR_INVALID, "plugin-cdi");
    CHECK_FAILS(READ(&o, S("--plugin-mount"), S("a:/b")), ERR_INVALID, "plugin-mount");
    CHECK_FAILS(READ(&o, S("--plugin-mount"), S("/a:b")), ERR_INVALID, "plugin-mount");
    CHECK_FAILS(READ(&o, S("--plugin-mount"), S("/a:/b:ro:rw")), ERR_INVALID, "plugin-mount");
    CHECK_FAILS(READ(&o, S("--plugin-env"), S("=x")), ERR_INVALID, "NAME=VALUE");
    CHECK_FAILS(READ(&o, S("--plugin-env"), S("1A=x")), ERR_INVALID, "NAME=VALUE");
    CHECK_FAILS(READ(&o, S("--plugin-env"), S("A")), ERR_INVALID, "NAME=VALUE");
}
