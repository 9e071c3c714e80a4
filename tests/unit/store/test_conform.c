/* What every member of the store promises. */
#include "place.h"

CONFORM("an empty store has no rows, no batch, and an epoch that rises with each claim")
{
    for (int t = 0; t < TABLE_COUNT; t++)
        CHECK_TEXT(place_load(p, (enum table_id)t), "");
    CHECK_INT(p->seq, 0);
    CHECK_INT(p->epoch, 1);
    int64_t epoch, seq;
    CHECK_OK(p->ops->claim(p->s, &epoch, &seq, &test_err));
    CHECK_INT(epoch, 2);
    CHECK_INT(seq, 0);
}

/* A record of any table whose columns all differ. */
static void fill(enum table_id table, union any_row *record, int64_t salt, char texts[24][32])
{
    const struct table_desc *d = &table_descs[table];
    for (unsigned i = 0; i < d->count; i++) {
        void *field = (char *)record + d->columns[i].offset;
        snprintf(texts[i], 32, "%lld %s \u00e9\u4e2d", (long long)salt, d->columns[i].name);
        switch (d->columns[i].type) {
        case COLUMN_INT:
            *(int64_t *)field = i % 2 ? -salt - i : salt + i * (int64_t)1000000007;
            break;
        case COLUMN_TEXT:
            *(const char **)field = texts[i];
            break;
        case COLUMN_BLOB:
            *(struct blob *)field = (struct blob){texts[i], 9 + i};
            break;
        }
    }
}

struct wanted {
    enum table_id table;
    struct text text;
    int count;
};

static int note(void *arg, enum table_id table, const void *record)
{
    struct wanted *w = arg;
    CHECK(table == w->table);
    text_clear(&w->text);
    place_describe(&w->text, table, record);
    w->count++;
    return 0;
}

CONFORM("a record of every table comes back as it was put, the cold columns aside")
{
    for (int t = 0; t < TABLE_COUNT; t++) {
        union any_row record = {0};
        char texts[24][32];
        fill((enum table_id)t, &record, 11, texts);
        struct batch *b = place_batch(p);
        batch_put(b, (enum table_id)t, &record);
        CHECK_OK(place_commit(p, b));

        for (unsigned i = 0; i < table_descs[t].count; i++)
            if (table_descs[t].columns[i].cold)
                *(const char **)((char *)&record + table_descs[t].columns[i].offset) = NULL;
        auto_text struct text expected = {0};
        place_describe(&expected, (enum table_id)t, &record);
        struct wanted w = {.table = (enum table_id)t};
        CHECK_OK(p->ops->load(p->s, (enum table_id)t, note, &w, &test_err));
        CHECK_INT(w.count, 1);
        CHECK_TEXT(text_get(&w.text), text_get(&expected));
        text_done(&w.text);
    }
}

CONFORM("a record that is put again is replaced whole, and gone once deleted, in every table")
{
    for (int t = 0; t < TABLE_COUNT; t++) {
        union any_row record = {0}, empty = {0};
        char texts[24][32];
        const struct table_desc *d = &table_descs[t];
        fill((enum table_id)t, &record, 5, texts);
        memcpy(&empty, &record, d->size);
        for (unsigned i = d->keys; i < d->count; i++) {
            void *field = (char *)&empty + d->columns[i].offset;
            if (d->columns[i].type == COLUMN_INT)
                *(int64_t *)field = 0;
            else if (d->columns[i].type == COLUMN_TEXT)
                *(const char **)field = "";
            else
                *(struct blob *)field = (struct blob){0};
        }
        struct batch *b = place_batch(p);
        batch_put(b, (enum table_id)t, &record);
        batch_put(b, (enum table_id)t, &empty);
        CHECK_OK(place_commit(p, b));

        struct wanted w = {.table = (enum table_id)t};
        CHECK_OK(p->ops->load(p->s, (enum table_id)t, note, &w, &test_err));
        CHECK_INT(w.count, 1);
        CHECK(strstr(text_get(&w.text), "\u4e2d ") == NULL || d->columns[0].type == COLUMN_TEXT);
        text_done(&w.text);

        b = place_batch(p);
        batch_delete(b, (enum table_id)t, &record);
        batch_delete(b, (enum table_id)t, &record);
        CHECK_OK(place_commit(p, b));
        CHECK_TEXT(place_load(p, (enum table_id)t), "");
    }
}

