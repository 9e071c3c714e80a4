#include "kube/config.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

#include <errno.h>

static void free_list(char **list)
{
    for (char **p = list; p && *p; p++)
        free(*p);
    free(list);
}

static void free_exec(struct kube_exec *x)
{
    if (!x)
        return;
    free(x->command);
    free_list(x->args);
    free_list(x->env);
    free(x->info);
    free(x->api_version);
    free(x->install_hint);
    free(x);
}

void kube_config_free(struct kube_config *c)
{
    if (!c)
        return;
    char *texts[] = {c->source,   c->server,  c->ns,        c->server_name, c->proxy,
                     c->ca,       c->ca_file, c->cert,      c->cert_file,   c->key,
                     c->key_file, c->token,   c->token_file};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        if (texts[i])
            explicit_bzero(texts[i], strlen(texts[i])); /* some of them are secrets */
        free(texts[i]);
    }
    for (size_t i = 0; i < c->header_count; i++) {
        free(c->headers[i].name);
        free(c->headers[i].value);
    }
    free(c->headers);
    free_exec(c->exec);
    free(c);
}

/* ---- as a pod ---- */

static bool is_port(const char *s)
{
    size_t len = strlen(s);
    return len >= 1 && len <= 5 && strspn(s, "0123456789") == len;
}

/* The host goes into a URL, so nothing may stand in it that ends one there. */
static bool is_host(const char *s)
{
    size_t len = strlen(s);
    return len >= 1 && len <= 253 &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:") == len;
}

int kube_config_read_pod(const char *folder, struct kube_config **ret, struct err *e)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST");
    const char *port = getenv("KUBERNETES_SERVICE_PORT");
    if (!host || !port || !*host)
        return err_set(e, ERR_NOT_FOUND,
                       "this is no pod of a cluster: KUBERNETES_SERVICE_HOST is not set");
    if (!is_host(host) || !is_port(port))
        return err_set(e, ERR_INVALID,
                       "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT name no server");
    if (!folder)
        folder = KUBE_POD_FOLDER;

    auto_kube_config struct kube_config *c = mem_new(struct kube_config);
    auto_free char *ns_file = mem_printf("%s/namespace", folder);
    auto_free char *ns = NULL;
    size_t len;
    c->source = mem_strdup("this pod's service account");
    c->server = strchr(host, ':') ? mem_printf("https://[%s]:%s", host, port)
                                  : mem_printf("https://%s:%s", host, port);
    c->ca_file = mem_printf("%s/ca.crt", folder);
    c->token_file = mem_printf("%s/token", folder);
    if (access(c->token_file, R_OK) < 0)
        return err_sys(e, errno, "this pod has no service account: could not read file '%s'",
                       c->token_file);
    if (file_read(ns_file, 256, &ns, &len, NULL) == 0) {
        ns[strcspn(ns, " \r\n")] = '\0';
        if (text_is_name(ns, 63))
            c->ns = mem_strdup(ns);
    }
    if (!c->ns)
        c->ns = mem_strdup("default");
    *ret = TAKE(c);
    return 0;
}
