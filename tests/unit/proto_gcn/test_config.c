#include "config.h"
#include "test.h"

#include <stdlib.h>
#include <unistd.h>

/* Loads TEXT as a config file; what the reader says goes to *W. */
static int load(const char *text, struct config *c, struct why *w)
{
    char path[] = "/tmp/proto-gcn-config-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    *c = config_defaults;
    int rc = config_load(c, path, w);
    unlink(path);
    return rc;
}

TEST("a config file sets what it names and leaves the rest")
{
    struct config c;
    struct why w = {""};
    int rc = load("---\n# a comment\nname: night-run # behind a value\n\nstream: bone\nlr: 2.5e-3\n"
                  "augment: no\nepochs:   7\r\n",
                  &c, &w);
    ck_assert_msg(rc == 0, "%s", w.text);
    CHECK_TEXT(c.name, "night-run");
    CHECK_INT(c.stream, STREAM_BONE);
    CHECK(c.lr > 0.00249 && c.lr < 0.00251);
    CHECK(!c.augment);
    CHECK_INT(c.epochs, 7);
    CHECK_INT(c.batch, config_defaults.batch);
}

TEST("a wrong line is refused with its number and what is wrong with it")
{
    static const struct {
        const char *text, *number, *words;
    } wrong[] = {
        {"epochs: 3\nepoch: 4\n", ":2:", "unknown setting 'epoch'"},
        {"epochs: 3\n\n# x\nepochs: 4\n", ":4:", "given twice"},
        {"epochs: 3.5\n", ":1:", "not a whole number"},
        {"epochs: 0\n", ":1:", "not within 1 .. 1000"},
        {"lr: nan\n", ":1:", "not a number"},
        {"lr: 0x10\n", ":1:", "not a number"},
        {"lr: 1 2\n", ":1:", "not a number"},
        {"stream: jont\n", ":1:", "none of: joint, bone, motion"},
        {"augment: maybe\n", ":1:", "neither true nor false"},
        {"model:\n  width: 3\n", ":1:", "has no value"},
        {"epochs: 3\n  batch: 4\n", ":2:", "left edge"},
        {"- epochs\n", ":1:", "not of the form"},
        {"epochs:3\n", ":1:", "not of the form"},
        {"\x7f\x45LF\x02\x01\n", ":1:", "not of the form"},
        {"name: ../../etc\n", ":1:", "may hold letters"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct config c;
        struct why w = {""};
        ck_assert_msg(load(wrong[i].text, &c, &w) < 0, "taken: %s", wrong[i].text);
        ck_assert_msg(strstr(w.text, wrong[i].number) && strstr(w.text, wrong[i].words),
                      "'%s' and '%s' are not in: %s", wrong[i].number, wrong[i].words, w.text);
        CHECK_INT(c.epochs, config_defaults.epochs); /* a file counts as a whole or not at all */
    }
}

TEST("a line without end is refused, and a folder is no config file")
{
    struct config c = config_defaults;
    struct why w = {""};
    char *line = room_for(5001, 1);
    memset(line, 'a', 5000);
    CHECK(load(line, &c, &w) < 0 && strstr(w.text, "longer than"));
    free(line);
    CHECK(config_load(&c, "/", &w) < 0);
    CHECK(config_load(&c, "/nowhere/x.yaml", &w) < 0 && strstr(w.text, "No such file"));
}

TEST("an option's dashes stand for the underscores of the setting")
{
    struct config c = config_defaults;
    struct why w = {""};
    CHECK_INT(config_set(&c, "train-samples", "77", &w), 0);
    CHECK_INT(c.train_samples, 77);
    CHECK_INT(config_set(&c, "train_samples", "78", &w), 0);
    CHECK_INT(c.train_samples, 78);
}

TEST("settings that do not fit together are refused")
{
    struct config c = config_defaults;
    struct why w = {""};
    CHECK_INT(config_check(&c, &w), 0);
    c.batch = c.train_samples + 1;
    CHECK(config_check(&c, &w) < 0 && strstr(w.text, "batch"));
    c = config_defaults;
    c.train_samples = c.batch = c.classes - 1;
    CHECK(config_check(&c, &w) < 0 && strstr(w.text, "without a sample"));
}

TEST("only what shapes data or model makes checkpoints strangers")
{
    struct config a = config_defaults, b = config_defaults;
    b.epochs++;
    b.lr *= 2;
    strcpy(b.name, "other");
    CHECK(config_shape(&a) == config_shape(&b));
    b.noise += 0.01;
    CHECK(config_shape(&a) != config_shape(&b));
}
