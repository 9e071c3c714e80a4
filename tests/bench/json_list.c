/*
 * A list of jobs, the answer that is rendered most often, written by json_out and by way of a tree
 * of jansson's. Rounds alternate, and the medians are compared, so that a busy neighbour hits both.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/json_out.h"

#include <assert.h>

enum { JOBS = 10000, ROUNDS = 15 };

static size_t by_json_out(void)
{
    auto_text struct text t = {0};
    struct json_out o = {.text = &t};
    jo_object(&o, NULL);
    jo_list(&o, "items");
    for (int64_t i = 0; i < JOBS; i++) {
        jo_object(&o, NULL);
        jo_int(&o, "id", 1000000 + i);
        jo_text(&o, "name", "ntu60-joint");
        jo_text(&o, "user", "alice");
        jo_text(&o, "state", "Queued");
        jo_int(&o, "position", i + 1);
        jo_bool(&o, "exclusive", false);
        jo_text(&o, "reason", "needs 1 GPU with 8192 MiB free");
        jo_end(&o);
    }
    jo_end(&o);
    jo_end(&o);
    return t.len;
}

static size_t by_jansson(void)
{
    json_t *items = json_array();
    for (json_int_t i = 0; i < JOBS; i++)
        json_array_append_new(items, json_pack("{s:I, s:s, s:s, s:s, s:I, s:b, s:s}", "id",
                                               1000000 + i, "name", "ntu60-joint", "user", "alice",
                                               "state", "Queued", "position", i + 1, "exclusive", 0,
                                               "reason", "needs 1 GPU with 8192 MiB free"));
    auto_json json_t *list = json_pack("{s:o}", "items", items);
    auto_free char *text = json_dumps(list, JSON_COMPACT);
    return strlen(text);
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int main(void)
{
    int64_t ours[ROUNDS], theirs[ROUNDS];
    size_t len = by_json_out();
    assert(len == by_jansson()); /* the same text: nobody leaves anything out */
    for (int i = 0; i < ROUNDS; i++) {
        int64_t began = clock_mono_us();
        by_json_out();
        int64_t between = clock_mono_us();
        by_jansson();
        ours[i] = between - began;
        theirs[i] = clock_mono_us() - between;
    }
    qsort(ours, ROUNDS, sizeof *ours, by_size);
    qsort(theirs, ROUNDS, sizeof *theirs, by_size);
    int64_t a = ours[ROUNDS / 2], b = theirs[ROUNDS / 2];
    printf("%d jobs, %zu bytes: json_out %.2f ms, jansson %.2f ms, ratio %.1f\n", JOBS, len,
           (double)a / 1e3, (double)b / 1e3, (double)b / (double)a);
    return 0;
}
