/* Any text is a kubeconfig whose parts make sense, or an error with a reason. */
#include "kube/config.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void is_one_line(const char *s)
{
    assert(!s || !s[strcspn(s, "\r\n")]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kube_config_options o = {.allow_insecure = size && data[0] == '#'};
    struct kube_config *c = NULL;
    struct err e = {0};
    if (kube_config_parse((const char *)data, size, "/folder", &o, &c, &e) < 0) {
        assert(e.code && e.text[0] && !c);
        return 0;
    }
    size_t len = strlen(c->server);
    assert(strstr(c->server, "://") && c->server[len - 1] != '/' && c->ns && c->source);
    is_one_line(c->server);
    assert(o.allow_insecure || !c->insecure);
    assert(!(c->ca && c->ca_file) && !(c->cert && c->cert_file) && !(c->key && c->key_file));
    assert(!(c->cert || c->cert_file) == !(c->key || c->key_file));
    assert(!c->token_file || c->token_file[0] == '/');
    for (size_t i = 0; i < c->header_count; i++) {
        is_one_line(c->headers[i].name);
        is_one_line(c->headers[i].value);
    }
    if (c->exec)
        assert(c->exec->command && c->exec->args[0] && c->exec->env && c->exec->info);
    kube_config_free(c);
    return 0;
}
