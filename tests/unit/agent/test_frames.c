#include "agent/frames.h"
#include "base/mem.h"
#include "test.h"

#include <math.h>

static void set_two(struct frames *f, const char *key)
{
    const struct frame_series series[] = {{{{"node", "a"}, {"__name__", "x"}, {"empty", ""}}, 3},
                                          {{{"__name__", "y"}, {"node", "a"}}, 2}};
    frames_set(f, 0, key, series, 2);
}

struct seen {
    int series, samples;
    double last;
    char names[64];
};

static int on_series(void *arg, const struct series *s)
{
    struct seen *seen = arg;
    seen->series++;
    seen->samples += (int)s->sample_count;
    seen->last = s->samples[s->sample_count - 1].value;
    for (size_t i = 0; i < s->label_count; i++)
        snprintf(seen->names + strlen(seen->names), sizeof seen->names - strlen(seen->names),
                 "%s=%s ", s->labels[i].name, s->labels[i].value);
    return 0;
}

/* Takes the next message; false when there is none. */
static bool take(struct frames *f, size_t most, struct seen *seen)
{
    auto_free void *body = NULL;
    size_t len;
    *seen = (struct seen){0};
    if (!frames_encode(f, most, &body, &len, &test_err))
        return false;
    CHECK(body);
    CHECK_OK(remote_write_decode(body, len, on_series, seen, &test_err));
    return true;
}

TEST("rows come out as series with sorted labels, without what was no reading")
{
    struct frames *f = frames_new(1 << 20);
    struct seen seen;
    set_two(f, "k");
    frames_add(f, 0, 1000, (double[]){1, NAN});
    frames_add(f, 0, 2000, (double[]){2, NAN});
    CHECK(take(f, 1000, &seen));
    CHECK_INT(seen.series, 1);
    CHECK_INT(seen.samples, 2);
    CHECK_TEXT(seen.names, "__name__=x node=a ");
    frames_free(f);
}

TEST("what was not taken comes again, and what was taken only after a rewind")
{
    struct frames *f = frames_new(1 << 20);
    struct seen seen;
    set_two(f, "k");
    frames_add(f, 0, 1000, (double[]){1, 2});
    CHECK(take(f, 1000, &seen));
    CHECK(take(f, 1000, &seen));
    frames_commit(f);
    CHECK(!take(f, 1000, &seen));
    frames_add(f, 0, 2000, (double[]){3, 4});
    CHECK(take(f, 1000, &seen));
    CHECK_INT(seen.samples, 2);
    frames_commit(f);
    frames_rewind(f);
    CHECK(take(f, 1000, &seen));
    CHECK_INT(seen.samples, 4);
    frames_free(f);
}

TEST("a message holds no more than asked, and the rest follows")
{
    struct frames *f = frames_new(1 << 20);
    struct seen seen;
    int messages = 0, samples = 0;
    set_two(f, "k");
    for (int i = 0; i < 100; i++)
        frames_add(f, 0, 1000 + i, (double[]){i, i});
    for (; take(f, 50, &seen); messages++) {
        CHECK(seen.samples <= 50);
        samples += seen.samples;
        frames_commit(f);
    }
    CHECK_INT(samples, 200);
    CHECK_INT(messages, 4); /* blocks of 32 rows do not end where messages do */
    CHECK(take(f, 1, &seen) == false);
    frames_free(f);
}

TEST("when there is no room the oldest go and are counted")
{
    struct frames *f = frames_new(4096);
    struct seen seen;
    set_two(f, "k");
    for (int i = 0; i < 1000; i++)
        frames_add(f, 0, 1000 + i, (double[]){i, i});
    struct frames_counts c = frames_counts(f);
    CHECK(c.bytes <= 4096);
    CHECK(c.dropped > 0);
    CHECK(take(f, 10000, &seen));
    CHECK_INT(c.dropped + seen.samples, 2000);
    CHECK(seen.last == 999);
    frames_free(f);
}

TEST("another set of series does not lose what the old one has")
{
    struct frames *f = frames_new(1 << 20);
    struct seen seen;
    set_two(f, "k");
    CHECK(frames_has_set(f, 0, "k") && !frames_has_set(f, 0, "l") && !frames_has_set(f, 1, "k"));
    frames_add(f, 0, 1000, (double[]){1, 2});
    frames_set(f, 0, "l", &(struct frame_series){{{"__name__", "z"}}, 1}, 1);
    frames_add(f, 0, 1000, (double[]){9}); /* not newer: passed over */
    frames_add(f, 0, 2000, (double[]){9});
    CHECK(take(f, 1000, &seen));
    CHECK_INT(seen.samples, 3);
    frames_free(f);
}
