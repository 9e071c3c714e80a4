#include "../net/certs.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "fake_api.h"

/* ---- what is tried again ---- */

static void fails_first(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    const char *how = arg;
    if (r->number > 2)
        fake_reply(c, 200, "Warning: 299 - \"old\"\r\n", "{\"ok\":true}");
    else if (strcmp(how, "429") == 0)
        fake_status(c, 429, "TooManyRequests", "slow down");
    else if (strcmp(how, "503 later") == 0)
        fake_reply(c, 503, "Retry-After: 1\r\n", "{}");
    else if (strcmp(how, "500") == 0)
        fake_status(c, 500, "InternalError", "oops");
    else if (strcmp(how, "cut body") == 0) {
        fake_begin(c);
        fake_chunk(c, "{\"ok\"");
        fake_cut(c);
    } else
        fake_cut(c);
}

static struct result ask_failing(const char *how, const struct kube_request *r, int *ret_asked)
{
    auto_fake struct fake_api f = {.answer = fails_first, .arg = (void *)how};
    auto_side struct side s;
    fake_open(&f);
    side_open(&s, &f);
    struct result got = side_ask(&s, r);
    *ret_asked = fake_count(&f, r->target);
    return got;
}

static const struct kube_request get = {.target = "/api/v1/nodes/n"};
static const struct kube_request make = {HTTP_POST, .target = "/x", .body = "{}", .len = 2};
static const struct kube_request apply = {HTTP_PATCH, .target = "/x", .body = "{}", .len = 2,
                                          .repeatable = true};

TEST("what can be repeated is tried again after cuts and server errors")
{
    static const char *const hows[] = {"429", "500", "cut", "cut body"};
    int asked;
    for (size_t i = 0; i < COUNT_OF(hows); i++) {
        struct result r = ask_failing(hows[i], &get, &asked);
        CHECK_INT(r.err.code, ERR_NONE);
        CHECK_TEXT(r.body, "{\"ok\":true}");
        CHECK_TEXT(r.warning, "299 - \"old\"");
        CHECK_INT(asked, 3);
        r = ask_failing(hows[i], &apply, &asked);
        CHECK_INT(r.status, 200);
        CHECK_INT(asked, 3);
    }
}

TEST("what may have been done is not done again, and is said to be uncertain")
{
    int asked;
    struct result r = ask_failing("cut", &make, &asked);
    CHECK_INT(asked, 1);
    CHECK(r.uncertain && r.status == 0 && r.err.code == ERR_UNAVAILABLE);
    r = ask_failing("500", &make, &asked);
    CHECK_INT(asked, 1);
    CHECK(r.uncertain);
    CHECK_TEXT(r.err.text, "oops");
    r = ask_failing("cut body", &make, &asked);
    CHECK_INT(asked, 1);
    CHECK(r.uncertain && r.status == 200);
    r = ask_failing("429", &make, &asked); /* this was not begun */
    CHECK_INT(asked, 3);
    CHECK(!r.uncertain && r.status == 200);
}

TEST("a server that says when is asked again then, not before")
{
    int asked;
    int64_t begin_ms = clock_mono_ms();
    struct result r = ask_failing("503 later", &make, &asked);
    CHECK_INT(r.status, 200);
    CHECK_INT(asked, 3);
    CHECK(clock_mono_ms() - begin_ms >= 2000);
    struct kube_request short_of_time = make;
    short_of_time.deadline_ms = 100; /* would be over before the server says */
    r = ask_failing("503 later", &short_of_time, &asked);
    CHECK_INT(asked, 1);
    CHECK_INT(r.why.retry_after_seconds, 1);
    struct kube_request once = make;
    once.only_once = true;
    r = ask_failing("429", &once, &asked);
    CHECK_INT(asked, 1);
    CHECK_INT(r.err.code, ERR_EXHAUSTED);
}

static void refuses(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    (void)arg;
    if (fake_is(r, "GET", "/gone"))
        fake_status(c, 404, "NotFound", "pods x not found");
    else if (fake_is(r, "POST", "/taken"))
        fake_status(c, 409, "AlreadyExists", "there is one");
    else
        fake_reply(c, 403, NULL, "<html>who are you</html>");
}

TEST("a refusal is final, and an error with its reason")
{
    auto_fake struct fake_api f = {.answer = refuses};
    auto_side struct side s;
    fake_open(&f);
    side_open(&s, &f);
    struct result r = side_ask(&s, &(struct kube_request){.target = "/gone"});
    CHECK_INT(r.err.code, ERR_NOT_FOUND);
    CHECK_TEXT(r.err.text, "pods x not found");
    CHECK_TEXT(r.why.reason, "NotFound");
    r = side_ask(&s, &(struct kube_request){HTTP_POST, .target = "/taken", .body = "", .len = 0});
    CHECK_INT(r.err.code, ERR_CONFLICT);
    CHECK(!r.uncertain);
    r = side_ask(&s, &(struct kube_request){.target = "/other"});
    CHECK_INT(r.err.code, ERR_DENIED);
    CHECK_INT(fake_count(&f, "/"), 3);
}

