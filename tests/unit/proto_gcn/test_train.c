#include "checkpoint.h"
#include "test.h"

#include <stdlib.h>
#include <unistd.h>

static struct config small(void)
{
    struct config c = config_defaults;
    c.width = 6;
    c.frames = 16;
    c.train_samples = 60;
    c.val_samples = 20;
    c.test_samples = 40;
    c.epochs = 4;
    c.batch = 16;
    c.classes = 4;
    c.lr = 0.02;
    return c;
}

static void steps(struct training *t, int count)
{
    struct why w = {""};
    for (int i = 0; i < count && !training_is_over(t); i++)
        ck_assert_msg(training_step(t, &w) == 0, "%s", w.text);
}

static char path[] = "/tmp/proto-gcn-checkpoint-XXXXXX";

static void make_path(void)
{
    memcpy(path + sizeof path - 7, "XXXXXX", 6);
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    close(fd);
    unlink(path);
}

TEST("the loss falls, and strangers' actions are told apart")
{
    struct config c = small();
    c.epochs = 8;
    struct training t;
    training_init(&t, &c);
    steps(&t, 1000);
    CHECK(training_is_over(&t));
    CHECK(t.history[7].loss < 0.5 * t.history[0].loss);
    struct dataset *held_back = dataset_new(&c, PART_TEST);
    struct score s = training_evaluate(&t, held_back);
    CHECK(score_accuracy(&s) > 0.7);
    dataset_free(held_back);
    training_done(&t);
}

TEST("plain descent with momentum learns too")
{
    struct config c = small();
    c.optimizer = OPTIMIZER_SGD;
    c.lr = 0.01;
    struct training t;
    training_init(&t, &c);
    steps(&t, 1000);
    CHECK(t.history[c.epochs - 1].loss < t.history[0].loss);
    training_done(&t);
}

TEST("a run that stops anywhere and goes on ends with the weights of one that never stopped")
{
    struct config c = small();
    struct why w = {""};
    bool there = false;
    make_path();
    struct training whole;
    training_init(&whole, &c);
    steps(&whole, 1000);

    for (int stop = 0; stop <= 9; stop += 3) { /* 4 steps an epoch: within and at the end */
        struct training first, second;
        training_init(&first, &c);
        steps(&first, stop);
        ck_assert_msg(checkpoint_save(&first, path, &w) == 0, "%s", w.text);
        training_done(&first);

        training_init(&second, &c);
        ck_assert_msg(checkpoint_load(&second, path, &there, &w) == 0, "%s", w.text);
        CHECK(there);
        steps(&second, 1000);
        CHECK(memcmp(model_weights(whole.model), model_weights(second.model),
                     model_size(whole.model) * sizeof(real)) == 0);
        for (int64_t i = 0; i < c.epochs; i++)
            CHECK(whole.history[i].loss == second.history[i].loss &&
                  whole.history[i].train_acc == second.history[i].train_acc);
        training_done(&second);
    }
    unlink(path);
    training_done(&whole);
}

TEST("no checkpoint is no failure")
{
    struct config c = small();
    struct training t;
    struct why w = {""};
    bool there = true;
    training_init(&t, &c);
    CHECK_INT(checkpoint_load(&t, "/tmp/proto-gcn-no-such-file", &there, &w), 0);
    CHECK(!there);
    training_done(&t);
}

TEST("a checkpoint that is cut off, damaged, too long or another run's is refused")
{
    struct config c = small();
    struct training t;
    struct why w = {""};
    bool there = false;
    make_path();
    training_init(&t, &c);
    steps(&t, 5);
    CHECK_INT(checkpoint_save(&t, path, &w), 0);

    FILE *f = fopen(path, "r+e");
    CHECK(f && fseek(f, 0, SEEK_END) == 0);
    long size = ftell(f);
    CHECK(fputc('x', f) != EOF && fflush(f) == 0);
    CHECK(checkpoint_load(&t, path, &there, &w) < 0 && strstr(w.text, "damaged"));

    for (long at = 0; at < size; at += 1 + size / 200) { /* one byte wrong, all over the file */
        CHECK(ftruncate(fileno(f), size) == 0 && fseek(f, at, SEEK_SET) == 0);
        int byte = fgetc(f);
        CHECK(fseek(f, at, SEEK_SET) == 0 && fputc(byte ^ 0x10, f) != EOF && fflush(f) == 0);
        CHECK(checkpoint_load(&t, path, &there, &w) < 0);
        CHECK(fseek(f, at, SEEK_SET) == 0 && fputc(byte, f) != EOF && fflush(f) == 0);
    }
    CHECK_INT(checkpoint_load(&t, path, &there, &w), 0); /* whole again */
    CHECK(ftruncate(fileno(f), size - 1) == 0);
    CHECK(checkpoint_load(&t, path, &there, &w) < 0 && strstr(w.text, "damaged"));
    CHECK(ftruncate(fileno(f), 10) == 0);
    CHECK(checkpoint_load(&t, path, &there, &w) < 0 && strstr(w.text, "cut off"));
    fclose(f);

    CHECK_INT(checkpoint_save(&t, path, &w), 0);
    training_done(&t);
    c.width++;
    training_init(&t, &c);
    CHECK(checkpoint_load(&t, path, &there, &w) < 0 && strstr(w.text, "other settings"));
    training_done(&t);
    unlink(path);
}

TEST("a learning rate far too high ends with a sentence, not with numbers that are none")
{
    struct config c = small();
    c.optimizer = OPTIMIZER_SGD;
    c.lr = 100;
    struct training t;
    struct why w = {""};
    training_init(&t, &c);
    int rc = 0;
    while (!training_is_over(&t) && rc == 0)
        rc = training_step(&t, &w);
    CHECK(rc < 0 && strstr(w.text, "try a learning rate below 100"));
    training_done(&t);
}
