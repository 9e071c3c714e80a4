#include "rig.h"

TEST("a new store gives one admin token, whose hash finds the admin")
{
    CHECK_OK(begin("memory:"));
    CHECK(admin_token && strlen(admin_token) > 60);
    struct digest hash = token_hash(admin_token);
    struct token_holder holder;
    CHECK(tokens_find(engine_tokens(engine), &hash, engine_now_ms(engine), &holder));
    CHECK_INT(holder.holder, 1);
    end();
}

TEST("a job goes from submission to its end, and costs what it used")
{
    CHECK_OK(begin("memory:"));
    CHECK_INT(ask(a_submission(1, 1))->error.code, 0);
    int64_t job = answered->ret_id;
    CHECK_INT(answered->jobs[0].ret_position, 1);
    CHECK_INT(state_of(job), JOB_QUEUED); /* the view has it when the answer is there */

    int64_t node = join_node("n");
    settle();
    CHECK_INT(state_of(job), JOB_SCHEDULED);
    CHECK_INT(line_count, 1);
    CHECK(strstr(lines[0], "\"type\":\"start\"") && strstr(lines[0], "\"command\":[\"true\"]") &&
          strstr(lines[0], "\"devices\":[\"GPU-1\"]"));

    struct command *c = a_report(node, "boot-1", false);
    an_attempt(c, job, 1, REPORT_STARTED);
    ask(c);
    CHECK_INT(state_of(job), JOB_RUNNING);
    c = a_report(node, "boot-1", false);
    struct attempt_report *a = an_attempt(c, job, 1, REPORT_ENDED);
    a->outcome = OUTCOME_COMPLETED;
    a->run_ms = 2000;
    a->energy_mj = 3600000;
    ask(c);
    CHECK_INT(state_of(job), -1);
    settle();
    CHECK(strstr(lines[1], "\"forget\""));
    const struct engine_view *v = engine_view_get(engine);
    CHECK_INT(v->fleet.completed, 1);
    CHECK_INT(v->stats.ended, 1);
    engine_view_release(engine, v);

    struct replay_result r = replay();
    CHECK_INT(r.first_different, 0);
    CHECK_INT(r.decisions, 1);
    end();
}

TEST("a key repeated gives the first answer, with another body it is refused")
{
    CHECK_OK(begin("memory:"));
    for (int i = 0; i < 3; i++) {
        struct command *c = a_submission(1, 2);
        c->idempotency_key = mem_strdup("1/jobs/k");
        c->body_hash = digest_of(i < 2 ? "a" : "b", 1);
        ask(c);
        CHECK_INT(answered->error.code, i < 2 ? 0 : ERR_UNPROCESSABLE);
        if (i < 2) {
            CHECK_INT(answered->ret_id, 1);
            CHECK_INT(answered->jobs[1].ret_id, 2);
            CHECK_INT(answered->ret_repeated, i == 1);
        }
    }
    end();
}

TEST("jobs of others cannot be cancelled by a user, own ones can, and an end is an end")
{
    CHECK_OK(begin("memory:"));
    for (int i = 0; i < 2; i++) {
        struct command *c = command_new(COMMAND_PRINCIPAL_ADD);
        c->actor = 1;
        c->role = 2;
        snprintf(c->name, sizeof c->name, "user%d", i);
        CHECK_INT(ask(c)->ret_id, 2 + i);
    }
    ask(a_submission(2, 1));
    for (int i = 0; i < 4; i++) {
        static const struct {
            int64_t actor, job, code;
        } steps[] = {{3, 1, ERR_DENIED}, {2, 1, 0}, {2, 1, ERR_CONFLICT}, {2, 99, ERR_NOT_FOUND}};
        struct command *c = command_new(COMMAND_CANCEL);
        c->actor = steps[i].actor;
        c->id = steps[i].job;
        CHECK_INT(ask(c)->error.code, steps[i].code);
    }
    struct command *c = command_new(COMMAND_RETRY);
    c->actor = 2;
    c->id = 1;
    CHECK_INT(ask(c)->error.code, 0);
    CHECK_INT(state_of(1), JOB_QUEUED);
    CHECK_INT(replay().first_different, 0);
    end();
}

