#include "base/file.h"
#include "base/mem.h"
#include "kube/config.h"
#include "test.h"

#include <unistd.h>

static struct kube_config *parse(const char *text, const struct kube_config_options *o)
{
    struct kube_config *c = NULL;
    CHECK_OK(kube_config_parse(text, strlen(text), "/etc/k", o, &c, &test_err));
    return c;
}

/* The cluster's and the user's lines, in a kubeconfig with one of each. */
static char *config_with(const char *cluster, const char *user)
{
    return mem_printf("apiVersion: v1\nkind: Config\ncurrent-context: c\npreferences: {}\n"
                      "contexts:\n- name: c\n  context: {cluster: k, user: u}\n"
                      "clusters:\n- name: k\n  cluster: {%s}\nusers:\n- name: u\n  user: {%s}\n",
                      cluster, user);
}

static const struct kube_config_options usual = {0};

TEST("a kubeconfig says where the cluster is and who we are")
{
    auto_kube_config struct kube_config *c =
        parse("apiVersion: v1\nkind: Config\ncurrent-context: b\nunknown: [1, {x: y}]\n"
              "clusters:\n"
              "- name: one\n  cluster: {server: 'https://one:6443'}\n"
              "- name: two\n  cluster:\n    server: https://10.0.0.1:6443/k8s/\n"
              "    certificate-authority: ca.crt\n    tls-server-name: api.example\n"
              "    proxy-url: http://proxy:3128\n"
              "users:\n- name: me\n  user:\n    client-certificate-data: Y2VydA==\n"
              "    client-certificate: not-this.crt\n    client-key: /abs/key.pem\n"
              "    token: abc\n    tokenFile: tok\n    as: boss\n    as-groups: [g1, g2]\n"
              "    as-user-extra: {'a/b': [x]}\n"
              "contexts:\n- name: a\n  context: {cluster: one, user: me}\n"
              "- name: b\n  context: {cluster: two, user: me, namespace: work}\n",
              &usual);
    CHECK_TEXT(c->server, "https://10.0.0.1:6443/k8s");
    CHECK_TEXT(c->server_name, "api.example");
    CHECK_TEXT(c->proxy, "http://proxy:3128");
    CHECK_TEXT(c->ns, "work");
    CHECK_TEXT(c->ca_file, "/etc/k/ca.crt");
    CHECK_TEXT(c->cert, "cert");
    CHECK_TEXT(c->cert_file, NULL);
    CHECK_TEXT(c->key_file, "/abs/key.pem");
    CHECK_TEXT(c->token, "abc");
    CHECK_TEXT(c->token_file, "/etc/k/tok");
    CHECK_INT(c->header_count, 4);
    CHECK_TEXT(c->headers[0].name, "Impersonate-User");
    CHECK_TEXT(c->headers[2].value, "g2");
    CHECK_TEXT(c->headers[3].name, "Impersonate-Extra-a%2Fb");

    auto_kube_config struct kube_config *json =
        parse("{\"current-context\":\"x\",\"clusters\":[{\"name\":\"k\",\"cluster\":{\"server\":"
              "\"https://h\"}}],\"contexts\":[{\"name\":\"x\",\"context\":{\"cluster\":\"k\"}}]}",
              &usual);
    CHECK_TEXT(json->server, "https://h");
    CHECK_TEXT(json->ns, "default");
}

TEST("an exec entry becomes a program with its environment")
{
    auto_free char *text = config_with(
        "server: 'https://h:1', certificate-authority-data: Y2E=, extensions: [{name: "
        "client.authentication.k8s.io/exec, extension: {audience: x}}]",
        "exec: {apiVersion: client.authentication.k8s.io/v1, command: ./get, args: [a, b], env: "
        "[{name: A, value: '1'}], interactiveMode: Never, provideClusterInfo: true, installHint: "
        "read the manual}");
    auto_kube_config struct kube_config *c = parse(text, &usual);
    CHECK_TEXT(c->exec->command, "/etc/k/./get");
    CHECK_TEXT(c->exec->args[2], "b");
    CHECK_TEXT(c->exec->env[0], "A=1");
    CHECK_TEXT(c->exec->install_hint, "read the manual");
    CHECK_TEXT(c->exec->info,
               "{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\","
               "\"spec\":{\"interactive\":false,\"cluster\":{\"server\":\"https://h:1\","
               "\"certificate-authority-data\":\"Y2E=\",\"config\":{\"audience\":\"x\"}}}}");
    CHECK_TEXT(c->ca, "ca");
}

