#include "base/mem.h"
#include "fake_api.h"
#include "kube/event.h"
#include "kube/job.h"
#include "kube/lease.h"
#include "kube/object.h"
#include "kube/pod.h"

/* Answers with what it was asked: "METHOD target type body". */
static void echoes(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    char type[128] = "";
    auto_text struct text t = {0};
    (void)arg;
    fake_header(r, "Content-Type", type, sizeof type);
    text_addf(&t, "%s %s %s %s", r->method, r->target, type, text_get(&r->body));
    fake_reply(c, 200, NULL, text_get(&t));
}

struct test {
    struct fake_api f;
    struct side s;
    struct result r;
};

static void test_open(struct test *t)
{
    *t = (struct test){.f = {.answer = echoes}};
    fake_open(&t->f);
    side_open(&t->s, &t->f);
}

static void test_close(struct test *t)
{
    side_close(&t->s);
    fake_close(&t->f);
}

static const char *answer(struct test *t, struct kube_call *call)
{
    (void)call;
    t->r.done = 0;
    side_until(&t->s, &t->r.done, 1);
    return t->r.body;
}

TEST("objects are asked for, made, changed and removed at their addresses")
{
    AUTO(test_close) struct test t;
    test_open(&t);
    struct kube_client *c = t.s.client;
    struct kube_object pod = {&kube_pods, "work", "p1", NULL};
    struct kube_object workflow = {&kube_workflows, "work", "w", NULL};
    struct kube_object status = {&kube_jobs, "work", "j", "status"};
    struct kube_object node = {&kube_nodes, "ignored", "n", NULL};
    CHECK_TEXT(answer(&t, kube_get(c, &pod, result_note, &t.r)),
               "GET /api/v1/namespaces/work/pods/p1  ");
    CHECK_TEXT(answer(&t, kube_get(c, &node, result_note, &t.r)), "GET /api/v1/nodes/n  ");
    CHECK_TEXT(answer(&t, kube_create(c, &workflow, "{}", 2, result_note, &t.r)),
               "POST /apis/argoproj.io/v1alpha1/namespaces/work/workflows application/json {}");
    CHECK_TEXT(answer(&t, kube_replace(c, &pod, "{}", 2, result_note, &t.r)),
               "PUT /api/v1/namespaces/work/pods/p1 application/json {}");
    CHECK_TEXT(
        answer(&t, kube_patch(c, &status, "{}", 2, result_note, &t.r)),
        "PATCH /apis/batch/v1/namespaces/work/jobs/j/status application/merge-patch+json {}");
    CHECK_TEXT(answer(&t, kube_apply(c, &pod, "reeve", true, "{}", 2, result_note, &t.r)),
               "PATCH /api/v1/namespaces/work/pods/p1?fieldManager=reeve&force=true "
               "application/apply-patch+yaml {}");
    CHECK_TEXT(
        answer(&t, kube_delete(c, &pod, &(struct kube_delete){.uid = "u", .grace_seconds = -1},
                               result_note, &t.r)),
        "DELETE /api/v1/namespaces/work/pods/p1 application/json {\"apiVersion\":\"v1\","
        "\"kind\":\"DeleteOptions\",\"propagationPolicy\":\"Background\",\"preconditions\":{"
        "\"uid\":\"u\"}}");
    CHECK_TEXT(answer(&t, kube_delete(c, &pod,
                                      &(struct kube_delete){.grace_seconds = 5, .foreground = true},
                                      result_note, &t.r)),
               "DELETE /api/v1/namespaces/work/pods/p1 application/json {\"apiVersion\":\"v1\","
               "\"kind\":\"DeleteOptions\",\"propagationPolicy\":\"Foreground\","
               "\"gracePeriodSeconds\":5}");
    CHECK_TEXT(answer(&t, kube_bind(c, "work", "p1", "u", "n1", result_note, &t.r)),
               "POST /api/v1/namespaces/work/pods/p1/binding application/json {\"apiVersion\":"
               "\"v1\",\"kind\":\"Binding\",\"metadata\":{\"name\":\"p1\",\"namespace\":\"work\","
               "\"uid\":\"u\"},\"target\":{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"name\":"
               "\"n1\"}}");
    CHECK_TEXT(answer(&t, kube_get_path(c, "/version", result_note, &t.r)), "GET /version  ");
}

TEST("a lease is made, then replaced as it was read")
{
    AUTO(test_close) struct test t;
    test_open(&t);
    struct kube_lease_spec l = {.ns = "reeve",
                                .name = "leader",
                                .holder = "a",
                                .seconds = 15,
                                .transitions = 1,
                                .acquired_ms = 0,
                                .renewed_ms = 1250};
    CHECK_TEXT(answer(&t, kube_lease_put(t.s.client, &l, result_note, &t.r)),
               "POST /apis/coordination.k8s.io/v1/namespaces/reeve/leases application/json "
               "{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"metadata\":{"
               "\"name\":\"leader\",\"namespace\":\"reeve\"},\"spec\":{\"holderIdentity\":\"a\","
               "\"leaseDurationSeconds\":15,\"leaseTransitions\":1,\"acquireTime\":"
               "\"1970-01-01T00:00:00.000000Z\",\"renewTime\":\"1970-01-01T00:00:01.250000Z\"}}");
    l.version = "77";
    CHECK(text_starts_with(answer(&t, kube_lease_put(t.s.client, &l, result_note, &t.r)),
                           "PUT /apis/coordination.k8s.io/v1/namespaces/reeve/leases/leader "));
    CHECK(strstr(t.r.body, "\"resourceVersion\":\"77\""));
    CHECK(text_starts_with(
        answer(&t, kube_lease_get(t.s.client, "reeve", "leader", result_note, &t.r)),
        "GET /apis/coordination.k8s.io/v1/namespaces/reeve/leases/leader"));
}

TEST("an event says what, about what, and never too much")
{
    AUTO(test_close) struct test t;
    char note[1200];
    memset(note, 'x', sizeof note);
    memcpy(note + 1023, "\xc3\xa9", 3);
    test_open(&t);
    struct kube_event ev = {.ns = "work",
                            .api_version = "v1",
                            .kind = "Pod",
                            .name = "p",
                            .uid = "u",
                            .reason = "Started",
                            .action = "Start",
                            .note = note,
                            .controller = "reeve.gpu/operator",
                            .instance = "r-1",
                            .is_warning = true};
    kube_event_send(t.s.client, &ev, result_note, &t.r);
    const char *said = answer(&t, NULL);
    CHECK(text_starts_with(said, "POST /apis/events.k8s.io/v1/namespaces/work/events "
                                 "application/json {\"apiVersion\":\"events.k8s.io/v1\""));
    CHECK(strstr(said, "\"type\":\"Warning\"") && strstr(said, "\"name\":\"p.") &&
          strstr(said, "x\",\"regarding\":{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"namespace\":"
                       "\"work\",\"name\":\"p\",\"uid\":\"u\"}}"));
    ev.ns = NULL;
    ev.kind = "Node";
    kube_event_send(t.s.client, &ev, NULL, NULL);
    kube_event_send(t.s.client, &ev, result_note, &t.r);
    said = answer(&t, NULL);
    CHECK(strstr(said, "/namespaces/default/events") && strstr(said, "\"kind\":\"Node\",\"name\""));
}