static void on_never(void *arg, const struct kube_answer *a)
{
    (void)arg;
    (void)a;
    ck_abort_msg("called");
}

static void says_nothing(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    (void)r;
    (void)arg;
    fake_wait(c);
}

TEST("a server that is silent, or away, is given up in time, and calls can be cancelled")
{
    auto_fake struct fake_api f = {.answer = says_nothing};
    auto_side struct side s;
    fake_open(&f);
    side_open(&s, &f);
    struct kube_call *call = kube_send(s.client, &get, on_never, NULL);
    kube_cancel(kube_send(s.client, &get, on_never, NULL));
    struct result r = side_ask(
        &s, &(struct kube_request){.target = "/slow", .timeout_ms = 50, .deadline_ms = 120});
    CHECK_INT(r.err.code, ERR_TIMEOUT);
    CHECK(fake_count(&f, "/slow") >= 2);
    kube_cancel(call);
    kube_send(s.client, &get, on_never, NULL); /* goes with the client */
}

/* ---- how many at once ---- */

static void counts(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    static int now, most;
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    (void)r;
    pthread_mutex_lock(&lock);
    if (++now > most)
        *(int *)arg = most = now;
    pthread_mutex_unlock(&lock);
    usleep(2000);
    pthread_mutex_lock(&lock);
    now--;
    pthread_mutex_unlock(&lock);
    fake_reply(c, 200, NULL, "{}");
}

static void on_counted(void *arg, const struct kube_answer *a)
{
    CHECK_INT(a->http_status, 200);
    *(int *)arg += 1;
}

TEST("no more than so many are under way, and no more than so many a second are sent")
{
    int most = 0, done = 0;
    auto_fake struct fake_api f = {.answer = counts, .arg = &most};
    auto_side struct side s;
    struct kube_config *config = NULL;
    fake_open(&f);
    auto_free char *text = mem_printf("{\"current-context\":\"c\",\"contexts\":[{\"name\":\"c\","
                                      "\"context\":{\"cluster\":\"k\"}}],\"clusters\":[{\"name\":"
                                      "\"k\",\"cluster\":{\"server\":\"%s\"}}]}",
                                      f.url);
    CHECK_OK(kube_config_parse(text, strlen(text), "/", &(struct kube_config_options){0}, &config,
                               &test_err));
    uv_loop_init(&s.loop);
    s.client = kube_client_new(
        &s.loop, config, &(struct kube_client_options){.most = 4, .per_second = 200, .burst = 20});
    int64_t begin_ms = clock_mono_ms();
    for (int i = 0; i < 60; i++)
        kube_send(s.client, &get, on_counted, &done);
    side_until(&s, &done, 60);
    CHECK(most <= 4 && most > 1);
    CHECK(clock_mono_ms() - begin_ms >= 190); /* 40 of them had to be earned */
}

/* ---- who we are ---- */

static void wants_token(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    char got[256];
    const char *want = arg;
    if (!fake_header(r, "Authorization", got, sizeof got) || strcmp(got, want) != 0)
        fake_status(c, 401, "Unauthorized", "Unauthorized");
    else
        fake_reply(c, 200, NULL, "{}");
}

TEST("a token that was replaced in its file is found at the first refusal")
{
    char path[] = "/tmp/test-token-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0 && write(fd, "old\n", 4) == 4);
    close(fd);
    auto_fake struct fake_api f = {.answer = wants_token, .arg = (void *)"Bearer new"};
    auto_side struct side s;
    auto_free char *user = mem_printf("tokenFile: '%s', token: unused", path);
    fake_open(&f);
    side_open_as(&s, &f, user, NULL);
    struct result r = side_ask(&s, &get);
    CHECK_INT(r.status, 401); /* one more look, one more try, no more */
    CHECK_INT(r.err.code, ERR_UNAUTHENTICATED);
    CHECK_INT(fake_count(&f, "/nodes"), 2);
    CHECK_OK(file_replace(path, "  new \n", 7, 0600, &test_err));
    r = side_ask(&s, &make);
    CHECK_INT(r.status, 200);
    CHECK_OK(file_replace(path, "\n", 1, 0600, &test_err)); /* the last good one is kept */
    CHECK_INT(side_ask(&s, &get).status, 200);
    unlink(path);
}