TEST("a node that will not start a job, and cannot say why, is not asked at once again")
{
    CHECK_OK(begin("memory:"));
    ask(a_submission(1, 1));
    int64_t node = join_node("n");
    settle();
    struct command *c = a_report(node, "boot-1", false);
    an_attempt(c, 1, 1, REPORT_REFUSED);
    ask(c);
    settle();
    CHECK_INT(state_of(1), JOB_QUEUED);
    int starts = 0;
    for (int i = 0; i < line_count; i++)
        starts += strstr(lines[i], "\"start\"") != NULL;
    CHECK_INT(starts, 1);
    end();
}

TEST("after a reboot of its node an attempt is lost and the job is tried again")
{
    CHECK_OK(begin("memory:"));
    ask(a_submission(1, 1));
    int64_t node = join_node("n");
    settle();
    struct command *c = a_report(node, "boot-1", false);
    an_attempt(c, 1, 1, REPORT_STARTED);
    ask(c);
    ask(a_report(node, "boot-2", true));
    settle();
    CHECK_INT(state_of(1), JOB_SCHEDULED);
    const struct engine_view *v = engine_view_get(engine);
    CHECK_INT(fleet_job(&v->fleet, 1)->attempts, 2);
    engine_view_release(engine, v);
    CHECK_INT(replay().first_different, 0);
    end();
}

TEST("a job that is lost again and again is tried again after a pause, by itself, also after a "
     "restart")
{
    char path[] = "/tmp/reeve-engine-XXXXXX";
    CHECK(mkdtemp(path));
    auto_free char *store = mem_printf("sqlite:%s/db", path);
    CHECK_OK(begin(store));
    int64_t node = join_node("n");
    struct command *c = a_submission(1, 1);
    c->jobs[0].retries = 5;
    ask(c);
    int64_t job = answered->ret_id;
    settle();
    for (int n = 1; n <= 2; n++) {
        CHECK_INT(state_of(job), JOB_SCHEDULED);
        c = a_report(node, "boot-1", false);
        an_attempt(c, job, n, REPORT_LOST);
        ask(c);
        if (n == 1)
            settle();
    }
    CHECK_INT(state_of(job), JOB_QUEUED);
    end();
    CHECK_OK(begin(store));
    CHECK_INT(state_of(job), JOB_QUEUED);
    c = command_new(COMMAND_LINK);
    c->node = node;
    c->linked = true;
    ask(c);
    ask(a_report(node, "boot-1", true));
    for (int i = 0; i < 20 && state_of(job) == JOB_QUEUED; i++)
        settle();
    CHECK_INT(state_of(job), JOB_SCHEDULED);
    CHECK_INT(replay().first_different, 0);
    end();
    CHECK_OK(file_remove_tree(path, NULL));
}

TEST("a GPU that two nodes report is given out by the first, until that one has it no more")
{
    CHECK_OK(begin("memory:"));
    int64_t first = join_node("first"), second = join_node("second");
    int64_t job;
    for (int i = 0; i < 2; i++) {
        ask(a_submission(1, 1));
        settle();
    }
    job = answered->ret_id;
    CHECK_INT(state_of(job - 1), JOB_SCHEDULED);
    CHECK_INT(state_of(job), JOB_QUEUED);
    const struct engine_view *v = engine_view_get(engine);
    CHECK_INT(fleet_device(&v->fleet, 1)->twin, 0);
    CHECK_INT(fleet_device(&v->fleet, 2)->node, second);
    CHECK_INT(fleet_device(&v->fleet, 2)->twin, 1);
    engine_view_release(engine, v);
    ask(a_report(second, "boot-1", true)); /* said again, it is no news */
    CHECK_INT(state_of(job), JOB_QUEUED);

    struct command *c = a_report(first, "boot-1", true);
    c->report->device_count = 0;
    an_attempt(c, job - 1, 1, REPORT_STARTED);
    ask(c);
    for (int i = 0; i < 40 && state_of(job) == JOB_QUEUED; i++)
        settle();
    CHECK_INT(state_of(job), JOB_SCHEDULED);
    CHECK_INT(replay().first_different, 0);
    end();
}

