#include "base/file.h"
#include "base/mem.h"
#include "fake_api.h"
#include "kube/exec_plugin.h"

#include <sys/stat.h>

#define CREDENTIAL                                                                                 \
    "{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":{"

static const char version[] = "client.authentication.k8s.io/v1";

static int parse(const char *json, struct kube_exec_answer *ret)
{
    return kube_exec_answer_parse(json, strlen(json), version, ret, &test_err);
}

TEST("what a plug-in prints is a token or a certificate with its key")
{
    struct kube_exec_answer a;
    CHECK_OK(
        parse(CREDENTIAL "\"token\":\"t\",\"expirationTimestamp\":\"2026-01-31T09:00:00Z\"}}", &a));
    CHECK_TEXT(a.token, "t");
    CHECK_INT(a.expires_ms, INT64_C(1769850000000));
    kube_exec_answer_done(&a);
    CHECK_OK(parse(CREDENTIAL "\"clientCertificateData\":\"c\",\"clientKeyData\":\"k\"}}", &a));
    CHECK_TEXT(a.key, "k");
    kube_exec_answer_done(&a);
    CHECK_FAILS(parse("token", &a), ERR_UNAUTHENTICATED, "no JSON");
    CHECK_FAILS(parse("{\"kind\":\"Pod\"}", &a), ERR_UNAUTHENTICATED, "no ExecCredential");
    CHECK_FAILS(parse(CREDENTIAL "}}", &a), ERR_UNAUTHENTICATED, "neither");
    CHECK_FAILS(parse(CREDENTIAL "\"clientCertificateData\":\"c\"}}", &a), ERR_UNAUTHENTICATED,
                "not both");
    CHECK_FAILS(parse(CREDENTIAL "\"token\":\"t\",\"expirationTimestamp\":\"soon\"}}", &a),
                ERR_UNAUTHENTICATED, "no time");
    CHECK_FAILS(parse("{\"kind\":\"ExecCredential\",\"apiVersion\":\"v9\",\"status\":{\"token\":"
                      "\"t\"}}",
                      &a),
                ERR_UNAUTHENTICATED, "another apiVersion");
}

/* ---- running one ---- */

struct seen {
    int done;
    char token[64];
    struct err err;
};

static void note(void *arg, struct kube_exec_answer *a, const struct err *why)
{
    struct seen *s = arg;
    s->done++;
    if (a)
        snprintf(s->token, sizeof s->token, "%s", a->token ? a->token : "");
    if (why)
        s->err = *why;
}

static struct seen run(const char *script, int64_t limit_ms, const char *hint)
{
    char *args[] = {(char *)"sh", (char *)"-c", (char *)script, NULL};
    char *env[] = {(char *)"GIVEN=yes", NULL};
    struct kube_exec x = {.command = (char *)(hint ? "no-such-program-here" : "sh"),
                          .args = args,
                          .env = env,
                          .info = (char *)"{\"info\":1}",
                          .api_version = (char *)version,
                          .install_hint = (char *)hint};
    struct side s = {0};
    struct seen seen = {0};
    uv_loop_init(&s.loop);
    kube_exec_start(&s.loop, &x, limit_ms, note, &seen);
    CHECK_INT(seen.done, 0);
    side_until(&s, &seen.done, 1);
    uv_run(&s.loop, UV_RUN_DEFAULT);
    CHECK_INT(uv_loop_close(&s.loop), 0);
    return seen;
}

TEST("a plug-in is run with what it must know, and what it prints is used")
{
    struct seen s =
        run("test \"$GIVEN\" = yes && test \"$KUBERNETES_EXEC_INFO\" = '{\"info\":1}' && "
            "test -n \"$PATH\" && echo '" CREDENTIAL "\"token\":\"abc\"}}'",
            5000, NULL);
    CHECK_INT(s.err.code, ERR_NONE);
    CHECK_TEXT(s.token, "abc");
}

TEST("a plug-in that fails, hangs or is not there is an error in its own words")
{
    struct seen s = run("echo please log in >&2; exit 3", 5000, NULL);
    CHECK_INT(s.err.code, ERR_UNAUTHENTICATED);
    CHECK(strstr(s.err.text, "ended with 3: please log in"));
    s = run("sleep 1000 & sleep 1000", 100, NULL);
    CHECK_INT(s.err.code, ERR_TIMEOUT);
    s = run("kill -9 $$", 5000, NULL);
    CHECK(strstr(s.err.text, "signal 9"));
    s = run("", 5000, "read the manual");
    CHECK(strstr(s.err.text, "no-such-program-here") && strstr(s.err.text, "read the manual"));
    s = run("echo secret-token", 5000, NULL);
    CHECK(strstr(s.err.text, "no JSON") && !strstr(s.err.text, "secret"));
    s = run("yes", 30000, NULL);
    CHECK_INT(s.err.code, ERR_TOO_LARGE);
}

TEST("a plug-in's child that keeps its output open does not keep us waiting")
{
    struct seen s = run("echo '" CREDENTIAL "\"token\":\"abc\"}}'; sleep 1000 &", 30000, NULL);
    CHECK_TEXT(s.token, "abc");
}

static void wants_second(struct fake_conn *c, const struct fake_request *r, void *arg)
{
    char got[64] = "";
    (void)arg;
    fake_header(r, "Authorization", got, sizeof got);
    if (strcmp(got, "Bearer t2") == 0)
        fake_reply(c, 200, NULL, "{}");
    else
        fake_status(c, 401, "Unauthorized", "Unauthorized");
}

TEST("a plug-in is asked once more when the server refuses what it gave")
{
    char folder[] = "/tmp/test-exec-XXXXXX";
    CHECK(mkdtemp(folder));
    auto_free char *script = mem_printf("%s/get", folder);
    auto_free char *text = mem_printf("#!/bin/sh\necho x >>%s/runs\n"
                                      "echo '" CREDENTIAL "\"token\":\"t'$(wc -l <%s/runs)'\"}}'\n",
                                      folder, folder);
    CHECK_OK(file_replace(script, text, strlen(text), 0700, &test_err));
    auto_free char *user =
        mem_printf("exec: {apiVersion: client.authentication.k8s.io/v1, command: '%s'}", script);
    auto_fake struct fake_api f = {.answer = wants_second};
    auto_side struct side s;
    fake_open(&f);
    side_open_as(&s, &f, user, NULL);
    struct result r = side_ask(&s, &(struct kube_request){.target = "/x"});
    CHECK_INT(r.status, 200);
    CHECK_INT(fake_count(&f, "/x"), 2);
    CHECK_INT(side_ask(&s, &(struct kube_request){.target = "/x"}).status, 200);
    CHECK_INT(fake_count(&f, "/x"), 3); /* kept */
    file_remove_tree(folder, NULL);
}
