#include "base/mem.h"
#include "base/text.h"
#include "test.h"
#include "tsdb/tsdb.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

#define NOW ((int64_t)1700000000000)

/* Appends one sample to name{gpu="GPU"}. */
static int add(struct tsdb *db, const char *name, const char *gpu, int64_t t_ms, double value,
               int64_t now_ms)
{
    struct label labels[] = {{"__name__", name}, {"gpu", gpu}};
    struct sample s = {t_ms, value};
    size_t taken;
    return tsdb_append(db, labels, 2, &s, 1, now_ms, &taken, &test_err) < 0 ? -1 : (int)taken;
}

static int note(void *arg, const struct label *labels, size_t label_count,
                const struct sample *points, size_t count)
{
    struct text *t = arg;
    text_addf(t, "%s%s{", t->len ? "; " : "", labels[0].value);
    for (size_t i = 1; i < label_count; i++)
        text_addf(t, "%s=%s", labels[i].name, labels[i].value);
    text_add(t, "}");
    for (size_t i = 0; i < count; i++)
        text_addf(t, " %d:%g", (int)(points[i].t_ms - NOW), points[i].value);
    return 0;
}

static const char *ask(struct tsdb *db, struct text *t, struct tsdb_query q)
{
    q.to_ms = q.to_ms ? q.to_ms : NOW + 100000;
    q.from_ms = q.from_ms ? q.from_ms : NOW;
    q.step_ms = q.step_ms ? q.step_ms : 10000;
    text_clear(t);
    CHECK_OK(tsdb_query(db, &q, note, t, &test_err));
    return text_get(t);
}