TEST("what was acknowledged is there after a restart, and attempts go on")
{
    char folder[] = "/tmp/test_engineXXXXXX";
    CHECK(mkdtemp(folder) != NULL);
    auto_free char *store = mem_printf("sqlite:%s/reeve.db", folder);
    CHECK_OK(begin(store));
    ask(a_submission(1, 3));
    int64_t node = join_node("n");
    settle();
    CHECK_INT(state_of(1), JOB_SCHEDULED);
    end();

    CHECK_OK(begin(store));
    CHECK(admin_token == NULL);
    CHECK_INT(state_of(1), JOB_SCHEDULED);
    CHECK_INT(state_of(3), JOB_QUEUED);
    struct command *c = command_new(COMMAND_LINK);
    c->node = node;
    c->linked = true;
    ask(c);
    /* The agent had started it meanwhile. */
    c = a_report(node, "boot-1", true);
    an_attempt(c, 1, 1, REPORT_STARTED)->ago_ms = 500;
    ask(c);
    CHECK_INT(state_of(1), JOB_RUNNING);
    ask(a_submission(1, 1));
    CHECK_INT(answered->ret_id, 4);
    CHECK_INT(replay().first_different, 0);
    end();
    CHECK_OK(file_remove_tree(folder, &test_err));
}

/* ---- snapshots ---- */

static int describe_snapshot(void *arg, enum table_id table, const void *record)
{
    (void)table;
    text_addf(arg, "%lld ", (long long)((const struct snapshot_row *)record)->seq);
    return 0;
}

/* What the store has of them, without an engine; then COMMIT's rows into it. */
static char *snapshots_of(const char *address, struct batch *b)
{
    struct text t = {0};
    const struct store_ops *ops;
    struct store *s;
    struct store_reader *r;
    int64_t epoch, seq;
    CHECK_OK(store_open(address, &ops, &s, &test_err));
    CHECK_OK(ops->claim(s, &epoch, &seq, &test_err));
    CHECK_OK(ops->reader_open(s, &r, &test_err));
    struct store_query heads = {.id = QUERY_SNAPSHOTS, .limit = 100};
    CHECK_OK(ops->read(r, &heads, describe_snapshot, &t, &test_err));
    if (b) {
        b->epoch = epoch;
        b->seq = seq + 1;
        CHECK_OK(ops->commit(s, b, &test_err));
        batch_free(b);
    }
    ops->reader_close(r);
    ops->close(s);
    return text_take(&t);
}

TEST("replay begins with the newest snapshot, or with the first row where it is told to")
{
    char folder[] = "/tmp/test_engineXXXXXX";
    CHECK(mkdtemp(folder) != NULL);
    auto_free char *store = mem_printf("sqlite:%s/reeve.db", folder);
    CHECK_OK(begin(store));
    settle();
    ask(a_submission(1, 3));
    join_node("n");
    settle();
    struct replay_result r = replay_from(false);
    CHECK_TEXT(r.why_passed_over, "");
    CHECK(r.began > 0);
    CHECK(r.plans > 0);
    CHECK_INT(r.passed_over, 0);
    CHECK_INT(r.first_different, 0);
    CHECK_INT(replay_from(true).began, 0);
    int64_t began = r.began;
    end();

    /* Another start on the same day keeps no other one, and replay goes across it. */
    CHECK_OK(begin(store));
    settle();
    r = replay_from(false);
    CHECK_INT(r.began, began);
    CHECK_INT(r.first_different, 0);
    end();

    /* One that is damaged is passed over, and said to be. */
    struct batch *b = batch_new();
    batch_put(b, TABLE_ID_SNAPSHOT_PART,
              &(struct snapshot_part_row){began, 0, {"no snapshot", 11}});
    free(snapshots_of(store, b));
    CHECK_OK(begin(store));
    r = replay_from(false);
    CHECK_INT(r.began, 0);
    CHECK_INT(r.passed_over, 1);
    CHECK(strstr(r.why_passed_over, "cannot be unpacked") != NULL);
    CHECK_INT(r.first_different, 0);
    end();
    CHECK_OK(file_remove_tree(folder, &test_err));
}

TEST("snapshots that were not completed go at the next start, and of the others seven stay")
{
    char folder[] = "/tmp/test_engineXXXXXX";
    CHECK(mkdtemp(folder) != NULL);
    auto_free char *store = mem_printf("sqlite:%s/reeve.db", folder);
    struct batch *b = batch_new();
    for (int64_t seq = -9; seq <= -1; seq++) {
        batch_put(b, TABLE_ID_SNAPSHOT,
                  &(struct snapshot_row){.seq = seq, .parts = 1, .complete = seq != -3});
        batch_put(b, TABLE_ID_SNAPSHOT_PART, &(struct snapshot_part_row){seq, 0, {"x", 1}});
    }
    free(snapshots_of(store, b));
    CHECK_OK(begin(store));
    settle();
    end();
    auto_free char *left = snapshots_of(store, NULL);
    CHECK_TEXT(strchr(left, ' ') + 1, "-1 -2 -4 -5 -6 -7 ");
    CHECK(atoi(left) > 0);
    CHECK_OK(file_remove_tree(folder, &test_err));
}

