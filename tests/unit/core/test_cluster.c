/* Nodes of clusters: where jobs may run there, what others hold, and what attempts are really
 * given. */
#include "core/explain/explain.h"
#include "core/place/place.h"
#include "random_world.h"

static char said[512];
/* The word for why a job waits; the sentence goes into SAID. */
static const char *why(struct world *w, int64_t job)
{
    static const struct explain_reader reader = {.language = LANGUAGE_EN};
    auto_text struct text t = {0};
    const char *code = explain_wait(seen(w), fleet_job(seen(w), job), &reader, &t);
    snprintf(said, sizeof said, "%s", text_get(&t));
    return code;
}

static int64_t node_of(struct world *w, int64_t job)
{
    const struct attempt *a = fleet_job_attempt(seen(w), fleet_job(seen(w), job));
    return a ? a->node : 0;
}

static int64_t device_of(struct world *w, int64_t job)
{
    const struct attempt *a = fleet_job_attempt(seen(w), fleet_job(seen(w), job));
    return a && a->first_part != NO_ROW ? fleet_part_at(seen(w), a->first_part)->device : 0;
}

static void end_job(struct world *w, int64_t job)
{
    CHECK_OK(start(w, job));
    CHECK_OK(finish(w, job, OUTCOME_COMPLETED));
}

TEST("a job with an image goes to a cluster, one without to a machine, and each says what it lacks")
{
    struct world w;
    world_begin(&w);
    int64_t alice = add_user(&w, "alice");
    int64_t machine = add_node(&w, "m", 1, 10240);
    int64_t image = submit(&w, .user = alice, .flags = JOB_NEEDS_CLUSTER);
    plan(&w);
    CHECK_TEXT(why(&w, image), "no-cluster");
    int64_t kube = add_cluster_node(&w, "k", 1, 10240);
    plan(&w);
    CHECK_INT(node_of(&w, image), kube);
    int64_t plain = submit(&w, .user = alice, .flags = JOB_NEEDS_MACHINE);
    plan(&w);
    CHECK_INT(node_of(&w, plain), machine);
    CHECK_OK(happen(&w, (struct event){.kind = EVENT_ID_NODE_LOST, .subject = machine}));
    int64_t second = submit(&w, .user = alice, .flags = JOB_NEEDS_MACHINE);
    plan(&w);
    CHECK_TEXT(why(&w, second), "no-machine");
    world_end(&w);
}

TEST("labels and taints decide where a job runs, and are named when they keep it away")
{
    struct world w;
    world_begin(&w);
    int64_t alice = add_user(&w, "alice");
    int64_t a = add_cluster_node(&w, "a", 2, 10240), b = add_cluster_node(&w, "b", 2, 10240);
    label_node(&w, a, "zone=east,disk=ssd");
    label_node(&w, b, "zone=west");
    int64_t west = submit(&w, .user = alice, .selector = "zone=west");
    int64_t none = submit(&w, .user = alice, .selector = "disk=ssd,zone=west");
    plan(&w);
    CHECK_INT(node_of(&w, west), b);
    CHECK_TEXT(why(&w, none), "no-label");
    CHECK(strstr(said, "node a lacks zone=west"));

    taint_node(&w, a, "team=x:NoSchedule");
    int64_t east = submit(&w, .user = alice, .selector = "zone=east");
    plan(&w);
    CHECK_TEXT(why(&w, east), "tainted");
    CHECK(strstr(said, "team=x:NoSchedule"));
    static const char *const forms[] = {"team", "team=x", "team:NoSchedule", "team=x:NoSchedule"};
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        int64_t job = submit(&w, .user = alice, .selector = "zone=east", .tolerations = forms[i]);
        plan(&w);
        CHECK_INT(node_of(&w, job), a);
        end_job(&w, job);
    }
    static const char *const others[] = {"team=y", "team:NoExecute", "tea"};
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        int64_t job = submit(&w, .user = alice, .selector = "zone=east", .tolerations = others[i]);
        plan(&w);
        CHECK_TEXT(why(&w, job), "tainted");
    }
    /* What only says that there are GPUs keeps those away that need none. */
    taint_node(&w, a, "nvidia.com/gpu=present:NoSchedule");
    plan(&w);
    CHECK_INT(node_of(&w, east), a);
    int64_t idle = submit(&w, .user = alice, .selector = "zone=east", .no_gpu = 1);
    plan(&w);
    CHECK_TEXT(why(&w, idle), "tainted");
    world_end(&w);
}

