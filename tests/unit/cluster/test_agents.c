#include "base/mem.h"
#include "cluster/agents.h"
#include "fake_api.h"

struct scene {
    struct fake_api f;
    struct side s;
    struct mailbox *box;
    struct cluster_agents *agents;
    int refusals; /* of the ConfigMap, before it is taken */
};

static void answers(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    const struct scene *t = arg;
    if (fake_is(r, "POST", "/tokenreviews"))
        fake_reply(c, 201, NULL,
                   "{\"status\":{\"authenticated\":true,\"audiences\":[\"reeve\"],\"user\":{"
                   "\"username\":\"system:serviceaccount:reeve:reeve-agent\",\"extra\":{"
                   "\"authentication.kubernetes.io/node-name\":[\"gpu-1\"]}}}}");
    else if (r->number <= t->refusals)
        fake_status(c, 403, "Forbidden", "configmaps is forbidden");
    else
        fake_reply(c, 200, NULL, "{\"metadata\":{\"name\":\"reeve-ca\"}}");
}

static void scene_open(struct scene *t, const struct cluster_agents_config *config)
{
    t->f = (struct fake_api){.answer = answers, .arg = t};
    fake_open(&t->f);
    side_open(&t->s, &t->f);
    t->box = mailbox_new(&t->s.loop, 4);
    CHECK_OK(cluster_agents_start(t->s.client, t->box, config, &t->agents, &test_err));
}

static void scene_close(struct scene *t)
{
    cluster_agents_stop(t->agents);
    mailbox_close(t->box);
    side_close(&t->s);
    mailbox_free(t->box);
    cluster_agents_free(t->agents);
    fake_close(&t->f);
}

struct word {
    int done;
    char node[64];
    struct err why;
};

static void take_word(void *own, const char *node, const struct err *why)
{
    struct word *w = own;
    snprintf(w->node, sizeof w->node, "%s", node ? node : "");
    if (why)
        w->why = *why;
    w->done++;
}

TEST("whoever asks over the mailbox hears on which node an agent is")
{
    struct scene t = {0};
    struct word w = {0};
    scene_open(&t, &(struct cluster_agents_config){.account = "reeve/reeve-agent"});
    CHECK(cluster_agents_vouch(t.agents, "a.b.c", take_word, &w));
    side_until(&t.s, &w.done, 1);
    CHECK_TEXT(w.node, "gpu-1");

    w = (struct word){0};
    cluster_agents_stop(t.agents); /* and when it comes too late, too */
    CHECK(cluster_agents_vouch(t.agents, "a.b.c", take_word, &w));
    side_until(&t.s, &w.done, 1);
    CHECK_INT(w.why.code, ERR_UNAVAILABLE);
    scene_close(&t);
}

TEST("without an account nobody's token is taken")
{
    struct scene t = {0};
    struct word w = {0};
    scene_open(&t, &(struct cluster_agents_config){0});
    CHECK(cluster_agents_vouch(t.agents, "a.b.c", take_word, &w));
    side_until(&t.s, &w.done, 1);
    CHECK_INT(w.why.code, ERR_UNAUTHENTICATED);
    scene_close(&t);
}

static int given;

static void count_given(uv_timer_t *timer)
{
    struct scene *t = timer->data;
    given = fake_count(&t->f, "PATCH");
}

TEST("the certificate is put into its ConfigMap, again after failures and now and then")
{
    struct scene t = {.refusals = 2};
    uv_timer_t look;
    char line[256];
    given = 0;
    scene_open(&t, &(struct cluster_agents_config){
                       .ca = "reeve/reeve-ca", .ca_pem = "PEM\n", .again_ms = 20});
    uv_timer_init(&t.s.loop, &look);
    look.data = &t;
    uv_timer_start(&look, count_given, 5, 5);
    side_until(&t.s, &given, 4);
    CHECK_TEXT(fake_last(&t.f, "PATCH", line, sizeof line),
               "PATCH /api/v1/namespaces/reeve/configmaps/reeve-ca?fieldManager=reeve&force=true");
    uv_close((uv_handle_t *)&look, NULL);
    scene_close(&t);
}

TEST("names that are none are refused")
{
    struct scene t = {0};
    struct cluster_agents *none = NULL;
    scene_open(&t, &(struct cluster_agents_config){0});
    CHECK_FAILS(cluster_agents_start(t.s.client, t.box,
                                     &(struct cluster_agents_config){.account = "reeve"}, &none,
                                     &test_err),
                ERR_INVALID, "NAMESPACE/NAME");
    CHECK_FAILS(cluster_agents_start(t.s.client, t.box,
                                     &(struct cluster_agents_config){.ca = "a/../b"}, &none,
                                     &test_err),
                ERR_INVALID, "ConfigMap");
    scene_close(&t);
}