static struct digest make_token(void)
{
    struct command *c = command_new(COMMAND_TOKEN_CREATE);
    c->actor = c->principal = 1;
    snprintf(c->name, sizeof c->name, "laptop");
    free(token_make(&c->hash));
    struct digest hash = c->hash;
    CHECK_INT(ask(c)->error.code, 0);
    return hash;
}

static int keep_newest_token(void *arg, enum table_id table, const void *record)
{
    struct token_row *kept = arg;
    (void)table;
    *kept = *(const struct token_row *)record;
    CHECK_TEXT(kept->name, kept->id == 1 ? "first" : "laptop");
    return 0;
}

TEST("a revoked token is told of, opens nothing and never gives its number away")
{
    char folder[] = "/tmp/test_engineXXXXXX";
    CHECK(mkdtemp(folder) != NULL);
    auto_free char *store = mem_printf("sqlite:%s/reeve.db", folder);
    CHECK_OK(begin(store));
    struct digest hash = make_token();
    int64_t id = answered->ret_id;
    struct command *c = command_new(COMMAND_TOKEN_REVOKE);
    c->actor = 1;
    c->id = id;
    CHECK_INT(ask(c)->error.code, 0);
    end();

    CHECK_OK(begin(store));
    struct token_holder holder;
    struct token_row row = {0};
    struct store_reader *reader;
    struct store_query q = {.id = QUERY_TOKENS, .limit = 10};
    CHECK(!tokens_find(engine_tokens(engine), &hash, engine_now_ms(engine), &holder));
    CHECK_OK(engine_reader_open(engine, &reader, &test_err));
    CHECK_OK(engine_store(engine)->read(reader, &q, keep_newest_token, &row, &test_err));
    engine_store(engine)->reader_close(reader);
    CHECK_INT(row.id, id);
    CHECK(row.revoked_ms >= row.created_ms && row.created_ms > 0);
    make_token();
    CHECK_INT(answered->ret_id, id + 1);
    end();
    CHECK_OK(file_remove_tree(folder, &test_err));
}

/* Gives back the code's hash. */
static struct digest make_link(int64_t expires_ms, int64_t until_ms)
{
    struct command *c = command_new(COMMAND_TOKEN_CREATE);
    c->actor = c->principal = 1;
    c->token_kind = TOKEN_LINK;
    c->expires_ms = expires_ms;
    c->until_ms = until_ms;
    free(token_code_make(&c->hash));
    struct digest hash = c->hash;
    CHECK_INT(ask(c)->error.code, 0);
    return hash;
}

static struct command *a_session(const struct digest *code)
{
    struct command *c = command_new(COMMAND_SESSION_BEGIN);
    c->hash = *code;
    free(token_make(&c->key_hash));
    return c;
}

static int count_row(void *arg, enum table_id table, const void *record)
{
    (void)table, (void)record;
    ++*(int *)arg;
    return 0;
}

static int count_tokens(void)
{
    int count = 0;
    struct store_reader *reader;
    struct store_query q = {.id = QUERY_TOKENS, .limit = 1000};
    CHECK_OK(engine_reader_open(engine, &reader, &test_err));
    CHECK_OK(engine_store(engine)->read(reader, &q, count_row, &count, &test_err));
    engine_store(engine)->reader_close(reader);
    return count;
}

static struct command *raced[2];
static void on_raced(struct command *c)
{
    raced[raced[0] != NULL] = c;
}

TEST("two with the same code at once: one gets a session, the other is told")
{
    CHECK_OK(begin("memory:"));
    struct digest code = make_link(engine_now_ms(engine) + 600000, 0);
    raced[0] = raced[1] = NULL;
    for (int i = 0; i < 2; i++) {
        struct command *c = a_session(&code);
        c->on_done = on_raced;
        c->reply_to = door;
        CHECK(engine_command(engine, c));
    }
    while (!raced[1])
        uv_run(&loop, UV_RUN_ONCE);
    CHECK_INT(!raced[0]->error.code + !raced[1]->error.code, 1);
    const struct command *loser = raced[raced[0]->error.code == 0];
    CHECK_INT(loser->error.code, ERR_UNAUTHENTICATED);
    command_free(raced[0]);
    command_free(raced[1]);
    end();
}

