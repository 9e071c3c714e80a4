/* Nodes of a cluster: found, heard, started on, asked before a start, measured. */
#include "core/fleet/where.h"
#include "rig.h"

static struct command *found(const char *name, const char *cluster)
{
    struct command *c = command_new(COMMAND_NODE_FOUND);
    snprintf(c->name, sizeof c->name, "%s", name);
    snprintf(c->cluster, sizeof c->cluster, "%s", cluster);
    return c;
}

static struct command *cluster_report(int64_t node, bool hello)
{
    struct command *c = a_report(node, "boot-k", hello);
    struct report *r = c->report;
    r->source = LINK_CLUSTER;
    if (hello) {
        r->isolation = ISOLATION_USER;
        snprintf(r->devices->uuid, sizeof r->devices->uuid, "k/nvidia.com/gpu/0");
        r->has_share = true;
        r->share_cpu_milli = 8000;
        r->share_memory_mib = 32768;
    }
    return c;
}

static int64_t find_node(void)
{
    CHECK_INT(ask(found("k", "kube"))->error.code, 0);
    int64_t node = answered->ret_id;
    CHECK_INT(ask(cluster_report(node, true))->error.code, 0);
    return node;
}

static struct command *an_image_job(void)
{
    struct command *c = a_submission(1, 1);
    c->jobs[0].flags |= JOB_NEEDS_CLUSTER;
    return c;
}

static int attempt_state(int64_t job)
{
    const struct engine_view *v = engine_view_get(engine);
    const struct job *j = fleet_job(&v->fleet, job);
    const struct attempt *a = j ? fleet_job_attempt(&v->fleet, j) : NULL;
    int state = a ? a->state : -1;
    engine_view_release(engine, v);
    return state;
}

static int count_lines(char all[64][2048], int count, const char *words)
{
    int found_count = 0;
    for (int i = 0; i < count; i++)
        found_count += strstr(all[i], words) != NULL;
    return found_count;
}

static struct device_report *a_device(struct command *c, const char *uuid)
{
    struct device_report *d = c->report->devices;
    snprintf(d->uuid, sizeof d->uuid, "%s", uuid);
    return d;
}

/* The agent of node "k": a pod of a DaemonSet, say. */
static void join_agent(int64_t node)
{
    struct command *c = command_new(COMMAND_ENROLMENT_CREATE);
    c->actor = 1;
    free(token_make(&c->hash));
    struct digest hash = c->hash;
    ask(c);
    c = command_new(COMMAND_ENROL);
    c->hash = hash;
    snprintf(c->name, sizeof c->name, "k");
    free(token_make(&c->key_hash));
    CHECK_INT(ask(c)->ret_id, node);
    c = command_new(COMMAND_LINK);
    c->node = node;
    c->linked = true;
    ask(c);
    engine_node_heard(engine, LINK_AGENT, node);
    c = a_report(node, "agent-boot", true);
    a_device(c, "GPU-real");
    CHECK_INT(ask(c)->error.code, 0);
}

