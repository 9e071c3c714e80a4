#include "base/mem.h"
#include "cluster/token_review.h"
#include "fake_api.h"

/* What the API server says of a token, and of the pod that it names. */
struct world {
    const char *review, *pod;
    int status;
};

static void answers(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    const struct world *w = arg;
    if (fake_is(r, "POST", "/tokenreviews"))
        fake_reply(c, w->status ? w->status : 201, NULL, w->review);
    else if (w->pod)
        fake_reply(c, 200, NULL, w->pod);
    else
        fake_status(c, 404, "NotFound", "pods \"agent-x\" not found");
}

struct word {
    int done;
    char node[300];
    struct err why;
};

static void take_word(void *arg, const char *node, const struct err *why)
{
    struct word *w = arg;
    w->done++;
    snprintf(w->node, sizeof w->node, "%s", node ? node : "");
    CHECK(!node == !!why);
    if (why)
        w->why = *why;
}

/* Asks about a token in the world W. */
static struct word ask(struct world *w)
{
    struct fake_api f = {.answer = answers, .arg = w};
    struct side s;
    struct word word = {0};
    fake_open(&f);
    side_open(&s, &f);
    struct token_reviewer *r = token_reviewer_new(s.client, "reeve", "reeve/reeve-agent");
    token_review(r, "a.b.c", take_word, &word);
    side_until(&s, &word.done, 1);
    token_reviewer_free(r);
    side_close(&s);
    fake_close(&f);
    CHECK_INT(word.done, 1);
    return word;
}

#define REVIEW(user, audience, extra)                                                              \
    "{\"kind\":\"TokenReview\",\"status\":{\"authenticated\":true,\"audiences\":[" audience        \
    "],\"user\":{\"username\":\"" user "\",\"groups\":[\"g\"],\"extra\":{" extra "}}}}"
#define AGENT "system:serviceaccount:reeve:reeve-agent"
#define NODE  "\"authentication.kubernetes.io/node-name\":[\"gpu-1\"]"
#define POD                                                                                        \
    "\"authentication.kubernetes.io/pod-name\":[\"agent-x\"],"                                     \
    "\"authentication.kubernetes.io/pod-uid\":[\"u-1\"]"

TEST("a good token of the agents' account says on which node its pod runs")
{
    struct word w = ask(&(struct world){.review = REVIEW(AGENT, "\"reeve\"", NODE "," POD)});
    CHECK_TEXT(w.node, "gpu-1");
}

TEST("where the token does not name the node, its pod is asked for")
{
    struct world w = {.review = REVIEW(AGENT, "\"reeve\"", POD),
                      .pod = "{\"metadata\":{\"name\":\"agent-x\",\"uid\":\"u-1\"},"
                             "\"spec\":{\"nodeName\":\"gpu-2\"}}"};
    CHECK_TEXT(ask(&w).node, "gpu-2");
    w.pod =
        "{\"metadata\":{\"name\":\"agent-x\",\"uid\":\"u-2\"},\"spec\":{\"nodeName\":\"gpu-3\"}}";
    CHECK_INT(ask(&w).why.code, ERR_UNAUTHENTICATED); /* another one of the same name */
    w.pod = NULL;
    CHECK_INT(ask(&w).why.code, ERR_UNAUTHENTICATED);
    w.review = REVIEW(AGENT, "\"reeve\"", "\"x\":[\"y\"]");
    CHECK_INT(ask(&w).why.code, ERR_DENIED); /* it was not projected into a pod */
    w.review = REVIEW(AGENT, "\"reeve\"",
                      "\"authentication.kubernetes.io/pod-name\":[\"../secrets\"],"
                      "\"authentication.kubernetes.io/pod-uid\":[\"u-1\"]");
    CHECK_INT(ask(&w).why.code, ERR_DENIED);
}

TEST("tokens of other users, for other audiences, or void ones are refused with the reason")
{
    struct word w = ask(&(struct world){
        .review = REVIEW("system:serviceaccount:reeve:default", "\"reeve\"", NODE)});
    CHECK_INT(w.why.code, ERR_DENIED);
    CHECK(strstr(w.why.text, "not of '" AGENT "'"));
    w = ask(&(struct world){.review = REVIEW(AGENT, "\"https://api\"", NODE)});
    CHECK_INT(w.why.code, ERR_DENIED);
    w = ask(&(struct world){.review = REVIEW(AGENT, "", NODE)});
    CHECK_INT(w.why.code, ERR_DENIED);
    w = ask(
        &(struct world){.review = "{\"status\":{\"user\":{},\"error\":\"token has expired\"}}"});
    CHECK_INT(w.why.code, ERR_UNAUTHENTICATED);
    CHECK(strstr(w.why.text, "token has expired"));
}

TEST("nobody is let in when the API server gives no sense, or no permission to ask")
{
    CHECK_INT(ask(&(struct world){.review = "no JSON"}).why.code, ERR_UNAVAILABLE);
    CHECK_INT(ask(&(struct world){.review = "{}"}).why.code, ERR_UNAUTHENTICATED);
    struct word w = ask(&(struct world){
        .status = 403,
        .review =
            "{\"kind\":\"Status\",\"status\":\"Failure\",\"reason\":\"Forbidden\",\"code\":403,"
            "\"message\":\"tokenreviews is forbidden\"}"});
    CHECK_INT(w.why.code, ERR_UNAVAILABLE);
    CHECK(strstr(w.why.text, "tokenreviews is forbidden"));
}

static void silent(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    (void)r;
    (void)arg;
    fake_wait(c);
}

TEST("questions that are open at the end are answered, and too many are refused")
{
    struct fake_api f = {.answer = silent};
    struct side s;
    struct word asked[65] = {0};
    fake_open(&f);
    side_open(&s, &f);
    struct token_reviewer *r = token_reviewer_new(s.client, "reeve", "reeve/reeve-agent");
    for (int i = 0; i < 65; i++)
        token_review(r, "a.b.c", take_word, &asked[i]);
    CHECK_INT(asked[64].why.code, ERR_EXHAUSTED);
    token_reviewer_free(r);
    for (int i = 0; i < 64; i++) {
        CHECK_INT(asked[i].done, 1);
        CHECK_INT(asked[i].why.code, ERR_UNAVAILABLE);
    }
    side_close(&s);
    fake_close(&f);
}