TEST("a code that was used is used after a restart, one that was not still works, once")
{
    char folder[] = "/tmp/test_engineXXXXXX";
    CHECK(mkdtemp(folder) != NULL);
    auto_free char *store = mem_printf("sqlite:%s/reeve.db", folder);
    CHECK_OK(begin(store));
    int64_t soon = engine_now_ms(engine) + 600000, earlier = engine_now_ms(engine) + 3600000;
    struct digest used = make_link(soon, 0), kept = make_link(soon, earlier);
    CHECK_INT(ask(a_session(&used))->error.code, 0);
    CHECK_INT(answered->principal, 1);
    CHECK_INT(count_tokens(), 3); /* the administrator's, the kept link, the session */
    end();

    CHECK_OK(begin(store));
    CHECK_INT(ask(a_session(&used))->error.code, ERR_UNAUTHENTICATED);
    struct command *c = a_session(&kept);
    struct digest session = c->key_hash;
    struct token_holder holder;
    CHECK_INT(ask(c)->error.code, 0);
    CHECK_INT(answered->expires_ms, earlier);
    CHECK(tokens_find(engine_tokens(engine), &session, earlier - 1, &holder));
    CHECK_INT(holder.kind, TOKEN_SESSION);
    CHECK(!tokens_find(engine_tokens(engine), &session, earlier, &holder));
    CHECK_INT(ask(a_session(&kept))->error.code, ERR_UNAUTHENTICATED);
    end();
    CHECK_OK(file_remove_tree(folder, &test_err));
}

TEST("a code that is over, a token and a session make no session")
{
    CHECK_OK(begin("memory:"));
    struct digest over = make_link(engine_now_ms(engine) - 1, 0), token = make_token();
    CHECK_INT(ask(a_session(&over))->error.code, ERR_UNAUTHENTICATED);
    CHECK_INT(ask(a_session(&token))->error.code, ERR_UNAUTHENTICATED);
    struct digest code = make_link(engine_now_ms(engine) + 600000, 0);
    struct command *c = a_session(&code);
    struct digest session = c->key_hash;
    CHECK_INT(ask(c)->error.code, 0);
    CHECK_INT(ask(a_session(&session))->error.code, ERR_UNAUTHENTICATED);
    end();
}

TEST("a user has so many links that wait and no more; signing out leaves no record")
{
    CHECK_OK(begin("memory:"));
    int64_t soon = engine_now_ms(engine) + 600000;
    struct digest first = make_link(soon, 0);
    for (int i = 1; i < 32; i++)
        make_link(soon, 0);
    struct command *c = command_new(COMMAND_TOKEN_CREATE);
    c->actor = c->principal = 1;
    c->token_kind = TOKEN_LINK;
    CHECK_INT(ask(c)->error.code, ERR_EXHAUSTED);
    CHECK_INT(ask(a_session(&first))->error.code, 0);
    int64_t session = answered->ret_id;
    make_link(soon, 0);
    int before = count_tokens();
    c = command_new(COMMAND_TOKEN_REVOKE);
    c->actor = 1;
    c->id = session;
    CHECK_INT(ask(c)->error.code, 0);
    CHECK_INT(count_tokens(), before - 1);
    end();
}

TEST("a full disk refuses changes, loses nothing, and goes on when there is room")
{
    CHECK_OK(begin("memory:full=commit@3-4"));
    CHECK_INT(ask(a_submission(1, 1))->error.code, 0);
    /* The second one waits until there is room; a third is refused meanwhile. */
    CHECK_INT(ask(a_submission(1, 1))->error.code, 0);
    CHECK_INT(answered->ret_id, 2);
    CHECK_INT(state_of(2), JOB_QUEUED);
    end();
}

TEST("a store that fails for good ends the engine with a word, and no answer pretends")
{
    CHECK_OK(begin("memory:fail=commit@2"));
    struct command *c = a_submission(1, 1);
    c->on_done = on_done;
    c->reply_to = door;
    command_free(answered);
    answered = NULL;
    CHECK(engine_command(engine, c));
    while (!broken)
        uv_run(&loop, UV_RUN_ONCE);
    CHECK(answered == NULL);
    engine_stop(engine);
    mailbox_drain(door);
    CHECK(answered && answered->error.code == ERR_UNAVAILABLE);
    mailbox_close(door);
    uv_run(&loop, UV_RUN_NOWAIT);
    mailbox_free(door);
    uv_loop_close(&loop);
    free(admin_token);
}