TEST("a job goes through a cluster: decided, sent, waiting, begun, ended, forgotten")
{
    CHECK_OK(begin("memory:"));
    int64_t node = find_node();
    CHECK_INT(ask(found("k", "kube"))->ret_id, node); /* twice is fine */
    CHECK_INT(ask(found("k", "other"))->error.code, ERR_CONFLICT);
    ask(an_image_job());
    settle();
    CHECK_INT(cluster_line_count, 1);
    CHECK(strstr(cluster_lines[0], "\"type\":\"start\"") &&
          strstr(cluster_lines[0], "\"node\":\"k\"") &&
          strstr(cluster_lines[0], "\"memory_default\":true") &&
          strstr(cluster_lines[0], "k/nvidia.com/gpu/0"));
    CHECK_INT(line_count, 0);

    struct command *c = cluster_report(node, false);
    an_attempt(c, 1, 1, REPORT_SENT);
    CHECK_INT(ask(c)->error.code, 0);
    CHECK_INT(attempt_state(1), ATTEMPT_SENT);
    CHECK_INT(state_of(1), JOB_SCHEDULED);
    c = cluster_report(node, false);
    snprintf(an_attempt(c, 1, 1, REPORT_WAITING)->why, EVENT_TEXT, "its image is pulled");
    ask(c);
    const struct engine_view *v = engine_view_get(engine);
    CHECK_TEXT(fleet_job_attempt(&v->fleet, fleet_job(&v->fleet, 1))->why, "its image is pulled");
    engine_view_release(engine, v);

    c = cluster_report(node, false);
    an_attempt(c, 1, 1, REPORT_STARTED);
    ask(c);
    CHECK_INT(state_of(1), JOB_RUNNING);
    c = cluster_report(node, false);
    an_attempt(c, 1, 1, REPORT_ENDED)->outcome = OUTCOME_COMPLETED;
    ask(c);
    CHECK_INT(state_of(1), -1);
    CHECK_INT(count_lines(cluster_lines, cluster_line_count, "\"forget\""), 1);
    c = cluster_report(node, false);
    an_attempt(c, 1, 1, REPORT_SENT); /* too late: whatever it makes has to go */
    ask(c);
    CHECK_INT(count_lines(cluster_lines, cluster_line_count, "\"end\""), 1);
    CHECK_INT(replay().first_different, 0);
    end();
}

TEST("what was sent and is not named at the next hello is started again while it is young")
{
    char folder[] = "/tmp/test_clusterXXXXXX";
    CHECK(mkdtemp(folder) != NULL);
    auto_free char *store = mem_printf("sqlite:%s/reeve.db", folder);
    CHECK_OK(begin(store));
    int64_t node = find_node();
    ask(an_image_job());
    settle();
    struct command *c = cluster_report(node, false);
    an_attempt(c, 1, 1, REPORT_SENT);
    ask(c);
    end();

    CHECK_OK(begin(store));
    CHECK_INT(attempt_state(1), ATTEMPT_SENT);
    CHECK_INT(ask(cluster_report(node, false))->error.code, ERR_CONFLICT); /* hello first */
    CHECK_INT(find_node(), node);
    settle();
    CHECK_INT(count_lines(cluster_lines, cluster_line_count, "\"start\""), 1);
    CHECK_INT(attempt_state(1), ATTEMPT_SENT);

    /* Named, it is what it is; begun and not named, it is over. */
    c = cluster_report(node, true);
    an_attempt(c, 1, 1, REPORT_STARTED);
    ask(c);
    CHECK_INT(state_of(1), JOB_RUNNING);
    ask(cluster_report(node, true));
    settle();
    const struct engine_view *v = engine_view_get(engine);
    CHECK_INT(fleet_job(&v->fleet, 1)->attempts, 2); /* lost, and tried again */
    engine_view_release(engine, v);
    CHECK_INT(replay().first_different, 0);
    end();
    CHECK_OK(file_remove_tree(folder, &test_err));
}

