#include "base/mem.h"
#include "core/core.h"
#include "core/explain/explain.h"
#include "test.h"

static struct core core;
static int64_t seq;

static struct event an_event(enum event_kind kind, int64_t subject)
{
    seq++;
    return (struct event){
        .seq = seq, .time_ms = 1000 * seq, .kind = kind, .subject = subject, .actor = 1};
}

static void apply(struct event ev)
{
    CHECK_OK(core_apply(&core, &ev, NULL, &test_err));
}

static void add_principal(int64_t id, const char *name)
{
    struct event ev = an_event(EVENT_ID_PRINCIPAL_ADDED, id);
    event_set_text(ev.PRINCIPAL_ADDED.name, name);
    ev.PRINCIPAL_ADDED.role = 2;
    apply(ev);
}

static void add_node(int64_t id, const char *name, enum node_isolation isolation)
{
    struct event ev = an_event(EVENT_ID_NODE_ENROLLED, id);
    event_set_text(ev.NODE_ENROLLED.name, name);
    apply(ev);
    ev = an_event(EVENT_ID_NODE_HELLO, id);
    event_set_text(ev.NODE_HELLO.boot_id, "boot");
    event_set_text(ev.NODE_HELLO.data_id, "data");
    ev.NODE_HELLO.cpu_milli = 4000;
    ev.NODE_HELLO.memory_mib = 32768;
    ev.NODE_HELLO.isolation = isolation;
    apply(ev);
}

static void add_device(int64_t id, int64_t node, int64_t number, int64_t memory_mib)
{
    struct event ev = an_event(EVENT_ID_DEVICE_SEEN, id);
    ev.DEVICE_SEEN.node = node;
    ev.DEVICE_SEEN.number = number;
    ev.DEVICE_SEEN.memory_mib = memory_mib;
    char uuid[32];
    snprintf(uuid, sizeof uuid, "GPU-%d", (int)id);
    event_set_text(ev.DEVICE_SEEN.uuid, uuid);
    apply(ev);
}

static void change_device(int64_t id, int health, int busy, int64_t free_mib, const char *why)
{
    struct event ev = an_event(EVENT_ID_DEVICE_CHANGED, id);
    ev.DEVICE_CHANGED.health = health;
    ev.DEVICE_CHANGED.busy = busy;
    ev.DEVICE_CHANGED.free_mib = free_mib;
    event_set_text(ev.DEVICE_CHANGED.why, why);
    apply(ev);
}

static const struct job *submit(int64_t id, int64_t principal, int64_t gpus, int64_t gpu_memory_mib)
{
    struct event ev = an_event(EVENT_ID_JOB_SUBMITTED, id);
    ev.JOB_SUBMITTED.principal = ev.JOB_SUBMITTED.submitter = principal;
    ev.JOB_SUBMITTED.gpus = gpus;
    ev.JOB_SUBMITTED.gpu_memory_mib = gpu_memory_mib;
    ev.JOB_SUBMITTED.memory_mib = JOB_DEFAULT_MEMORY_MIB;
    ev.JOB_SUBMITTED.flags = JOB_MEMORY_DEFAULT;
    apply(ev);
    fleet_refresh(core.fleet);
    return fleet_job(&core.fleet->view, id);
}

static void plan(void)
{
    struct event ev = {0};
    int64_t now_ms = 1000 * (seq + 1);
    core_plan(&core, now_ms, PLAN_VERSION, &ev);
    ev.seq = ++seq;
    ev.time_ms = now_ms;
    apply(ev);
    while (core.plan_next < core.plan.decision_count) {
        const struct decision *d = &core.plan.decisions[core.plan_next];
        struct event decided = an_event(EVENT_ID_ATTEMPT_DECIDED, d->job);
        decided.ATTEMPT_DECIDED.n = 1;
        decided.ATTEMPT_DECIDED.node = d->node;
        struct event_list *devices = &decided.ATTEMPT_DECIDED.devices;
        devices->count = d->devices.count;
        memcpy(devices->at, d->devices.at, sizeof d->devices.at);
        apply(decided);
    }
    fleet_refresh(core.fleet);
}

static void begin(void)
{
    seq = 0;
    core_init(&core);
    struct event ev = an_event(EVENT_ID_EPOCH_BEGAN, 0);
    ev.EPOCH_BEGAN.epoch = 1;
    apply(ev);
    add_principal(1, "admin");
    add_principal(2, "alice");
    add_principal(3, "bob");
}

static void check_why(int64_t job, bool mask_users, const char *code, const char *sentence)
{
    auto_text struct text out = {0};
    fleet_refresh(core.fleet);
    const struct fleet_view *v = &core.fleet->view;
    const struct explain_reader reader = {.mask_users = mask_users};
    CHECK_TEXT(explain_wait(v, fleet_job(v, job), &reader, &out), code);
    CHECK_TEXT(text_get(&out), sentence);
}

