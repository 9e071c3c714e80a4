#include "base/file.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "store/ledger.h"
#include "test.h"

/* One loop for the owner and a door; an agent that is only lines. */
static uv_loop_t loop;
static struct engine *engine;
static struct mailbox *door;
static char *admin_token;
static bool broken;
static char lines[64][2048];
static int line_count;

static void on_broken(void *arg, const struct err *why)
{
    (void)arg, (void)why;
    broken = true;
}

static void on_line(void *arg, int64_t node, char *line)
{
    (void)arg, (void)node;
    snprintf(lines[line_count++ % 64], sizeof lines[0], "%s", line);
    free(line);
}

static int begin(const char *store)
{
    struct engine_config c = {.store = store,
                              .silence_ms = 15000,
                              .retry_pause_ms = 40,
                              .policy = {.gpu_hour_micros = 3600000,
                                         .kwh_micros = 150000,
                                         .pue_milli = 1000,
                                         .lost_after_ms = 300000,
                                         .currency = "USD"}};
    struct engine_hooks hooks = {on_broken, NULL};
    uv_loop_init(&loop);
    broken = false;
    line_count = 0;
    if (engine_start(&loop, &c, &hooks, &engine, &admin_token, &test_err) < 0)
        return -1;
    door = mailbox_new(&loop, 1000);
    engine_set_sender(engine, LINK_AGENT, on_line, NULL);
    return 0;
}

static void end(void)
{
    engine_stop(engine);
    mailbox_close(door);
    uv_run(&loop, UV_RUN_NOWAIT);
    mailbox_free(door);
    CHECK_INT(uv_loop_close(&loop), 0);
    free(admin_token);
    admin_token = NULL;
}

static struct command *answered;
static void on_done(struct command *c)
{
    answered = c;
}

/* Sends it and waits; the answer is freed at the next call. */
static const struct command *ask(struct command *c)
{
    command_free(answered);
    answered = NULL;
    c->on_done = on_done;
    c->reply_to = door;
    CHECK(engine_command(engine, c));
    while (!answered)
        uv_run(&loop, UV_RUN_ONCE);
    return answered;
}

static void settle(void)
{
    for (int i = 0; i < 50; i++) {
        uv_run(&loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
}

static struct command *a_submission(int64_t actor, int jobs)
{
    struct command *c = command_new(COMMAND_SUBMIT);
    c->actor = actor;
    c->jobs = mem_new_array(struct submission, (size_t)jobs);
    c->job_count = (size_t)jobs;
    for (int i = 0; i < jobs; i++) {
        c->jobs[i].gpus = 1;
        c->jobs[i].memory_mib = 16384;
        c->jobs[i].flags = JOB_MEMORY_DEFAULT;
        c->jobs[i].retries = 1;
        snprintf(c->jobs[i].name, sizeof c->jobs[i].name, "job");
        c->jobs[i].spec = mem_strdup("{\"command\":[\"true\"]}");
    }
    return c;
}

static struct command *a_report(int64_t node, const char *boot, bool hello)
{
    struct command *c = command_new(COMMAND_REPORT);
    struct report *r = c->report = mem_new(struct report);
    r->node = node;
    r->is_hello = hello;
    snprintf(r->boot_id, sizeof r->boot_id, "%s", boot);
    snprintf(r->data_id, sizeof r->data_id, "data");
    if (hello) {
        r->cpu_milli = 8000;
        r->memory_mib = 32768;
        r->isolation = ISOLATION_SHARED;
        r->device_count = 1;
        r->devices = mem_new(struct device_report);
        snprintf(r->devices->uuid, sizeof r->devices->uuid, "GPU-1");
        snprintf(r->devices->model, sizeof r->devices->model, "RTX 3080");
        r->devices->memory_mib = r->devices->free_mib = 10240;
    }
    return c;
}

static struct attempt_report *an_attempt(struct command *c, int64_t job, int64_t n, int what)
{
    const struct engine_view *v = engine_view_get(engine);
    c->report->attempts = mem_new(struct attempt_report);
    c->report->attempt_count = 1;
    struct attempt_report *a = c->report->attempts;
    attempt_id(a->id, v->fleet.incarnation, job, n);
    engine_view_release(engine, v);
    a->job = job;
    a->n = n;
    a->what = what;
    return a;
}

static int64_t join_node(const char *name)
{
    struct command *c = command_new(COMMAND_ENROLMENT_CREATE);
    c->actor = 1;
    free(token_make(&c->hash));
    struct digest hash = c->hash;
    CHECK_INT(ask(c)->error.code, 0);
    c = command_new(COMMAND_ENROL);
    c->hash = hash;
    snprintf(c->name, sizeof c->name, "%s", name);
    free(token_make(&c->key_hash));
    CHECK_INT(ask(c)->error.code, 0);
    int64_t node = answered->ret_id;
    c = command_new(COMMAND_ENROL);
    c->hash = hash;
    snprintf(c->name, sizeof c->name, "thief");
    CHECK_INT(ask(c)->error.code, ERR_UNAUTHENTICATED); /* good once */

    c = command_new(COMMAND_LINK);
    c->node = node;
    c->linked = true;
    ask(c);
    CHECK_INT(ask(a_report(node, "boot-1", true))->error.code, 0);
    return node;
}

static int state_of(int64_t job)
{
    const struct engine_view *v = engine_view_get(engine);
    const struct job *j = fleet_job(&v->fleet, job);
    int state = j ? j->state : -1;
    engine_view_release(engine, v);
    return state;
}

static struct replay_result replay_from(bool start)
{
    struct replay_result r;
    struct store_reader *reader;
    CHECK_OK(engine_reader_open(engine, &reader, &test_err));
    CHECK_OK(engine_replay(engine_store(engine), reader, start, &r, &test_err));
    struct ledger_check check;
    CHECK_OK(ledger_verify(engine_store(engine), reader, NULL, NULL, &check, &test_err));
    CHECK_INT(r.began + r.rows, check.rows);
    engine_store(engine)->reader_close(reader);
    return r;
}

/* The whole of it, and what comes behind the newest snapshot. */
static struct replay_result replay(void)
{
    CHECK_INT(replay_from(false).first_different, 0);
    return replay_from(true);
}

TEST("a node that somebody vouches for gets a key, time and again")
{
    CHECK_OK(begin("memory:"));
    struct digest keys[2], shown;
    struct token_holder holder;
    free(token_make(&shown));
    for (int i = 0; i < 2; i++) {
        struct command *c = command_new(COMMAND_ENROL);
        c->vouched = true;
        c->hash = shown;
        free(token_make(&c->key_hash));
        keys[i] = c->key_hash;
        snprintf(c->name, sizeof c->name, "gpu-1");
        CHECK_INT(ask(c)->error.code, 0);
        CHECK_INT(answered->ret_id, 1);
    }
    CHECK(!tokens_find(engine_tokens(engine), &keys[0], 1, &holder)); /* replaced */
    CHECK(tokens_find(engine_tokens(engine), &keys[1], 1, &holder) && holder.kind == TOKEN_NODE);
    CHECK(!tokens_find(engine_tokens(engine), &shown, 1, &holder)); /* opens nothing here itself */
    replay();
    end();
}

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
