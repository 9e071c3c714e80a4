#include "cli/demo_view.h"
#include "cli/json_view.h"
#include "cli/top_frame.h"
#include "cli/width.h"
#include "test.h"

static json_t *parse(const char *text)
{
    json_t *value = NULL;
    CHECK_OK(json_parse(text, strlen(text), &value, &test_err));
    return value;
}

#define JOBS                                                                                       \
    "{\"items\":[{\"id\":3,\"user\":\"bob\",\"name\":\"train\",\"state\":\"Running\","             \
    "\"position\":"                                                                                \
    "null,\"submitted_at\":\"1970-01-01T00:00:01.000Z\",\"started_at\":\"1970-01-01T00:00:02."     \
    "000Z\",\"progress\":{\"done\":5,\"total\":10,\"percent\":50}},"                               \
    "{\"id\":1,\"user\":\"alice\",\"name\":\"학습\",\"state\":\"Queued\",\"position\":1,"        \
    "\"submitted_at\":\"1970-01-01T00:00:03.000Z\"}],\"queue_length\":1,\"running\":1}"
#define DEVICES                                                                                    \
    "{\"items\":[{\"id\":1,\"node\":\"gpu-a\",\"index\":0,\"model\":\"NVIDIA GeForce RTX 3080\","  \
    "\"state\":\"allocated\",\"gpu_utilization\":88,\"memory_used_mib\":3072,\"memory_total_"      \
    "mib\":"                                                                                       \
    "10240,\"power_watts\":240.5,\"temperature_celsius\":61,\"job\":{\"id\":3,\"user\":\"bob\"}}]" \
    "}"

struct answers {
    json_t *status, *queue, *devices;
};

static struct top_data given(struct answers *a)
{
    a->status = parse("{\"version\":\"0.1.0\",\"site\":\"ab12cd34\",\"uptime_ms\":60000}");
    a->queue = parse(JOBS);
    a->devices = parse(DEVICES);
    return (struct top_data){a->status, a->devices, a->queue, 10000, NULL};
}

static void done(struct answers *a)
{
    json_decref(a->status);
    json_decref(a->queue);
    json_decref(a->devices);
}

static bool shows(const struct top_frame *f, const char *words)
{
    for (size_t i = 0; i < f->count; i++)
        if (strstr(f->lines[i].text, words))
            return true;
    return false;
}

TEST("the picture fills the terminal exactly, whatever its size")
{
    struct answers a;
    struct top_data data = given(&a);
    static const int sizes[][2] = {{80, 24}, {40, 5}, {20, 1}, {200, 60}};
    for (size_t i = 0; i < 4; i++) {
        struct top_look look = {.columns = sizes[i][0], .rows = sizes[i][1]};
        struct top_frame f;
        top_frame_make(&f, &data, &look);
        CHECK(f.count <= (size_t)look.rows);
        for (size_t k = 0; k < f.count; k++)
            CHECK_INT(text_width(f.lines[k].text), look.columns);
        top_frame_done(&f);
    }
    done(&a);
}

TEST("in 80 columns GPU, holder, job, place and progress can be read")
{
    struct answers a;
    struct top_data data = given(&a);
    struct top_look look = {.columns = 80, .rows = 24};
    struct top_frame f;
    top_frame_make(&f, &data, &look);
    CHECK(shows(&f, "1 waiting, 1 running"));
    CHECK(shows(&f, "3.0/10.0G"));
    CHECK(shows(&f, "job 3"));
    CHECK(shows(&f, "50%"));
    CHECK(shows(&f, "학습"));
    CHECK_INT(f.jobs, 2);
    top_frame_done(&f);
    done(&a);
}

TEST("jobs are sorted by the key asked for, and the other way round")
{
    struct answers a;
    struct top_data data = given(&a);
    struct top_look look = {.columns = 80, .rows = 24, .sort = TOP_BY_ID};
    int first[2] = {0};
    for (int reverse = 0; reverse < 2; reverse++) {
        struct top_frame f;
        look.reverse = reverse;
        top_frame_make(&f, &data, &look);
        for (size_t i = 0; i < f.count && !first[reverse]; i++)
            if (strstr(f.lines[i].text, "Queued") || strstr(f.lines[i].text, "Running "))
                first[reverse] = strstr(f.lines[i].text, "Queued") ? 1 : 3;
        top_frame_done(&f);
    }
    CHECK_INT(first[0], 1);
    CHECK_INT(first[1], 3);
    CHECK_INT(top_sort_find("wait"), TOP_BY_WAIT);
    CHECK_INT(top_sort_find("nothing"), TOP_SORTS);
    done(&a);
}

TEST("without any answer yet there is a picture all the same")
{
    struct top_data data = {.now_ms = 1000, .trouble = "could not reach it"};
    struct top_look look = {.columns = 80, .rows = 24};
    struct top_frame f;
    top_frame_make(&f, &data, &look);
    CHECK(shows(&f, "could not reach it"));
    top_frame_done(&f);
}

TEST("the demo's table has a row a job that says completed, and a sum")
{
    auto_json json_t *jobs = parse(
        "[{\"id\":1,\"name\":\"ntu60-joint\",\"user\":\"alice\",\"state\":\"Completed\",\"wait_"
        "ms\":"
        "20,\"run_ms\":2500,\"energy_joules\":500.0,\"cost_micros\":229},"
        "{\"id\":2,\"name\":\"ntu60-bone\",\"user\":\"bob\",\"state\":\"Completed\",\"wait_ms\":"
        "2520,\"run_ms\":3100,\"energy_joules\":700.0,\"cost_micros\":288}]");
    auto_json json_t *accuracy = parse("{\"1\": 0.988}");
    auto_text struct text t = {0};
    demo_table(&t, jobs, accuracy, false);
    CHECK_TEXT(t.data,
               "id  name         user   state      wait   run  energy          cost  accuracy\n"
               " 1  ntu60-joint  alice  completed  20ms  2.5s   500 J  0.000229 USD       99%\n"
               " 2  ntu60-bone   bob    completed  2.5s  3.1s   700 J  0.000288 USD         -\n"
               "\nTogether 5.6s of GPU time, 1.2 kJ, 0.000517 USD.\n");
}

TEST("the demo's picture keeps within the terminal")
{
    auto_json json_t *queue = parse(JOBS), *devices = parse(DEVICES);
    auto_text struct text t = {0};
    demo_draw(&t, &(struct demo_picture){.jobs = view_items(queue),
                                         .devices = devices,
                                         .now_ms = 10000,
                                         .elapsed_ms = 65000,
                                         .columns = 60});
    for (char *line = strtok(t.data, "\n"); line; line = strtok(NULL, "\n"))
        CHECK(text_width(line) <= 60);
}

TEST("without a terminal the demo says what the first in the queue waits for, and ends at no 93 %")
{
    auto_json json_t *first =
        parse("{\"id\":1,\"name\":\"a\",\"user\":\"bob\",\"state\":\"Queued\","
              "\"position\":1,\"reason\":\"needs 1 GPU\"}");
    auto_json json_t *done =
        parse("{\"id\":1,\"name\":\"a\",\"user\":\"bob\",\"state\":\"Completed\","
              "\"progress\":{\"percent\":93.0},\"reason\":\"exited with status 0\"}");
    auto_text struct text t = {0};
    demo_line(&t, first, 1000);
    demo_line(&t, done, 61000);
    CHECK_TEXT(t.data, "00:01  job 1 (a) of bob: Queued, position 1: needs 1 GPU\n"
                       "01:01  job 1 (a) of bob: Completed\n");
}