TEST("an agent on a cluster's node names its GPUs, opens the gate, and tells what was given")
{
    CHECK_OK(begin("memory:"));
    int64_t node = find_node();
    join_agent(node);
    const struct engine_view *v = engine_view_get(engine);
    CHECK_INT(fleet_device(&v->fleet, 1)->health, DEVICE_GONE);
    CHECK_TEXT(fleet_device(&v->fleet, 2)->uuid, "GPU-real");
    CHECK_TEXT(fleet_node(&v->fleet, node)->boot_id, "boot-k");
    engine_view_release(engine, v);
    ask(cluster_report(node, true)); /* its counted ones stay away */
    v = engine_view_get(engine);
    CHECK_INT(fleet_device(&v->fleet, 1)->health, DEVICE_GONE);
    engine_view_release(engine, v);

    ask(an_image_job());
    settle();
    CHECK_INT(cluster_line_count, 0);
    CHECK_INT(count_lines(lines, line_count, "\"type\":\"check\""), 1);
    CHECK_INT(count_lines(lines, line_count, "GPU-real"), 1);

    /* Not free: the job waits, and nothing was started. */
    struct command *c = a_report(node, "agent-boot", false);
    snprintf(an_attempt(c, 1, 1, REPORT_REFUSED)->why, EVENT_TEXT, "device is not free");
    c->report->device_count = 1;
    c->report->devices = mem_new(struct device_report);
    snprintf(a_device(c, "GPU-real")->model, FLEET_NAME, "RTX 3080");
    c->report->devices->memory_mib = 10240;
    c->report->devices->free_mib = 100;
    c->report->devices->busy = c->report->devices->foreign = 1;
    CHECK_INT(ask(c)->error.code, 0);
    settle();
    CHECK_INT(state_of(1), JOB_QUEUED);
    CHECK_INT(cluster_line_count, 0);

    c = a_report(node, "agent-boot", true);
    a_device(c, "GPU-real");
    ask(c);
    settle();
    CHECK_INT(count_lines(lines, line_count, "\"type\":\"check\""), 2);
    c = a_report(node, "agent-boot", false);
    an_attempt(c, 1, 2, REPORT_CLEAR);
    ask(c);
    settle();
    CHECK_INT(cluster_line_count, 1);
    CHECK(strstr(cluster_lines[0], "\"start\"") && strstr(cluster_lines[0], "\"n\":2"));

    c = cluster_report(node, false);
    an_attempt(c, 1, 2, REPORT_STARTED);
    ask(c);
    settle();
    CHECK_INT(count_lines(lines, line_count, "\"type\":\"meter\""), 1);
    c = a_report(node, "agent-boot", false);
    struct attempt_report *a = an_attempt(c, 1, 2, REPORT_BOUND);
    a->devices = mem_alloc(1, sizeof *a->devices);
    a->device_count = 1;
    snprintf(a->devices[0], sizeof *a->devices, "GPU-real");
    c->report->meters = mem_new(struct meter_report);
    c->report->meter_count = 1;
    *c->report->meters = (struct meter_report){1, 2, 3600000, true};
    ask(c);
    v = engine_view_get(engine);
    const struct attempt *open = fleet_job_attempt(&v->fleet, fleet_job(&v->fleet, 1));
    CHECK(fleet_part_at(&v->fleet, open->first_part)->bound_ms > 0);
    engine_view_release(engine, v);

    /* Nobody measured the end: the last figure counts, and costs. */
    c = cluster_report(node, false);
    an_attempt(c, 1, 2, REPORT_ENDED)->outcome = OUTCOME_COMPLETED;
    ask(c);
    CHECK_INT(count_lines(lines, line_count, "\"forget\""), 1);
    v = engine_view_get(engine);
    CHECK_INT(fleet_device(&v->fleet, 2)->energy_mj, 3600000);
    engine_view_release(engine, v);
    CHECK_INT(replay().first_different, 0);
    end();
}

TEST("an agent that sees no GPU takes none away from what its cluster counts")
{
    CHECK_OK(begin("memory:"));
    int64_t node = find_node();
    join_agent(node);
    struct command *c = a_report(node, "agent-boot", true);
    c->report->device_count = 0;
    ask(c);
    ask(cluster_report(node, true));
    const struct engine_view *v = engine_view_get(engine);
    CHECK_INT(fleet_device(&v->fleet, 1)->health, DEVICE_OK);
    CHECK_INT(fleet_device(&v->fleet, 2)->health, DEVICE_GONE);
    engine_view_release(engine, v);
    CHECK_INT(replay().first_different, 0);
    end();
}