static int64_t add_model(struct world *w, const char *name, const char *model)
{
    int64_t node = add_cluster_node(w, name, 0, 0);
    struct event ev = {.kind = EVENT_ID_DEVICE_SEEN, .subject = seen(w)->device_count + 1};
    ev.DEVICE_SEEN.node = node;
    ev.DEVICE_SEEN.memory_mib = 10240;
    snprintf(ev.DEVICE_SEEN.uuid, EVENT_TEXT, "%s/nvidia.com/gpu/0", name);
    event_set_text(ev.DEVICE_SEEN.model, model);
    CHECK_OK(happen(w, ev));
    return node;
}

TEST("a model that is preferred is taken first, and any other where there is none")
{
    struct world w;
    world_begin(&w);
    int64_t alice = add_user(&w, "alice");
    int64_t l4 = add_model(&w, "a", "NVIDIA L4"),
            a100 = add_model(&w, "b", "NVIDIA A100-SXM4-40GB");
    const char *wish = WHERE_PREFERS_MODEL "=a100";
    int64_t any = submit(&w, .user = alice);
    plan(&w);
    CHECK_INT(node_of(&w, any), l4);
    end_job(&w, any);
    int64_t first = submit(&w, .user = alice, .selector = wish);
    int64_t second = submit(&w, .user = alice, .selector = wish);
    int64_t third = submit(&w, .user = alice, .selector = wish);
    plan(&w);
    CHECK_INT(node_of(&w, first), a100);
    CHECK_INT(node_of(&w, second), l4);
    CHECK(!strstr(why(&w, third), "no-label"));
    world_end(&w);
}

TEST("what jobs say of where is kept once, and goes with the last of them")
{
    struct world w;
    world_begin(&w);
    int64_t alice = add_user(&w, "alice");
    int64_t jobs[3];
    for (int i = 0; i < 3; i++)
        jobs[i] = submit(&w, .user = alice, .selector = i < 2 ? "a=b" : "a",
                         .tolerations = i < 2 ? "" : "b");
    CHECK_INT(seen(&w)->where_texts.count, 2);
    CHECK_TEXT(fleet_selector(seen(&w), fleet_job(seen(&w), jobs[1])), "a=b");
    CHECK(fleet_job(seen(&w), jobs[0])->shape == fleet_job(seen(&w), jobs[1])->shape);
    CHECK(fleet_job(seen(&w), jobs[0])->shape != fleet_job(seen(&w), jobs[2])->shape);
    for (int i = 0; i < 3; i++)
        CHECK_OK(happen(&w, (struct event){.kind = EVENT_ID_JOB_CANCEL, .subject = jobs[i]}));
    CHECK_INT(seen(&w)->where_texts.count, 0);
    world_end(&w);
}

TEST("GPUs that pods of others ask for are kept back, those seen to be theirs not twice")
{
    struct world w;
    world_begin(&w);
    int64_t alice = add_user(&w, "alice");
    int64_t node = add_cluster_node(&w, "k", 4, 10240);
    share_node(&w, node, 16000, 65536, 2, "");
    int64_t jobs[3];
    for (int i = 0; i < 3; i++)
        jobs[i] = submit(&w, .user = alice);
    CHECK_INT(plan(&w), 2);
    CHECK_TEXT(why(&w, jobs[2]), "gpu-held");
    CHECK(strstr(said, "2 GPUs held by pods that Reeve did not start"));

    /* One of the two is seen on a device of ours to give: it is busy, and no more is kept back. */
    struct event ev = {.kind = EVENT_ID_DEVICE_CHANGED, .subject = 4};
    ev.DEVICE_CHANGED.foreign = ev.DEVICE_CHANGED.busy = 1;
    CHECK_OK(happen(&w, ev));
    CHECK_INT(plan(&w), 0);
    share_node(&w, node, 16000, 65536, 1, "");
    CHECK_INT(plan(&w), 1);
    world_end(&w);
}