static void shows_head(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    (void)arg;
    auto_text struct text t = {0};
    text_add(&t, r->head);
    fake_reply(c, 200, NULL, text_get(&t));
}

TEST("each request says who we are, whom we act as, and what we take")
{
    auto_fake struct fake_api f = {.answer = shows_head};
    auto_side struct side s;
    fake_open(&f);
    side_open_as(&s, &f, "token: abc, as: boss, as-groups: [g1, g2]", NULL);
    struct result r = side_ask(&s, &make);
    CHECK(strstr(r.body, "Authorization: Bearer abc\r\n"));
    CHECK(strstr(r.body, "Impersonate-User: boss\r\n"));
    CHECK(strstr(r.body, "Impersonate-Group: g1\r\nImpersonate-Group: g2\r\n"));
    CHECK(strstr(r.body, "Accept: application/json\r\n"));
    CHECK(strstr(r.body, "Content-Type: application/json\r\n"));
    CHECK(strstr(r.body, "User-Agent: reeve/"));
    CHECK_TEXT(kube_client_namespace(s.client), "work");
}

TEST("without a token that can be read nothing is sent")
{
    auto_fake struct fake_api f = {.answer = says_nothing};
    auto_side struct side s;
    fake_open(&f);
    side_open_as(&s, &f, "tokenFile: /nonexistent/token", NULL);
    struct result r = side_ask(&s, &get);
    CHECK_INT(r.status, 0);
    CHECK(strstr(r.err.text, "/nonexistent/token"));
    CHECK_INT(fake_count(&f, "/"), 0);
}

/* ---- TLS ---- */

static void answers(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    (void)r;
    (void)arg;
    fake_reply(c, 200, NULL, "{}");
}

TEST("with certificates on both sides, each is checked")
{
    auto_certs struct certs certs = {0};
    certs_make(&certs);
    auto_fake struct fake_api f = {
        .answer = answers, .cert = certs.certificate, .key = certs.key, .client_ca = certs.ca};
    fake_open(&f);
    auto_free char *ca = mem_printf("certificate-authority: '%s'", certs.ca);
    auto_free char *us =
        mem_printf("client-certificate: '%s', client-key: '%s'", certs.certificate, certs.key);
    {
        auto_side struct side s;
        side_open_as(&s, &f, us, ca);
        CHECK_INT(side_ask(&s, &get).status, 200);
        CHECK_INT(side_ask(&s, &get).status, 200);
        CHECK_INT(f.accepted, 1);
    }
    {
        auto_side struct side s;
        side_open_as(&s, &f, NULL, ca); /* it wants to know who we are */
        struct kube_request soon = get;
        soon.deadline_ms = 300;
        CHECK_INT(side_ask(&s, &soon).status, 0);
    }
    {
        auto_side struct side s;
        side_open_as(&s, &f, us, NULL); /* we do not know who it is */
        struct result r = side_ask(&s, &get);
        CHECK_INT(r.err.code, ERR_DENIED);
        CHECK(strstr(r.err.text, "certificate"));
    }
}

TEST("the server's certificate must have the name that the kubeconfig says")
{
    auto_certs struct certs certs = {0};
    certs_make(&certs); /* for localhost and 127.0.0.1 */
    auto_fake struct fake_api f = {
        .answer = shows_head, .cert = certs.certificate, .key = certs.key};
    fake_open(&f);
    auto_free char *good =
        mem_printf("certificate-authority: '%s', tls-server-name: localhost", certs.ca);
    auto_free char *bad =
        mem_printf("certificate-authority: '%s', tls-server-name: other.example", certs.ca);
    {
        auto_side struct side s;
        side_open_as(&s, &f, NULL, good);
        struct result r = side_ask(&s, &get);
        CHECK_INT(r.status, 200);
        CHECK(strstr(r.body, "GET /api/v1/nodes/n HTTP/1.1"));
    }
    {
        auto_side struct side s;
        side_open_as(&s, &f, NULL, bad);
        CHECK_INT(side_ask(&s, &get).err.code, ERR_DENIED);
    }
}

TEST("certificates that are no PEM are an error, not a question at the terminal")
{
    auto_certs struct certs certs = {0};
    certs_make(&certs);
    auto_fake struct fake_api f = {.answer = answers, .cert = certs.certificate, .key = certs.key};
    auto_side struct side s;
    fake_open(&f);
    auto_free char *ca = mem_printf("certificate-authority: '%s'", certs.ca);
    side_open_as(&s, &f, "client-certificate-data: eA==, client-key-data: eA==", ca);
    struct kube_request soon = get;
    soon.deadline_ms = 300;
    struct result r = side_ask(&s, &soon);
    CHECK_INT(r.status, 0);
    CHECK(r.err.code != ERR_NONE);
}