TEST("a machine becomes a cluster's node, but not while it runs jobs")
{
    CHECK_OK(begin("memory:"));
    int64_t node = join_node("k");
    ask(a_submission(1, 1));
    settle();
    CHECK_INT(state_of(1), JOB_SCHEDULED);
    CHECK_INT(ask(found("k", "kube"))->error.code, ERR_CONFLICT);
    struct command *c = a_report(node, "boot-1", false);
    an_attempt(c, 1, 1, REPORT_ENDED)->outcome = OUTCOME_COMPLETED;
    ask(c);
    CHECK_INT(ask(found("k", "kube"))->ret_id, node);
    CHECK_INT(ask(a_report(node, "boot-1", false))->error.code,
              ERR_CONFLICT); /* hello, as what it is now */
    CHECK_INT(ask(cluster_report(node, true))->error.code, 0);
    /* A job without an image is for machines, and there is none any more. */
    ask(a_submission(1, 1));
    settle();
    CHECK_INT(state_of(2), JOB_QUEUED);
    CHECK_INT(replay().first_different, 0);
    end();
}

TEST("where a cluster has an image for them, jobs that name none may go there")
{
    clusters_have_image = true;
    CHECK_OK(begin("memory:"));
    clusters_have_image = false;
    engine_set_pod_namespace(engine, "jobs");
    int64_t node = find_node();
    ask(a_submission(1, 1));
    settle();
    CHECK_INT(state_of(1), JOB_SCHEDULED);

    /* A pod of that name elsewhere is somebody else's. */
    struct command *c = cluster_report(node, false);
    an_attempt(c, 1, 1, REPORT_STARTED);
    ask(c);
    join_agent(node);
    for (int i = 0; i < 2; i++) {
        c = a_report(node, "agent-boot", false);
        struct attempt_report *a = an_attempt(c, 1, 1, REPORT_BOUND);
        snprintf(a->pod_namespace, sizeof a->pod_namespace, i ? "jobs" : "mallory");
        a->devices = mem_alloc(1, sizeof *a->devices);
        a->device_count = 1;
        snprintf(a->devices[0], sizeof *a->devices, "GPU-real");
        CHECK_INT(ask(c)->error.code, 0);
        const struct engine_view *v = engine_view_get(engine);
        const struct attempt *open = fleet_job_attempt(&v->fleet, fleet_job(&v->fleet, 1));
        CHECK_INT(fleet_part_at(&v->fleet, open->first_part)->device, i ? 2 : 1);
        engine_view_release(engine, v);
    }
    CHECK_INT(replay().first_different, 0);
    end();
}

TEST("labels, taints and shares are written down when they change, and only then")
{
    CHECK_OK(begin("memory:"));
    int64_t node = find_node();
    struct replay_result r[4];
    for (int i = 0; i < 4; i++) {
        struct command *c = cluster_report(node, false);
        c->report->has_share = true;
        c->report->share_cpu_milli = 8000;
        c->report->share_memory_mib = 32768;
        c->report->foreign_gpus = i == 2;
        c->report->has_labels = true;
        c->report->label_count = 100;
        c->report->labels = mem_new_array(char *, 100);
        for (int k = 0; k < 100; k++) /* in another order each time */
            c->report->labels[k] = mem_printf("label-%d=x", i % 2 ? k : 99 - k);
        c->report->taint_count = 2;
        c->report->taints = mem_new_array(char *, 2);
        c->report->taints[0] = mem_strdup("a=b:NoSchedule");
        c->report->taints[1] = mem_strdup("soft:PreferNoSchedule");
        CHECK_INT(ask(c)->error.code, 0);
        r[i] = replay();
    }
    CHECK_INT(r[1].rows, r[0].rows);
    CHECK_INT(r[2].rows, r[0].rows + 1); /* the share */
    const struct engine_view *v = engine_view_get(engine);
    const struct node *n = fleet_node(&v->fleet, node);
    CHECK(node_has_label(&v->fleet, n, where_hash("label-77=x", 10)));
    CHECK(!node_has_label(&v->fleet, n, where_hash("label-100=x", 11)));
    const struct node_taint *t = node_repels(&v->fleet, n, NULL, 1);
    CHECK(t != NULL);
    CHECK_TEXT(t->text, "a=b:NoSchedule");
    CHECK(fleet_taint(&v->fleet, t->next) == NULL);
    engine_view_release(engine, v);
    end();
}