TEST("a device of ours that goes by another name now is not given out twice")
{
    struct world w;
    world_begin(&w);
    int64_t alice = add_user(&w, "alice");
    int64_t node = add_cluster_node(&w, "k", 2, 10240);
    int64_t first = submit(&w, .user = alice);
    plan(&w);
    CHECK_INT(device_of(&w, first), 1);
    /* Its agent says hello: two devices with their own names, the counted ones go. */
    for (int i = 0; i < 2; i++) {
        struct event ev = {.kind = EVENT_ID_DEVICE_SEEN, .subject = 3 + i};
        ev.DEVICE_SEEN.node = node;
        ev.DEVICE_SEEN.number = i;
        ev.DEVICE_SEEN.memory_mib = 10240;
        snprintf(ev.DEVICE_SEEN.uuid, EVENT_TEXT, "GPU-%d", i);
        CHECK_OK(happen(&w, ev));
        ev = (struct event){.kind = EVENT_ID_DEVICE_CHANGED, .subject = 1 + i};
        ev.DEVICE_CHANGED.health = DEVICE_GONE;
        CHECK_OK(happen(&w, ev));
    }
    int64_t second = submit(&w, .user = alice), third = submit(&w, .user = alice);
    CHECK_INT(plan(&w), 1);
    CHECK_INT(state_of(&w, third), JOB_QUEUED);
    CHECK_INT(device_of(&w, second), 3);

    /* The first really has what the second was to get: they change places. */
    int64_t real = 3;
    CHECK_OK(bind_devices(&w, first, 1, &real));
    CHECK_INT(device_of(&w, first), 3);
    CHECK_INT(device_of(&w, second), 1);
    CHECK_INT(plan(&w), 0);
    /* What is known to be somebody's is not given to another. */
    CHECK_FAILS(bind_devices(&w, second, 1, &real), ERR_CONFLICT, "cannot have");
    real = 4;
    CHECK_OK(bind_devices(&w, second, 1, &real));
    CHECK_INT(device_of(&w, second), 4);
    end_job(&w, first);
    CHECK_INT(plan(&w), 1);
    CHECK_INT(device_of(&w, third), 3);
    world_end(&w);
}

TEST("a cordoned node gets nothing, and its cluster's word for it is said")
{
    struct world w;
    world_begin(&w);
    int64_t alice = add_user(&w, "alice");
    int64_t node = add_cluster_node(&w, "k", 1, 10240);
    share_node(&w, node, 16000, 65536, 0, "not ready: kubelet stopped posting");
    int64_t job = submit(&w, .user = alice);
    CHECK_INT(plan(&w), 0);
    CHECK_TEXT(why(&w, job), "node-cordoned");
    CHECK(strstr(said, "kubelet stopped posting"));
    share_node(&w, node, 1000, 65536, 0, "");
    int64_t large = submit(&w, .user = alice, .no_gpu = 1, .cpu_milli = 4000);
    CHECK_INT(plan(&w), 1);
    CHECK_TEXT(why(&w, large), "cpu-held");
    CHECK(strstr(said, "ask for 15"));
    world_end(&w);
}

TEST("nodes that are alike are taken in the order of their names; older plans by their ids")
{
    for (int version = 1; version <= PLAN_VERSION; version++) {
        struct world w;
        struct plan p;
        world_begin(&w);
        int64_t alice = add_user(&w, "alice");
        add_node(&w, "zeta", 2, 10240);
        int64_t alpha = add_node(&w, "alpha", 2, 10240);
        submit(&w, .user = alice);
        plan_make(seen(&w), w.now_ms, version, &p);
        CHECK_INT(p.decisions[0].node, version == 1 ? 1 : alpha);
        plan_done(&p);
        world_end(&w);
    }
}

