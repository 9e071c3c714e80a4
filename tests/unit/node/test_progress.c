#include "node/progress.h"

#include "test.h"

#include "base/clock.h"
#include "base/mem.h"

static void line_is(const char *line, const char *pattern, int64_t done, int64_t total)
{
    struct progress p = {0};
    bool found = progress_from_line(line, strlen(line), pattern, &p);
    ck_assert_msg(found == (total > 0), "'%s' by '%s': %d", line, pattern ? pattern : "", found);
    ck_assert_msg(p.done == done && p.total == total, "'%s' by '%s': %lld of %lld", line,
                  pattern ? pattern : "", (long long)p.done, (long long)p.total);
}

TEST("the usual ways to write progress are understood")
{
    line_is("Epoch 3/10", NULL, 3, 10);
    line_is("epoch [003/100] loss 0.5", NULL, 3, 100);
    line_is("EPOCH: 7 / 20", NULL, 7, 20);
    line_is("epoch=2/4 step 17/400", NULL, 2, 4);
    line_is("Epoch 3/10:  45%|####   | 450/1000 [00:10<00:12]", NULL, 3, 10);
    line_is(" 45%|####      | 450/1000 [00:10<00:12, 45.0it/s]", NULL, 450, 1000);
    line_is("125/1875 [=>......] - loss: 0.3", NULL, 125, 1875);
    line_is("step 5/20, lr=0.1", NULL, 5, 20);
    line_is("done 62%", NULL, 62, 100);
    line_is("progress: 12.5%", NULL, 125, 1000);
    line_is("100%", NULL, 100, 100);
    line_is("batch (7/9).", NULL, 7, 9);
}

TEST("what only looks like progress is not taken for it")
{
    line_is("saved to /data/3/10", NULL, 0, 0);
    line_is("2024/01/02 started", NULL, 0, 0);
    line_is("v1.2/3", NULL, 0, 0);
    line_is("12/4", NULL, 0, 0);
    line_is("1/0", NULL, 0, 0);
    line_is("loss 0.25 and 3 of 10", NULL, 0, 0);
    line_is("120%", NULL, 0, 0);
    line_is("a1234567890123456/1", NULL, 0, 0);
    line_is("99999999999999999999/999999999999999999999", NULL, 0, 0);
    line_is("1/2/3", NULL, 0, 0);
    line_is("epoch", NULL, 0, 0);
    line_is("", NULL, 0, 0);
}

TEST("a job's own pattern is found anywhere in a line")
{
    line_is("it: step 12 of 400, loss 1", "step {done} of {total}", 12, 400);
    line_is("step   12  of 400", "step {done} of {total}", 12, 400);
    line_is("batch 17/5000 ok", "batch {done}/5000", 17, 5000);
    line_is("batch 17/50000 ok", "batch {done}/5000", 0, 0);
    line_is("loss 0.3 (45.5%)", "loss * ({percent}%)", 455, 1000);
    line_is("[a] 1 b 2 c 3/4", "*b*{done}/{total}", 3, 4);
    line_is("x{done}y 5/6", "\\{done}y {done}/{total}", 5, 6);
    line_is("epoch 3/10", "step {done} of {total}", 0, 0);
    line_is("step 12 of", "step {done} of {total}", 0, 0);
    line_is("step 12 of 4", "step {done} of {total}", 0, 0);
    line_is("123 of 400", "{done} of {total}", 123, 400);
}

TEST("a pattern that can never say anything is refused with a reason")
{
    CHECK_OK(progress_check_pattern("step {done} of {total}", &test_err));
    CHECK_OK(progress_check_pattern("{percent}%", &test_err));
    CHECK_OK(progress_check_pattern("{done}/500", &test_err));
    CHECK_FAILS(progress_check_pattern("", &test_err), ERR_INVALID, "1 to 200 bytes");
    CHECK_FAILS(progress_check_pattern("step {done}", &test_err), ERR_INVALID, "needs {percent}");
    CHECK_FAILS(progress_check_pattern("{x}{percent}", &test_err), ERR_INVALID,
                "a '{' that does not begin");
    CHECK_FAILS(progress_check_pattern("\xff{percent}", &test_err), ERR_INVALID, "UTF-8");
}

TEST("no line and no pattern takes long")
{
    char line[PROGRESS_LINE_MOST], pattern[PROGRESS_PATTERN_MOST + 1];
    memset(line, '1', sizeof line);
    for (size_t i = 0; i + 4 < sizeof pattern; i += 2)
        pattern[i] = '*', pattern[i + 1] = '1';
    memcpy(pattern + sizeof pattern - 11, "{percent}x", 11);
    struct progress p;
    int64_t start = clock_mono_ms();
    for (int i = 0; i < 20; i++)
        CHECK(!progress_from_line(line, sizeof line, pattern, &p));
    CHECK(clock_mono_ms() - start < 2000);
}

static void log_is(const char *log, enum progress_source least, int64_t done, int64_t total)
{
    struct progress p = {0};
    progress_from_log(log, strlen(log), NULL, least, &p);
    ck_assert_msg(p.done == done && p.total == total, "'%s': %lld of %lld", log, (long long)p.done,
                  (long long)p.total);
}

TEST("of a log the last line of the best kind counts")
{
    log_is("epoch 1/5\nepoch 2/5\n", PROGRESS_NONE, 2, 5);
    log_is("epoch 1/5\n 10/100\n 50%\n", PROGRESS_NONE, 1, 5);
    log_is("\r 10%\r 20%\r 30%", PROGRESS_NONE, 30, 100);
    log_is(" 50%\n", PROGRESS_EPOCH, 0, 0);
    log_is("3/10", PROGRESS_NONE, 0, 0); /* may be the start of 3/100 */
    log_is("3/10\n", PROGRESS_NONE, 3, 10);
    log_is("3/10 ", PROGRESS_NONE, 3, 10);
    log_is("\n\n\n", PROGRESS_NONE, 0, 0);
}

TEST("a progress file holds N/M and nothing else")
{
    static const struct {
        const char *text;
        int64_t done, total;
    } files[] = {
        {"3/10", 3, 10},  {"3/10\n", 3, 10}, {" 3/10 \n\n", 3, 10}, {"1/10\n2/10\n", 2, 10},
        {"0/7", 0, 7},    {"3", 0, 0},       {"3/", 0, 0},          {"/3", 0, 0},
        {"3/10x", 0, 0},  {"11/10", 0, 0},   {"-1/10", 0, 0},       {"", 0, 0},
        {"3 / 10", 0, 0}, {"1e3/1e4", 0, 0}, {"0/0", 0, 0},         {"\n\n", 0, 0},
    };
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        struct progress p = {0};
        bool found = progress_from_file(files[i].text, strlen(files[i].text), &p);
        ck_assert_msg(found == (files[i].total > 0), "'%s'", files[i].text);
        CHECK_INT(p.done, files[i].done);
        CHECK_INT(p.total, files[i].total);
    }
}