static void check_korean(int64_t job, bool mask_users, const char *sentence)
{
    auto_text struct text out = {0};
    const struct fleet_view *v = &core.fleet->view;
    const struct explain_reader reader = {mask_users, LANGUAGE_KO};
    explain_wait(v, fleet_job(v, job), &reader, &out);
    CHECK_TEXT(text_get(&out), sentence);
}

TEST("a job that pauses after lost attempts is told when it is tried again")
{
    begin();
    add_node(1, "a", ISOLATION_USER);
    add_device(1, 1, 0, 10240);
    submit(1, 2, 1, 0);
    plan();
    struct event lost = an_event(EVENT_ID_ATTEMPT_LOST, 1);
    lost.ATTEMPT_LOST.n = 1;
    lost.ATTEMPT_LOST.pause_ms = 4000;
    ((struct job *)fleet_job(&core.fleet->view, 1))->retries_left = 3;
    apply(lost);
    check_why(1, false, "paused",
              "attempt 1 was lost; it is tried again at 1970-01-01T00:00:15.000Z");
    check_korean(1, false, "시도 1 유실; 1970-01-01T00:00:15.000Z에 다시 시도");
    int64_t held[4];
    CHECK_INT(explain_held_by(&core.fleet->view, fleet_job(&core.fleet->view, 1), held, 4), 0);
    core_done(&core);
}

TEST("a job behind another one is told whose job holds the GPU")
{
    begin();
    add_node(1, "a", ISOLATION_USER);
    add_device(1, 1, 0, 10240);
    submit(12, 3, 1, 0);
    plan();
    submit(13, 2, 1, 8192);
    plan();
    change_device(1, DEVICE_OK, 0, 2311, "");

    check_why(13, false, "gpu-held",
              "needs 1 GPU with 8192 MiB free; node a has 2311 MiB free on GPU 0, used by job 12 "
              "of bob");
    check_why(13, true, "gpu-held",
              "needs 1 GPU with 8192 MiB free; node a has 2311 MiB free on GPU 0, used by job 12");
    check_korean(13, false,
                 "GPU 1개(여유 메모리 8192 MiB) 필요; 노드 a: GPU 0 여유 2311 MiB, 작업 "
                 "12(bob)에서 사용 중");
    check_korean(
        13, true,
        "GPU 1개(여유 메모리 8192 MiB) 필요; 노드 a: GPU 0 여유 2311 MiB, 작업 12에서 사용 중");
    check_why(12, false, "", "");

    int64_t held[4];
    CHECK_INT(explain_held_by(&core.fleet->view, fleet_job(&core.fleet->view, 13), held, 4), 1);
    CHECK_INT(held[0], 1);
    core_done(&core);
}

TEST("a job that no GPU is large enough for is told the largest one")
{
    begin();
    add_node(1, "a", ISOLATION_USER);
    add_device(1, 1, 0, 10240);
    submit(1, 2, 1, 24576);
    plan();
    check_why(1, false, "impossible",
              "needs 1 GPU with 24576 MiB free; no node has that: the largest GPU of node a has "
              "10240 MiB");
    check_korean(
        1, false,
        "GPU 1개(여유 메모리 24576 MiB) 필요; 그런 노드가 없음: 노드 a의 가장 큰 GPU도 10240 MiB");
    submit(2, 2, 2, 0);
    plan();
    check_why(2, false, "impossible", "needs 2 GPUs; no node has that: node a has 1 GPU");
    check_korean(2, false, "GPU 2개 필요; 그런 노드가 없음: 노드 a의 GPU는 1개");
    core_done(&core);
}

TEST("without any node the job is told so")
{
    begin();
    submit(1, 2, 1, 0);
    plan();
    check_why(1, false, "no-node", "needs 1 GPU; no node is there");
    check_korean(1, false, "GPU 1개 필요; 노드가 없음");
    core_done(&core);
}

TEST("a GPU that is busy or faulty is named with its reason")
{
    begin();
    add_node(1, "a", ISOLATION_USER);
    add_device(1, 1, 0, 10240);
    add_device(2, 1, 1, 10240);
    change_device(1, DEVICE_FAULTY, 0, 10240, "XID 79");
    change_device(2, DEVICE_OK, 1, 1024, "GPU use 97 %");
    submit(1, 2, 1, 0);
    plan();
    check_why(1, false, "gpu-unhealthy",
              "needs 1 GPU; node a has GPU 0 faulty (XID 79); GPU 1 busy (GPU use 97 %)");
    check_korean(1, false,
                 "GPU 1개 필요; 노드 a: GPU 0 고장 (XID 79); GPU 1 사용 중 (GPU use 97 %)");
    core_done(&core);
}