TEST("what is on its way says what it waits for, until it begins")
{
    struct world w;
    world_begin(&w);
    int64_t alice = add_user(&w, "alice");
    add_cluster_node(&w, "k", 1, 10240);
    int64_t job = submit(&w, .user = alice);
    plan(&w);
    struct event ev = {.kind = EVENT_ID_ATTEMPT_SENT, .subject = job};
    ev.ATTEMPT_SENT.n = 1;
    CHECK_OK(happen(&w, ev));
    const struct attempt *a = fleet_job_attempt(seen(&w), fleet_job(seen(&w), job));
    CHECK_INT(a->state, ATTEMPT_SENT);
    CHECK_INT(a->sent_ms, w.now_ms);
    ev = (struct event){.kind = EVENT_ID_ATTEMPT_WAITS, .subject = job};
    ev.ATTEMPT_WAITS.n = 1;
    strcpy(ev.ATTEMPT_WAITS.why, "its image is pulled");
    CHECK_OK(happen(&w, ev));
    CHECK_TEXT(fleet_job_attempt(seen(&w), fleet_job(seen(&w), job))->why, "its image is pulled");
    CHECK_OK(start(&w, job));
    CHECK_TEXT(fleet_job_attempt(seen(&w), fleet_job(seen(&w), job))->why, "");
    CHECK_FAILS(happen(&w, ev), ERR_CONFLICT, "has begun");
    world_end(&w);
}

/* What of a node's devices could be given out still; of those so many are somebody else's. */
static void check_left(struct world *w, int64_t node)
{
    static const struct shape least = {0};
    const struct fleet_view *v = seen(w);
    const struct node *n = fleet_node(v, node);
    struct place_plan p;
    int64_t left = 0, seen_foreign = 0, gone_held = 0;
    place_plan_init(&p, v);
    for (uint32_t d = n->first_device; d != NO_ROW; d = fleet_device(v, d)->next_on_node) {
        const struct device *device = fleet_device(v, d);
        bool fits = place_device_fit(&p, &least, device) == FIT_OK;
        left += fits;
        gone_held += device->health == DEVICE_GONE && device->attempt != NO_ROW;
        seen_foreign += !fits && device->foreign && device->attempt == NO_ROW;
    }
    place_plan_done(&p);
    int64_t hidden = n->foreign_gpus > seen_foreign ? n->foreign_gpus - seen_foreign : 0;
    ck_assert_msg(left >= hidden + gone_held, "%d left, but %d are taken", (int)left,
                  (int)(hidden + gone_held));
}

TEST("whatever happens, no plan gives out what pods of others hold, nor where a job may not run")
{
    size_t decided = 0;
    for (unsigned seed = 1; seed <= 20; seed++) {
        struct world w;
        random_world(&w, seed, 0);
        for (int i = 0; i < 400; i++) {
            size_t before = w.count;
            random_step(&w);
            for (size_t k = before; k < w.count; k++) {
                if (w.log[k].kind != EVENT_ID_ATTEMPT_DECIDED)
                    continue;
                const struct job *j = fleet_job(seen(&w), w.log[k].subject);
                const struct node *n = fleet_node(seen(&w), w.log[k].ATTEMPT_DECIDED.node);
                const struct where *where = fleet_where(seen(&w), j->where);
                CHECK_INT(node_lacks(seen(&w), n, where), -1);
                CHECK(!node_repels(seen(&w), n, where, j->gpus));
                CHECK(!(j->flags & JOB_NEEDS_CLUSTER) || n->cluster[0]);
                CHECK(!(j->flags & JOB_NEEDS_MACHINE) || !n->cluster[0]);
                CHECK(!n->cordoned);
                if (n->cluster[0] && j->gpus) {
                    check_left(&w, n->id);
                    decided++;
                }
            }
        }
        world_end(&w);
    }
    CHECK(decided > 100);
}