TEST("what is not safe, or cannot work, is refused with the reason")
{
    static const struct {
        const char *cluster, *user;
        enum err_code code;
        const char *words;
    } cases[] = {
        {"server: 'https://h', insecure-skip-tls-verify: true", "", ERR_DENIED, "unless you allow"},
        {"server: 'http://h:8080'", "", ERR_DENIED, "not https"},
        {"server: 'ftp://h'", "", ERR_INVALID, "no http or https"},
        {"server: 'https://u:p@h'", "", ERR_INVALID, "holds a '@'"},
        {"server: 'https://'", "", ERR_INVALID, "names no host"},
        {"server: 'https://h/?x'", "", ERR_INVALID, "holds a '?'"},
        {"a: b", "", ERR_INVALID, "has no server"},
        {"server: 'https://h', certificate-authority-data: '*'", "", ERR_INVALID, "base64"},
        {"server: 'https://h'", "username: a, password: b", ERR_INVALID, "no longer take"},
        {"server: 'https://h'", "auth-provider: {name: gcp}", ERR_INVALID, "use exec"},
        {"server: 'https://h'", "client-certificate: a", ERR_INVALID, "not both"},
        {"server: 'https://h'", "as: \"a\\nb\"", ERR_INVALID, "header"},
        {"server: 'https://h'", "exec: {command: a}", ERR_INVALID, "no version"},
        {"server: 'https://h'",
         "exec: {command: a, apiVersion: client.authentication.k8s.io/v1alpha1}", ERR_INVALID,
         "v1alpha1"},
        {"server: 'https://h'",
         "exec: {command: a, apiVersion: client.authentication.k8s.io/v1, interactiveMode: Always}",
         ERR_INVALID, "at a terminal"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        auto_free char *text = config_with(cases[i].cluster, cases[i].user);
        struct kube_config *c = NULL;
        CHECK_FAILS(kube_config_parse(text, strlen(text), "/", &usual, &c, &test_err),
                    cases[i].code, cases[i].words);
        CHECK(!c);
    }
    auto_free char *text =
        config_with("server: 'http://h:8080', insecure-skip-tls-verify: true", "");
    auto_kube_config struct kube_config *c =
        parse(text, &(struct kube_config_options){.allow_insecure = true});
    CHECK(c->insecure);
    auto_free char *local = config_with("server: 'http://[::1]:8001'", "");
    auto_kube_config struct kube_config *l = parse(local, &usual);
    CHECK_TEXT(l->server, "http://[::1]:8001");
}

TEST("a kubeconfig without the context asked for is refused")
{
    struct kube_config *c = NULL;
    auto_free char *text = config_with("server: 'https://h'", "");
    struct kube_config_options other = {.context = "prod"};
    CHECK_FAILS(kube_config_parse(text, strlen(text), "/", &other, &c, &test_err), ERR_NOT_FOUND,
                "no context 'prod'");
    CHECK_FAILS(kube_config_parse("{}", 2, "/", &usual, &c, &test_err), ERR_INVALID,
                "no current-context");
    CHECK_FAILS(kube_config_parse("kind: Pod", 9, "/", &usual, &c, &test_err), ERR_INVALID,
                "no kubeconfig");
    CHECK_FAILS(kube_config_parse("a: [", 4, "/", &usual, &c, &test_err), ERR_INVALID, "YAML");
}

TEST("of several kubeconfigs the first that has an entry counts")
{
    char folder[] = "/tmp/test-kubeconfig-XXXXXX";
    CHECK(mkdtemp(folder));
    auto_free char *one = mem_printf("%s/one", folder), *two = mem_printf("%s/two", folder);
    auto_free char *paths = mem_printf("%s/none:%s:%s", folder, one, two);
    auto_free char *second = config_with("server: 'https://second'", "tokenFile: t");
    const char *first =
        "current-context: c\nclusters: [{name: k, cluster: {server: 'https://first'}}]";
    CHECK_OK(file_replace(one, first, strlen(first), 0600, &test_err));
    CHECK_OK(file_replace(two, second, strlen(second), 0600, &test_err));
    auto_kube_config struct kube_config *c = NULL;
    CHECK_OK(kube_config_read(&(struct kube_config_options){.path = paths}, &c, &test_err));
    CHECK_TEXT(c->server, "https://first");
    auto_free char *token = mem_printf("%s/t", folder);
    CHECK_TEXT(c->token_file, token);

    setenv("KUBECONFIG", two, 1);
    auto_kube_config struct kube_config *d = NULL;
    CHECK_OK(kube_config_read(&usual, &d, &test_err));
    CHECK_TEXT(d->server, "https://second");
    unsetenv("KUBECONFIG");
    setenv("HOME", folder, 1);
    CHECK_FAILS(kube_config_read(&usual, &d, &test_err), ERR_NOT_FOUND, ".kube/config");
    file_remove_tree(folder, NULL);
}

TEST("a pod finds its cluster in its own folder")
{
    char folder[] = "/tmp/test-pod-XXXXXX";
    CHECK(mkdtemp(folder));
    auto_free char *token = mem_printf("%s/token", folder),
                   *ns = mem_printf("%s/namespace", folder);
    struct kube_config *none = NULL;
    unsetenv("KUBERNETES_SERVICE_HOST");
    CHECK_FAILS(kube_config_read_pod(folder, &none, &test_err), ERR_NOT_FOUND, "no pod");
    setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
    setenv("KUBERNETES_SERVICE_PORT", "443", 1);
    CHECK_FAILS(kube_config_read_pod(folder, &none, &test_err), ERR_NOT_FOUND, "service account");
    CHECK_OK(file_replace(token, "t\n", 2, 0600, &test_err));
    CHECK_OK(file_replace(ns, "work\n", 5, 0600, &test_err));
    auto_kube_config struct kube_config *c = NULL;
    CHECK_OK(kube_config_read_pod(folder, &c, &test_err));
    CHECK_TEXT(c->server, "https://[fd00::1]:443");
    CHECK_TEXT(c->ns, "work");
    CHECK_TEXT(c->token_file, token);
    setenv("KUBERNETES_SERVICE_HOST", "evil/x@y", 1);
    CHECK_FAILS(kube_config_read_pod(folder, &none, &test_err), ERR_INVALID, "name no server");
    unsetenv("KUBERNETES_SERVICE_HOST");
    unsetenv("KUBERNETES_SERVICE_PORT");
    file_remove_tree(folder, NULL);
}