CONFORM("a load gives records in the order of their keys, numbers and texts")
{
    struct batch *b = place_batch(p);
    const int64_t ids[] = {5, 1, 9, -3, 7};
    for (size_t i = 0; i < COUNT_OF(ids); i++)
        put_job(b, ids[i], 1);
    const char *names[] = {"site", "b", "a", "\u00e9", "Z", "aa"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        batch_put(b, TABLE_ID_META, &(struct meta_row){.name = names[i], .number = 1});
    batch_put(b, TABLE_ID_PART, &(struct part_row){.job = 2, .n = 1, .part = 3});
    batch_put(b, TABLE_ID_PART, &(struct part_row){.job = 2, .n = 1, .part = 1});
    batch_put(b, TABLE_ID_PART, &(struct part_row){.job = 1, .n = 2, .part = 9});
    CHECK_OK(place_commit(p, b));

    CHECK_TEXT(place_load(p, TABLE_ID_JOB), "job -3, job 1, job 5, job 7, job 9");
    CHECK_TEXT(place_load(p, TABLE_ID_META),
               "meta Z, meta a, meta aa, meta b, meta site, meta \u00e9");
    CHECK_TEXT(place_load(p, TABLE_ID_PART), "part 1 2 9, part 2 1 1, part 2 1 3");
}

CONFORM("an ended job moves to the history tables, cold columns and all")
{
    struct batch *b = place_batch(p);
    put_job(b, 4, 7);
    CHECK_OK(place_commit(p, b));
    b = place_batch(p);
    end_job(b, 4, 7, 3, "vision");
    CHECK_OK(place_commit(p, b));

    CHECK_TEXT(place_load(p, TABLE_ID_JOB), "");
    CHECK_TEXT(ASK(.id = QUERY_JOB, .key = 4), "job_spec 4");
    struct wanted w = {.table = TABLE_ID_JOB_SPEC};
    struct store_query q = {.id = QUERY_JOB, .key = 4, .limit = 1};
    CHECK_OK(p->ops->read(p->r, &q, note, &w, &test_err));
    CHECK(strstr(text_get(&w.text), "name=train spec={\"command\"") != NULL);
    text_done(&w.text);
}

CONFORM("a record put and moved in one batch ends up where it was moved to")
{
    struct batch *b = place_batch(p);
    put_job(b, 1, 7);
    end_job(b, 1, 7, 3, NULL);
    CHECK_OK(place_commit(p, b));
    CHECK_TEXT(ASK(.id = QUERY_JOB, .key = 1), "job_spec 1");
}

CONFORM("moving what is not there is our mistake: nothing is written, and nothing is any more")
{
    struct batch *b = place_batch(p);
    put_job(b, 1, 7);
    put_job(b, 1, 8);
    batch_delete(b, TABLE_ID_JOB, &(struct job_row){.id = 1});
    put_job(b, 2, 7);
    end_job(b, 3, 7, 3, NULL);
    CHECK_FAILS(place_commit(p, b), ERR_INTERNAL, "no such job to move to job_spec");
    CHECK_TEXT(place_load(p, TABLE_ID_JOB), "");
    CHECK_FAILS(place_commit(p, place_batch(p)), ERR_INTERNAL, "failed before");
}

CONFORM("a batch of another epoch, or out of turn, is refused and writes nothing")
{
    struct batch *b = place_batch(p);
    b->seq = 2;
    put_job(b, 1, 7);
    CHECK_FAILS(place_commit(p, b), ERR_CONFLICT, "taken over");

    int64_t epoch, seq;
    CHECK_OK(p->ops->claim(p->s, &epoch, &seq, &test_err));
    b = place_batch(p);
    put_job(b, 1, 7);
    CHECK_FAILS(place_commit(p, b), ERR_CONFLICT, "taken over");
    CHECK_TEXT(place_load(p, TABLE_ID_JOB), "");

    p->epoch = epoch;
    b = place_batch(p);
    put_job(b, 1, 7);
    CHECK_OK(place_commit(p, b));
    b = place_batch(p);
    b->seq = p->seq; /* the same number again */
    CHECK_FAILS(place_commit(p, b), ERR_CONFLICT, "taken over");
    CHECK_TEXT(place_load(p, TABLE_ID_JOB), "job 1");
}

static int stop_at_2(void *arg, enum table_id table, const void *record)
{
    (void)table, (void)record;
    return ++*(int *)arg == 2;
}

CONFORM("whoever asks can stop, and that is not an error of the store")
{
    struct batch *b = place_batch(p);
    for (int i = 1; i <= 5; i++)
        put_job(b, i, 7);
    CHECK_OK(place_commit(p, b));
    int count = 0;
    test_err = (struct err){0};
    CHECK(p->ops->load(p->s, TABLE_ID_JOB, stop_at_2, &count, &test_err) < 0);
    CHECK_INT(count, 2);
    count = 0;
    struct store_query q = {.id = QUERY_JOBS, .upto = 9, .limit = 100};
    CHECK(p->ops->read(p->r, &q, stop_at_2, &count, &test_err) < 0);
    CHECK_INT(count, 2);
    CHECK_INT(test_err.code, ERR_NONE);
    CHECK_TEXT(ASK(.id = QUERY_JOBS, .upto = 2), "job 2, job 1");
}

CONFORM("a question without a sensible limit is refused")
{
    struct store_query q = {.id = QUERY_JOBS, .limit = 0};
    CHECK_FAILS(p->ops->read(p->r, &q, stop_at_2, NULL, &test_err), ERR_INVALID, "limit 0");
    q.limit = STORE_LIMIT + 1;
    CHECK_FAILS(p->ops->read(p->r, &q, stop_at_2, NULL, &test_err), ERR_INVALID, "limit 10001");
    q = (struct store_query){.id = QUERY_COUNT, .limit = 1};
    CHECK_FAILS(p->ops->read(p->r, &q, stop_at_2, NULL, &test_err), ERR_INVALID, "no query");
    q = (struct store_query){.id = QUERY_HISTORY, .before = INT64_MIN, .limit = 1};
    CHECK_FAILS(p->ops->read(p->r, &q, stop_at_2, NULL, &test_err), ERR_INVALID, "below 0");
}

static void some_jobs(struct place *p)
{
    struct batch *b = place_batch(p);
    for (int i = 1; i <= 6; i++)
        put_job(b, i, i % 2 ? 7 : 8);
    end_job(b, 1, 7, 3, "vision");
    end_job(b, 2, 8, 4, "vision");
    end_job(b, 3, 7, 4, "audio");
    for (int n = 1; n <= 2; n++)
        batch_put(b, n == 1 ? TABLE_ID_ATTEMPT_HISTORY : TABLE_ID_ATTEMPT,
                  &(struct attempt_row){.job = 5, .n = n, .node = 1});
    batch_put(b, TABLE_ID_ATTEMPT_HISTORY, &(struct attempt_row){.job = 1, .n = 1});
    batch_put(b, TABLE_ID_PART_HISTORY, &(struct part_row){.job = 5, .n = 1, .part = 1});
    batch_put(b, TABLE_ID_PART_HISTORY, &(struct part_row){.job = 5, .n = 1, .part = 2});
    batch_put(b, TABLE_ID_PART, &(struct part_row){.job = 5, .n = 2, .part = 1});
    CHECK_OK(place_commit(p, b));
}

CONFORM("open jobs come newest first, between two ids, a page at a time")
{
    some_jobs(p);
    CHECK_TEXT(ASK(.id = QUERY_JOBS, .from = 1, .upto = 100), "job 6, job 5, job 4");
    CHECK_TEXT(ASK(.id = QUERY_JOBS, .from = 1, .upto = 100, .limit = 2), "job 6, job 5");
    CHECK_TEXT(ASK(.id = QUERY_JOBS, .from = 1, .upto = 4), "job 4");
    CHECK_TEXT(ASK(.id = QUERY_JOBS, .from = 1, .upto = 100, .principal = 8), "job 6, job 4");
    CHECK_TEXT(ASK(.id = QUERY_JOBS, .from = 5, .upto = 5, .principal = 8), "");
}

CONFORM("ended jobs come newest first with their specs, by owner, state, team, and cursor")
{
    some_jobs(p);
    CHECK_TEXT(ASK(.id = QUERY_HISTORY),
               "job_history 3, job_spec 3, job_history 2, job_spec 2, job_history 1, job_spec 1");
    CHECK_TEXT(ASK(.id = QUERY_HISTORY, .limit = 1), "job_history 3, job_spec 3");
    CHECK_TEXT(ASK(.id = QUERY_HISTORY, .before = 3, .limit = 1), "job_history 2, job_spec 2");
    CHECK_TEXT(ASK(.id = QUERY_HISTORY, .principal = 7),
               "job_history 3, job_spec 3, job_history 1, job_spec 1");
    CHECK_TEXT(ASK(.id = QUERY_HISTORY, .principal = 7, .before = 3), "job_history 1, job_spec 1");
    CHECK_TEXT(ASK(.id = QUERY_HISTORY, .state = 4, .principal = 8), "job_history 2, job_spec 2");
    CHECK_TEXT(ASK(.id = QUERY_HISTORY, .team = "vision", .state = 3), "job_history 1, job_spec 1");
    CHECK_TEXT(ASK(.id = QUERY_HISTORY, .team = ""), "");
}

CONFORM("a walk over ended jobs looks at no more rows than it may, and says where it stopped")
{
    some_jobs(p);
    int64_t stopped = -1;
    CHECK_TEXT(ASK(.id = QUERY_HISTORY, .team = "nobody's", .looks = 2, .ret_stopped = &stopped),
               "");
    CHECK_INT(stopped, 2);
    CHECK_TEXT(ASK(.id = QUERY_HISTORY, .before = 2, .looks = 2, .ret_stopped = &stopped),
               "job_history 1, job_spec 1");
    CHECK_INT(stopped, 0);
    CHECK_TEXT(ASK(.id = QUERY_HISTORY, .limit = 1, .looks = 2, .ret_stopped = &stopped),
               "job_history 3, job_spec 3");
    CHECK_INT(stopped, 3);
}

CONFORM(
    "what belongs to a job is shown to its owner, to no other principal, and to whoever may all")
{
    some_jobs(p);
    CHECK_TEXT(ASK(.id = QUERY_JOB, .key = 5), "job 5");
    CHECK_TEXT(ASK(.id = QUERY_JOB, .key = 5, .principal = 7), "job 5");
    CHECK_TEXT(ASK(.id = QUERY_JOB, .key = 5, .principal = 8), "");
    CHECK_TEXT(ASK(.id = QUERY_JOB, .key = 3, .principal = 8), "");
    CHECK_TEXT(ASK(.id = QUERY_JOB_HISTORY, .key = 3), "job_history 3");
    CHECK_TEXT(ASK(.id = QUERY_JOB_HISTORY, .key = 3, .principal = 8), "");
    CHECK_TEXT(ASK(.id = QUERY_JOB_HISTORY, .key = 5), "");
    CHECK_TEXT(ASK(.id = QUERY_ATTEMPTS, .key = 5), "attempt_history 5 1, attempt 5 2");
    CHECK_TEXT(ASK(.id = QUERY_ATTEMPTS, .key = 5, .principal = 7),
               "attempt_history 5 1, attempt 5 2");
    CHECK_TEXT(ASK(.id = QUERY_ATTEMPTS, .key = 5, .principal = 8), "");
    CHECK_TEXT(ASK(.id = QUERY_ATTEMPTS, .key = 1, .principal = 7), "attempt_history 1 1");
    CHECK_TEXT(ASK(.id = QUERY_ATTEMPTS, .key = 9, .principal = 7), "");
    CHECK_TEXT(ASK(.id = QUERY_PARTS, .key = 5),
               "part_history 5 1 1, part_history 5 1 2, part 5 2 1");
    CHECK_TEXT(ASK(.id = QUERY_PARTS, .key = 5, .limit = 2),
               "part_history 5 1 1, part_history 5 1 2");
    CHECK_TEXT(ASK(.id = QUERY_PARTS, .key = 5, .principal = 8), "");
}

CONFORM("notes of attempts are read by job and kind, and go one by one")
{
    struct batch *b = place_batch(p);
    for (int n = 1; n <= 3; n++)
        for (int kind = 1; kind <= 2; kind++)
            batch_put(b, TABLE_ID_ATTEMPT_NOTE,
                      &(struct attempt_note_row){.job = 5, .kind = kind, .n = n, .text = "{}"});
    batch_put(b, TABLE_ID_ATTEMPT_NOTE, &(struct attempt_note_row){.job = 6, .kind = 1, .n = 1});
    CHECK_OK(place_commit(p, b));
    CHECK_TEXT(ASK(.id = QUERY_NOTES, .key = 5, .kind = 1),
               "attempt_note 5 1 1, attempt_note 5 1 2, attempt_note 5 1 3");
    CHECK_TEXT(ASK(.id = QUERY_NOTES, .key = 5, .kind = 2, .limit = 1), "attempt_note 5 2 1");
    CHECK_TEXT(ASK(.id = QUERY_NOTES, .key = 5, .kind = 3), "");
    b = place_batch(p);
    batch_delete(b, TABLE_ID_ATTEMPT_NOTE, &(struct attempt_note_row){.job = 5, .kind = 1, .n = 2});
    CHECK_OK(place_commit(p, b));
    CHECK_TEXT(ASK(.id = QUERY_NOTES, .key = 5, .kind = 1),
               "attempt_note 5 1 1, attempt_note 5 1 3");
}

CONFORM("the ledger is read onwards or backwards, by subject, kind and principal")
{
    struct batch *b = place_batch(p);
    for (int i = 1; i <= 6; i++)
        put_ledger(b, i, 1000, 40 + i % 2, "x");
    CHECK_OK(place_commit(p, b));
    CHECK_TEXT(ASK(.id = QUERY_LEDGER, .limit = 2), "ledger 1, ledger 2");
    CHECK_TEXT(ASK(.id = QUERY_LEDGER, .after = 4), "ledger 5, ledger 6");
    CHECK_TEXT(ASK(.id = QUERY_LEDGER, .after = 1, .upto = 3), "ledger 2, ledger 3");
    CHECK_TEXT(ASK(.id = QUERY_LEDGER, .subject = 41), "ledger 1, ledger 3, ledger 5");
    CHECK_TEXT(ASK(.id = QUERY_LEDGER, .subject = 41, .after = 1, .upto = 4), "ledger 3");
    CHECK_TEXT(ASK(.id = QUERY_LEDGER, .kind = 1), "ledger 3, ledger 6");
    CHECK_TEXT(ASK(.id = QUERY_LEDGER, .kind = 1, .subject = 40), "ledger 6");
    CHECK_TEXT(ASK(.id = QUERY_LEDGER, .principal = 8), "ledger 2, ledger 4, ledger 6");
    CHECK_TEXT(ASK(.id = QUERY_LEDGER_NEWEST, .limit = 2), "ledger 6, ledger 5");
    CHECK_TEXT(ASK(.id = QUERY_LEDGER_NEWEST, .before = 3), "ledger 2, ledger 1");
    CHECK_TEXT(ASK(.id = QUERY_LEDGER_NEWEST, .before = 5, .subject = 40), "ledger 4, ledger 2");
    CHECK_TEXT(ASK(.id = QUERY_LEDGER_NEWEST, .principal = 9), "");
}

CONFORM("device time is read by device and day")
{
    struct batch *b = place_batch(p);
    for (int device = 1; device <= 3; device++)
        for (int day = 10; day <= 12; day++)
            batch_put(b, TABLE_ID_DEVICE_TIME,
                      &(struct device_time_row){.device = device, .day = day, .jobs = 1});
    CHECK_OK(place_commit(p, b));
    CHECK_TEXT(ASK(.id = QUERY_DEVICE_TIME, .key = 2, .from = 11, .upto = 99),
               "device_time 2 11, device_time 2 12");
    CHECK_TEXT(ASK(.id = QUERY_DEVICE_TIME, .from = 12, .upto = 12),
               "device_time 1 12, device_time 2 12, device_time 3 12");
    CHECK_TEXT(ASK(.id = QUERY_DEVICE_TIME, .from = 0, .upto = 99, .limit = 4),
               "device_time 1 10, device_time 1 11, device_time 1 12, device_time 2 10");
}

CONFORM("tokens and enrolments are read in the order they were made")
{
    struct batch *b = place_batch(p);
    for (int i = 1; i <= 3; i++) {
        batch_put(b, TABLE_ID_TOKEN, &(struct token_row){.id = i, .principal = i == 2 ? 9 : 8});
        batch_put(b, TABLE_ID_ENROLMENT, &(struct enrolment_row){.id = i});
    }
    CHECK_OK(place_commit(p, b));
    CHECK_TEXT(ASK(.id = QUERY_TOKENS), "token 1, token 2, token 3");
    CHECK_TEXT(ASK(.id = QUERY_TOKENS, .principal = 8), "token 1, token 3");
    CHECK_TEXT(ASK(.id = QUERY_TOKENS, .after = 1, .limit = 1), "token 2");
    CHECK_TEXT(ASK(.id = QUERY_ENROLMENTS, .after = 2), "enrolment 3");
}

CONFORM("a closed ledger segment can be dropped, an open one cannot")
{
    struct batch *b = place_batch(p);
    for (int i = 1; i <= 9; i++)
        put_ledger(b, i, 1000, 1, "x");
    batch_put(b, TABLE_ID_LEDGER_SEGMENT,
              &(struct ledger_segment_row){.first_seq = 1, .last_seq = 4});
    CHECK_OK(place_commit(p, b));
    CHECK_FAILS(p->ops->segment_drop(p->s, 5, &test_err), ERR_NOT_FOUND, "row 5");
    CHECK_OK(p->ops->segment_drop(p->s, 1, &test_err));
    CHECK_OK(p->ops->segment_drop(p->s, 1, &test_err));
    CHECK_TEXT(ASK(.id = QUERY_LEDGER, .upto = 6), "ledger 5, ledger 6");
    CHECK_TEXT(ASK(.id = QUERY_SEGMENTS), "ledger_segment 1");
    CHECK_TEXT(ASK(.id = QUERY_SEGMENTS, .after = 1), "");
}

CONFORM("snapshots come newest first, their parts in order")
{
    struct batch *b = place_batch(p);
    for (int64_t seq = 10; seq <= 30; seq += 10) {
        batch_put(b, TABLE_ID_SNAPSHOT, &(struct snapshot_row){.seq = seq, .parts = 3});
        for (int64_t part = 2; part >= 0; part--)
            batch_put(b, TABLE_ID_SNAPSHOT_PART,
                      &(struct snapshot_part_row){seq, part, {"bytes", 5}});
    }
    CHECK_OK(place_commit(p, b));
    CHECK_TEXT(ASK(.id = QUERY_SNAPSHOTS), "snapshot 30, snapshot 20, snapshot 10");
    CHECK_TEXT(ASK(.id = QUERY_SNAPSHOTS, .before = 30, .limit = 1), "snapshot 20");
    CHECK_TEXT(ASK(.id = QUERY_SNAPSHOT_PARTS, .key = 20),
               "snapshot_part 20 0, snapshot_part 20 1, snapshot_part 20 2");
    CHECK_TEXT(ASK(.id = QUERY_SNAPSHOT_PARTS, .key = 25), "");
}

CONFORM("a claimed store keeps its schema; free, it goes down to nothing and up again")
{
    CHECK_FAILS(p->ops->migrate(p->s, 0, &test_err), ERR_CONFLICT, "in use");
    place_close(p);
    CHECK_OK(store_open(p->address, &p->ops, &p->s, &test_err));
    CHECK_FAILS(p->ops->migrate(p->s, 99, &test_err), ERR_INVALID, "no schema 99");
    CHECK_OK(p->ops->migrate(p->s, 0, &test_err));
    CHECK_FAILS(p->ops->claim(p->s, &p->epoch, &p->seq, &test_err), ERR_CONFLICT, "schema 0");
    CHECK_OK(p->ops->migrate(p->s, -1, &test_err));
    CHECK_OK(p->ops->claim(p->s, &p->epoch, &p->seq, &test_err));
    struct batch *b = place_batch(p);
    put_job(b, 1, 7);
    CHECK_OK(place_commit(p, b));
}

CONFORM("free space and size can be asked for")
{
    struct store_stats st = {0};
    CHECK_OK(p->ops->stats(p->s, &st, &test_err));
    CHECK(st.free_bytes > 0);
    CHECK(p->folder[0] == 0 || st.file_bytes > 0);
}

TEST("the memory store fails at the call it was told to, and a full disk lets the batch be tried "
     "again")
{
    struct place place = {0}, *p = &place;
    place_make(p, "memory", "full=commit@2-3,fail=commit@5");
    for (int i = 1; i <= 5; i++) {
        struct batch *b = place_batch(p);
        put_job(b, i, 7);
        if (i == 2 || i == 3) /* the second batch, twice */
            CHECK_FAILS(place_commit(p, b), ERR_EXHAUSTED, "commit");
        else if (i == 5)
            CHECK_FAILS(place_commit(p, b), ERR_UNAVAILABLE, "commit 5");
        else
            CHECK_OK(place_commit(p, b));
    }
    CHECK_TEXT(place_load(p, TABLE_ID_JOB), "job 1, job 4");
    CHECK_FAILS(place_commit(p, place_batch(p)), ERR_INTERNAL, "failed before");
    place_remove(p);

    struct store *s;
    CHECK_FAILS(store_open("memory:fail=nothing@1", &p->ops, &s, &test_err), ERR_INVALID,
                "cannot use");
    CHECK_FAILS(store_open("memory:fail=open@1", &p->ops, &s, &test_err), ERR_UNAVAILABLE,
                "open 1");
    CHECK_FAILS(store_open("postgres:x", &p->ops, &s, &test_err), ERR_INVALID, "sqlite:FILE");
    CHECK_FAILS(store_open("sqlite:", &p->ops, &s, &test_err), ERR_INVALID, "path");
}