TEST("samples are aggregated step by step, stale marks left out")
{
    auto_tsdb struct tsdb *db = tsdb_new(NULL);
    auto_text struct text t = {0};
    static const double values[] = {1, 5, 3, 10, NAN, 7};
    static const int64_t times[] = {0, 3000, 9999, 10000, 15000, 30000};
    for (size_t i = 0; i < COUNT_OF(values); i++)
        CHECK_INT(add(db, "util", "0", NOW + times[i], values[i], NOW), 1);
    static const struct {
        enum tsdb_aggregate aggregate;
        const char *expected;
    } cases[] = {
        {TSDB_LAST, "util{gpu=0} 0:3 10000:10 30000:7"},
        {TSDB_MEAN, "util{gpu=0} 0:3 10000:10 30000:7"},
        {TSDB_MIN, "util{gpu=0} 0:1 10000:10 30000:7"},
        {TSDB_MAX, "util{gpu=0} 0:5 10000:10 30000:7"},
        {TSDB_SUM, "util{gpu=0} 0:9 10000:10 30000:7"},
        {TSDB_COUNT, "util{gpu=0} 0:3 10000:1 30000:1"},
        {TSDB_RAW, "util{gpu=0} 0:1 3000:5 9999:3 10000:10 15000:nan 30000:7"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        CHECK_TEXT(ask(db, &t, (struct tsdb_query){.aggregate = cases[i].aggregate}),
                   cases[i].expected);
    CHECK_TEXT(ask(db, &t,
                   (struct tsdb_query){
                       .from_ms = NOW + 3000, .to_ms = NOW + 10000, .aggregate = TSDB_RAW}),
               "util{gpu=0} 3000:5 9999:3");
    CHECK_TEXT(ask(db, &t, (struct tsdb_query){.from_ms = NOW + 40000}), "");
}

TEST("series are chosen by what their labels are and are not; an absent label is empty")
{
    auto_tsdb struct tsdb *db = tsdb_new(NULL);
    auto_text struct text t = {0};
    add(db, "util", "0", NOW, 1, NOW);
    add(db, "util", "1", NOW, 2, NOW);
    add(db, "power", "1", NOW, 3, NOW);
    struct label plain[] = {{"__name__", "up"}};
    CHECK_OK(tsdb_append(db, plain, 1, &(struct sample){NOW, 4}, 1, NOW, NULL, &test_err));

    struct tsdb_matcher m[] = {{"__name__", "util", TSDB_IS}, {"gpu", "1", TSDB_IS}};
    CHECK_TEXT(ask(db, &t, (struct tsdb_query){.matchers = m, .matcher_count = 2}),
               "util{gpu=1} 0:2");
    m[1].match = TSDB_IS_NOT;
    CHECK_TEXT(ask(db, &t, (struct tsdb_query){.matchers = m, .matcher_count = 2}),
               "util{gpu=0} 0:1");
    m[0] = (struct tsdb_matcher){"gpu", "", TSDB_IS};
    CHECK_TEXT(ask(db, &t, (struct tsdb_query){.matchers = m, .matcher_count = 1}), "up{} 0:4");
    m[0].match = TSDB_IS_NOT;
    CHECK_TEXT(ask(db, &t, (struct tsdb_query){.matchers = m, .matcher_count = 1}),
               "util{gpu=0} 0:1; util{gpu=1} 0:2; power{gpu=1} 0:3");
}

TEST("samples that are old, late, twice or from the future are passed over and counted")
{
    auto_tsdb struct tsdb *db = tsdb_new(NULL);
    auto_text struct text t = {0};
    CHECK_INT(add(db, "util", "0", NOW + 5000, 1, NOW), 1);
    CHECK_INT(add(db, "util", "0", NOW + 5000, 2, NOW), 0);
    CHECK_INT(add(db, "util", "0", NOW + 4000, 3, NOW), 0);
    CHECK_INT(add(db, "util", "0", NOW + 600001, 4, NOW), 0);
    CHECK_INT(add(db, "util", "1", NOW - 3600001, 5, NOW), 0);
    CHECK_INT(add(db, "util", "1", INT64_MIN, 5, NOW), 0);
    CHECK_INT(add(db, "util", "1", INT64_MAX, 5, NOW), 0);
    CHECK_TEXT(ask(db, &t, (struct tsdb_query){.aggregate = TSDB_RAW}), "util{gpu=0} 5000:1");
    struct tsdb_stats st;
    tsdb_stats(db, &st);
    CHECK_INT(st.samples, 1);
    CHECK_INT(st.passed_over, 6);
    CHECK_INT(st.series, 1); /* one that took nothing is none */
}

TEST("labels that are empty, twice, out of order, too many or too long are refused")
{
    auto_tsdb struct tsdb *db = tsdb_new(NULL);
    struct sample s = {NOW, 1};
    auto_free char *name = mem_alloc(1, TSDB_LABEL_BYTES_MOST + 1);
    memset(name, 'x', TSDB_LABEL_BYTES_MOST);
    struct label many[TSDB_LABELS_MOST + 1];
    char names[TSDB_LABELS_MOST + 1][8];
    for (int i = 0; i <= TSDB_LABELS_MOST; i++) {
        snprintf(names[i], sizeof names[i], "l%03d", i);
        many[i] = (struct label){names[i], "x"};
    }
    const struct {
        struct label labels[2];
        const char *words;
    } cases[] = {
        {{{"a", "1"}, {"a", "2"}}, "twice"},
        {{{"b", "1"}, {"a", "2"}}, "not in order"},
        {{{"", "1"}, {"a", "2"}}, "is empty"},
        {{{"a", "1"}, {"b", ""}}, "'b' is empty"},
        {{{"a", "1"}, {"b", name}}, "more than 4096 bytes"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        CHECK_FAILS(tsdb_append(db, cases[i].labels, 2, &s, 1, NOW, NULL, &test_err), ERR_INVALID,
                    cases[i].words);
    CHECK_FAILS(tsdb_append(db, many, COUNT_OF(many), &s, 1, NOW, NULL, &test_err), ERR_INVALID,
                "1..64 labels");
    CHECK_FAILS(tsdb_append(db, many, 0, &s, 1, NOW, NULL, &test_err), ERR_INVALID, "1..64 labels");
    CHECK_OK(tsdb_append(db, many, TSDB_LABELS_MOST, &s, 1, NOW, NULL, &test_err));
}

TEST("questions that make no sense or want too much are refused")
{
    auto_tsdb struct tsdb *db = tsdb_new(NULL);
    auto_text struct text t = {0};
    for (int i = 0; i < 20; i++)
        add(db, "util", "0", NOW + i, i, NOW);
    struct tsdb_query q = {.from_ms = NOW, .to_ms = NOW - 1, .step_ms = 1};
    CHECK_FAILS(tsdb_query(db, &q, note, &t, &test_err), ERR_INVALID, "a range");
    q = (struct tsdb_query){.from_ms = NOW, .to_ms = NOW + 1, .step_ms = 0};
    CHECK_FAILS(tsdb_query(db, &q, note, &t, &test_err), ERR_INVALID, "a step");
    q = (struct tsdb_query){.from_ms = 0, .to_ms = INT64_MAX, .step_ms = 1};
    CHECK_FAILS(tsdb_query(db, &q, note, &t, &test_err), ERR_TOO_LARGE, "11000 points");
    q = (struct tsdb_query){
        .from_ms = NOW, .to_ms = NOW + 100, .aggregate = TSDB_RAW, .most_points = 19};
    CHECK_FAILS(tsdb_query(db, &q, note, &t, &test_err), ERR_TOO_LARGE, "19 points");
    q.most_points = 20;
    CHECK_OK(tsdb_query(db, &q, note, &t, &test_err));
}

TEST("too many series are refused until old ones are gone")
{
    auto_tsdb struct tsdb *db = tsdb_new(&(struct tsdb_limits){.most_series = 2});
    CHECK_INT(add(db, "util", "0", NOW, 1, NOW), 1);
    CHECK_INT(add(db, "util", "1", NOW + 1000, 1, NOW), 1);
    CHECK_FAILS(add(db, "util", "2", NOW, 1, NOW), ERR_EXHAUSTED, "2 series already");
    CHECK_INT(add(db, "util", "1", NOW + 2000, 1, NOW), 1);
    CHECK_INT(add(db, "util", "2", NOW + 3600500, 1, NOW + 3600500), 1);
}

TEST("memory stays within its bound: the oldest goes first, the newest is always there")
{
    enum { SERIES = 50, SAMPLES = 600, BYTES = 64 * 1024 };
    auto_tsdb struct tsdb *db = tsdb_new(&(struct tsdb_limits){.most_bytes = BYTES});
    auto_text struct text t = {0};
    srand(2);
    for (int i = 0; i < SAMPLES; i++)
        for (int k = 0; k < SERIES; k++) {
            char gpu[8];
            snprintf(gpu, sizeof gpu, "%d", k);
            CHECK_INT(add(db, "util", gpu, NOW + i * 1000, rand() / 3.0, NOW + i * 1000), 1);
        }
    struct tsdb_stats st;
    tsdb_stats(db, &st);
    CHECK(st.bytes <= BYTES);
    CHECK(st.evicted > 0);
    CHECK_INT(st.samples, SERIES * SAMPLES);
    ask(db, &t,
        (struct tsdb_query){.from_ms = NOW + (SAMPLES - 1) * 1000,
                            .to_ms = NOW + 3600000,
                            .step_ms = 3600000,
                            .aggregate = TSDB_COUNT});
    int found = 0;
    for (const char *c = text_get(&t); (c = strstr(c, ":1")); c++)
        found++;
    CHECK_INT(found, SERIES);
}

TEST("what is older than the retention makes room without being missed")
{
    auto_tsdb struct tsdb *db = tsdb_new(&(struct tsdb_limits){.retention_ms = 60000});
    for (int i = 0; i < 2000; i++) {
        char gpu[8];
        snprintf(gpu, sizeof gpu, "%d", i % 100);
        CHECK_INT(add(db, "util", gpu, NOW + i * 10000, i, NOW + i * 10000), 1);
    }
    struct tsdb_stats st;
    tsdb_stats(db, &st);
    CHECK(st.series < 20);
    CHECK_INT(st.evicted, 0);
    CHECK(st.bytes < 20 * 512);
}

/* A model with plain arrays, asked the same questions. */
TEST("over random series and questions the answers are those of plain arrays")
{
    enum { SERIES = 8, SAMPLES = 800 };
    static struct sample model[SERIES][SAMPLES];
    auto_tsdb struct tsdb *db = tsdb_new(&(struct tsdb_limits){.retention_ms = 36000000});
    auto_text struct text t = {0}, expected = {0};
    srand(3);
    for (int k = 0; k < SERIES; k++) {
        int64_t at = NOW;
        for (int i = 0; i < SAMPLES; i++) {
            at += 1 + rand() % 5000;
            model[k][i] = (struct sample){at, k % 2 ? rand() % 100 : rand() / 17.0};
            char gpu[8];
            snprintf(gpu, sizeof gpu, "%d", k);
            CHECK_INT(add(db, "util", gpu, at, model[k][i].value, NOW + 3600000), 1);
        }
    }
    for (int round = 0; round < 100; round++) {
        int k = rand() % SERIES;
        char gpu[8];
        snprintf(gpu, sizeof gpu, "%d", k);
        struct tsdb_matcher m = {"gpu", gpu, TSDB_IS};
        struct tsdb_query q = {.matchers = &m,
                               .matcher_count = 1,
                               .aggregate = TSDB_MAX,
                               .from_ms = NOW + rand() % 2000000,
                               .step_ms = 1 + rand() % 100000};
        q.to_ms = q.from_ms + rand() % 1000000;
        if ((q.to_ms - q.from_ms) / q.step_ms > 11000)
            continue;
        text_clear(&expected);
        for (int64_t step = q.from_ms; step < q.to_ms; step += q.step_ms) {
            double most = -1;
            for (int i = 0; i < SAMPLES; i++)
                if (model[k][i].t_ms >= step && model[k][i].t_ms < step + q.step_ms &&
                    model[k][i].t_ms < q.to_ms && model[k][i].value > most)
                    most = model[k][i].value;
            if (most < 0)
                continue;
            if (!expected.len)
                text_addf(&expected, "util{gpu=%s}", gpu);
            text_addf(&expected, " %d:%g", (int)(step - NOW), most);
        }
        CHECK_TEXT(ask(db, &t, q), text_get(&expected));
    }
}

/* ------------------------------------------------------------------ threads */

struct worker {
    struct tsdb *db;
    int number;
    atomic_bool *stop;
    int64_t seen;
};

static void *append_on(void *arg)
{
    struct worker *w = arg;
    char gpu[8];
    for (int i = 0; i < 3000; i++) {
        snprintf(gpu, sizeof gpu, "%d-%d", w->number, i % 50);
        struct label labels[] = {{"__name__", "util"}, {"gpu", gpu}};
        struct sample s = {NOW + i * 100, i};
        if (tsdb_append(w->db, labels, 2, &s, 1, NOW + i * 100, NULL, NULL) == 0)
            w->seen++;
    }
    return NULL;
}

static int count_points(void *arg, const struct label *labels, size_t label_count,
                        const struct sample *points, size_t count)
{
    (void)labels, (void)label_count, (void)points;
    *(int64_t *)arg += (int64_t)count;
    return 0;
}

static void *ask_on(void *arg)
{
    struct worker *w = arg;
    while (!atomic_load(w->stop)) {
        struct tsdb_query q = {.from_ms = NOW, .to_ms = NOW + 1000000, .aggregate = TSDB_RAW};
        struct tsdb_stats st;
        if (tsdb_query(w->db, &q, count_points, &w->seen, NULL) < 0)
            w->seen = INT64_MIN;
        tsdb_stats(w->db, &st);
    }
    return NULL;
}

TEST("doors append while workers ask")
{
    /* Little memory and a short retention, so that series come and go meanwhile. */
    auto_tsdb struct tsdb *db =
        tsdb_new(&(struct tsdb_limits){.most_bytes = 40000, .retention_ms = 100000});
    atomic_bool stop = false;
    struct worker workers[4];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        workers[i] = (struct worker){.db = db, .number = i, .stop = &stop};
        pthread_create(&threads[i], NULL, i < 2 ? append_on : ask_on, &workers[i]);
    }
    for (int i = 0; i < 4; i++) {
        if (i == 2)
            atomic_store(&stop, true);
        pthread_join(threads[i], NULL);
        CHECK(i < 2 ? workers[i].seen == 3000 : workers[i].seen >= 0);
    }
}

/* ---- by the minute ---- */

enum { MINUTE = 60000, HOUR = 60 * MINUTE };
#define WHOLE ((int64_t)1700000040000) /* a whole minute */

struct means {
    double value[64];
    int64_t count;
};

static int note_means(void *arg, const struct label *labels, size_t label_count,
                      const struct sample *points, size_t count)
{
    struct means *m = arg;
    (void)labels, (void)label_count;
    for (size_t i = 0; i < count; i++)
        m->value[(points[i].t_ms - WHOLE) / MINUTE] = points[i].value;
    m->count += (int64_t)count;
    return 0;
}

static struct means ask_means(struct tsdb *db, int64_t to_ms)
{
    struct means m = {0};
    struct tsdb_query q = {
        .from_ms = WHOLE, .to_ms = to_ms, .step_ms = MINUTE, .aggregate = TSDB_MEAN};
    CHECK_OK(tsdb_query(db, &q, note_means, &m, &test_err));
    return m;
}

TEST("means by the minute are the same whether they are kept or worked out")
{
    auto_tsdb struct tsdb *db = tsdb_new(NULL);
    srand(3);
    int64_t asked = 0;
    for (int64_t t = WHOLE; t < WHOLE + HOUR; t += 1000 + rand() % 9000) {
        if (rand() % 50 == 0)
            t += 200000; /* a gap */
        CHECK_INT(add(db, "util", "0", t, rand() % 20 ? rand() % 100000 / 100.0 : NAN, t), 1);
        if (t > WHOLE + HOUR / 2 && !asked++)
            ask_means(db, WHOLE + HOUR); /* kept from here on */
    }
    /* An end within a minute is not among what is kept. */
    struct means kept = ask_means(db, WHOLE + HOUR), raw = ask_means(db, WHOLE + HOUR + 1);
    CHECK(kept.count > 20 && kept.count < 60);
    CHECK_INT(kept.count, raw.count);
    for (int i = 0; i < 60; i++)
        CHECK(fabs(kept.value[i] - raw.value[i]) <= 1e-5 * raw.value[i]);
}

TEST("minutes of another hour are worked out, and a series that went leaves nothing")
{
    auto_tsdb struct tsdb *db = tsdb_new(&(struct tsdb_limits){.retention_ms = 3 * HOUR});
    for (int64_t t = WHOLE; t < WHOLE + 2 * HOUR + 6 * MINUTE; t += MINUTE / 2)
        CHECK_INT(add(db, "util", "0", t, (double)(t - WHOLE) / MINUTE, t), 1);
    struct means m = ask_means(db, WHOLE + HOUR);
    CHECK_INT(m.count, 60);
    CHECK(m.value[0] == 0.25 && m.value[59] == 59.25);
    CHECK_INT(add(db, "util", "1", WHOLE + 9 * HOUR, 1, WHOLE + 9 * HOUR), 1);
    CHECK_INT(ask_means(db, WHOLE + HOUR).count, 0);
}
