#include "base/file.h"
#include "base/option.h"
#include "test.h"

struct settings {
    char *listen;
    int64_t interval_ms;
    int64_t price_micros;
    bool insecure;
    int64_t slots;
};

static const struct option_spec specs[] = {
    {"listen", 'l', OPTION_TEXT, offsetof(struct settings, listen), "ADDR:PORT", "127.0.0.1:8081",
     0, 0, "where to listen"},
    {"interval", 0, OPTION_DURATION, offsetof(struct settings, interval_ms), "TIME", "5s", 1000,
     60000, "how often to look"},
    {"price", 0, OPTION_MICROS, offsetof(struct settings, price_micros), "USD", "0.30", 0, 0,
     "price of an hour"},
    {"insecure", 0, OPTION_FLAG, offsetof(struct settings, insecure), NULL, NULL, 0, 0, "allow it"},
    {"slots", 's', OPTION_INT, offsetof(struct settings, slots), "N", "4", 1, 64, "how many"},
};
static const struct option_table table = {"reeve x", "does x", "[FILE]", specs, 5, false};

TEST("a flag beats the environment, which beats the file, which beats the default")
{
    char path[] = "/tmp/test_optionXXXXXX";
    int fd = mkstemp(path);
    CHECK_OK(file_write_all(fd, "slots: 8\ninterval: 10s\nprice: 0.5\n", 34, &test_err));
    close(fd);
    setenv("REEVE_INTERVAL", "20s", 1);
    struct settings s = {0};
    char *argv[] = {(char *)"file", (char *)"--slots=16", (char *)"--insecure", (char *)"-l",
                    (char *)"[::1]:1"};
    int operands = 0;
    CHECK_OK(option_read(&table, 5, argv, path, true, &s, &operands, &test_err));

    CHECK_INT(s.slots, 16);
    CHECK_INT(s.interval_ms, 20000);
    CHECK_INT(s.price_micros, 500000);
    CHECK_TEXT(s.listen, "[::1]:1");
    CHECK(s.insecure);
    CHECK_INT(operands, 4);
    CHECK_TEXT(argv[4], "file");
    option_done(&table, &s);
    unsetenv("REEVE_INTERVAL");
    unlink(path);
}

TEST("a wrong value is refused with its option, its source and its bounds")
{
    struct settings s = {0};
    int operands;
    char *a[] = {(char *)"--slots", (char *)"65"}, *b[] = {(char *)"--speed"},
         *c[] = {(char *)"--slots"}, *d[] = {(char *)"--interval=1ms"};
    CHECK_FAILS(option_read(&table, 2, a, NULL, false, &s, &operands, &test_err), ERR_INVALID,
                "'65' is not between 1 and 64");
    CHECK_FAILS(option_read(&table, 1, b, NULL, false, &s, &operands, &test_err), ERR_INVALID,
                "'--speed' is not known");
    CHECK_FAILS(option_read(&table, 1, c, NULL, false, &s, &operands, &test_err), ERR_INVALID,
                "needs a value");
    CHECK_FAILS(option_read(&table, 1, d, NULL, false, &s, &operands, &test_err), ERR_INVALID,
                "out of range");
    option_done(&table, &s);
}

TEST("help names every option with its default")
{
    auto_text struct text t = {0};
    option_help(&table, &t);
    for (size_t i = 0; i < 5; i++)
        CHECK(strstr(t.data, specs[i].help) != NULL);
    CHECK(strstr(t.data, "(default 127.0.0.1:8081)") != NULL);
}

struct words {
    struct option_list env;
    char *name;
};

static const struct option_spec word_specs[] = {
    {"env", 'e', OPTION_LIST, offsetof(struct words, env), "K=V", NULL, 0, 0, "set it"},
    {"name", 0, OPTION_TEXT, offsetof(struct words, name), "NAME", NULL, 0, 0, "its name",
     .flag_only = true},
};
static const struct option_table word_table = {"reeve x", "does x", "", word_specs, 2, true};

TEST("an option that is a list may be given often, and each adds one")
{
    struct words w = {0};
    int operands;
    char *argv[] = {(char *)"--env", (char *)"A=1", (char *)"-eB=2", (char *)"cmd", (char *)"-x"};
    CHECK_OK(option_read(&word_table, 5, argv, NULL, false, &w, &operands, &test_err));
    CHECK_INT(w.env.count, 2);
    CHECK_TEXT(w.env.items[1], "B=2");
    CHECK_INT(operands, 3);
    option_done(&word_table, &w);
    CHECK_INT(w.env.count, 0);
}

TEST("what is for the command line only is not taken from the environment")
{
    struct words w = {0};
    int operands;
    setenv("REEVE_NAME", "other", 1);
    CHECK_OK(option_read(&word_table, 0, NULL, NULL, false, &w, &operands, &test_err));
    CHECK(w.name == NULL);
    unsetenv("REEVE_NAME");
    option_done(&word_table, &w);
}