TEST("a node without isolation says whose jobs it runs")
{
    begin();
    add_node(1, "a", ISOLATION_NONE);
    add_device(1, 1, 0, 10240);
    submit(1, 3, 1, 0);
    plan();
    submit(2, 2, 1, 0);
    plan();
    check_why(2, false, "other-user",
              "needs 1 GPU; node a has no isolation and runs jobs of bob only");
    check_korean(2, false, "GPU 1개 필요; 노드 a: 격리가 없어 bob의 작업만 실행");
    check_korean(2, true, "GPU 1개 필요; 노드 a: 격리가 없어 다른 한 사용자의 작업만 실행");
    core_done(&core);
}

TEST("a silent node is named as what the job waits for")
{
    begin();
    add_node(1, "a", ISOLATION_USER);
    add_device(1, 1, 0, 10240);
    apply(an_event(EVENT_ID_NODE_SILENT, 1));
    submit(1, 2, 1, 0);
    plan();
    check_why(1, false, "node-unknown", "needs 1 GPU; node a is not heard");
    check_korean(1, false, "GPU 1개 필요; 노드 a 응답 없음");
    core_done(&core);
}

TEST("a job that nothing stands in the way of is told that it starts")
{
    begin();
    add_node(1, "a", ISOLATION_USER);
    add_device(1, 1, 0, 10240);
    submit(1, 2, 1, 0);
    check_why(1, false, "next", "needs 1 GPU; node a is free: it starts with the next plan");
    check_korean(1, false, "GPU 1개 필요; 노드 a 비어 있음: 다음 배정에서 시작");
    core_done(&core);
}

TEST("a held job says who holds it, since when and why")
{
    begin();
    add_node(1, "a", ISOLATION_USER);
    add_device(1, 1, 0, 10240);
    submit(1, 2, 1, 0);
    struct event ev = an_event(EVENT_ID_JOB_HELD, 1);
    ev.actor = 3;
    ev.time_ms = 1700000000000;
    event_set_text(ev.JOB_HELD.why, "no data yet");
    apply(ev);
    check_why(1, false, "held", "held by bob since 2023-11-14T22:13:20.000Z: no data yet");
    check_why(1, true, "held", "held by an operator since 2023-11-14T22:13:20.000Z: no data yet");
    check_korean(1, false, "2023-11-14T22:13:20.000Z부터 bob 보류: no data yet");
    check_korean(1, true, "2023-11-14T22:13:20.000Z부터 운영자 보류: no data yet");
    int64_t held[1];
    CHECK_INT(explain_held_by(&core.fleet->view, fleet_job(&core.fleet->view, 1), held, 1), 0);
    core_done(&core);
}

TEST("a small job behind one that waits for a whole node is told about the one in front")
{
    begin();
    add_node(1, "a", ISOLATION_USER);
    add_device(1, 1, 0, 10240);
    add_device(2, 1, 1, 10240);
    submit(1, 3, 1, 0);
    plan();
    submit(2, 3, 2, 0);
    submit(3, 2, 1, 0);
    plan();
    check_why(3, false, "reserved", "needs 1 GPU; node a is kept for a job further in front");
    check_korean(3, false, "GPU 1개 필요; 노드 a: 앞 순서의 작업 몫으로 비워 둠");
    check_why(2, false, "gpu-held",
              "needs 2 GPUs; node a has 1 that would do, 10240 MiB free on GPU 0, used by job 1 "
              "of bob");
    check_korean(
        2, false,
        "GPU 2개 필요; 노드 a: 조건에 맞는 GPU 1개, GPU 0 여유 10240 MiB, 작업 1(bob)에서 사용 중");
    core_done(&core);
}

TEST("a busy machine says what of it others use, and how much they may")
{
    begin();
    add_node(1, "a", ISOLATION_USER);
    add_device(1, 1, 0, 10240);
    struct event ev = an_event(EVENT_ID_POLICY_SET, 0);
    ev.POLICY_SET.version = 1;
    ev.POLICY_SET.gate_cpu_pct = 90;
    ev.POLICY_SET.gate_memory_pct = 85;
    apply(ev);
    ev = an_event(EVENT_ID_NODE_CHANGED, 1);
    ev.NODE_CHANGED.busy = 1;
    ev.NODE_CHANGED.cpu_pct = 97;
    ev.NODE_CHANGED.memory_pct = 7;
    apply(ev);
    submit(1, 2, 1, 0);
    plan();
    check_why(1, false, "node-busy",
              "needs 1 GPU; node a is busy: others use 97 % of its CPU (limit 90 %)");
    check_korean(1, false,
                 "GPU 1개 필요; 노드 a 사용량 많음: 다른 프로세스가 CPU 97 %(한도 90 %) 사용 중");
    core_done(&core);
}
