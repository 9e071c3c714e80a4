#include "reeved/kube.h"

#include "base/mem.h"
#include "runner/kube_runner.h"

static int read_kubeconfig(const struct reeved_options *o, const char *path,
                           struct kube_config **ret, struct err *e)
{
    struct kube_config_options how = {.path = path, .context = o->kube_context};
    return kube_config_read(&how, ret, e);
}

/* Both ways, where nobody says which. */
static int find_cluster(const struct reeved_options *o, struct kube_config **ret, struct err *e)
{
    if (kube_config_read_pod(NULL, ret, e) == 0)
        return 0;
    if (e->code == ERR_NOT_FOUND && read_kubeconfig(o, NULL, ret, e) == 0)
        return 0;
    if (e->code != ERR_NOT_FOUND)
        return -1;
    *e = (struct err){0};
    return 0;
}

static int read_cluster(const struct reeved_options *o, struct kube_config **ret, struct err *e)
{
    *ret = NULL;
    if (strcmp(o->kube, "off") == 0)
        return 0;
    if (strcmp(o->kube, "auto") == 0)
        return find_cluster(o, ret, e);
    if (strcmp(o->kube, "in-cluster") == 0)
        return kube_config_read_pod(NULL, ret, e);
    return read_kubeconfig(o, o->kube, ret, e);
}

static void set_text(char **into, const char *value)
{
    if (!value)
        return;
    free(*into);
    *into = mem_strdup(value);
}

static int read_settings(const struct reeved_options *o, struct kube_settings *s, struct err *e)
{
    if (o->kube_settings && kube_settings_read(s, o->kube_settings, e) < 0)
        return -1;
    set_text(&s->ns, o->kube_namespace);
    set_text(&s->image, o->kube_image);
    set_text(&s->runner, o->kube_runner);
    if (s->runner && !kube_runner_find(s->runner))
        return err_set(e, ERR_INVALID, "there is no way '%s' to run a job in a cluster", s->runner);
    return 0;
}

int kube_read_options(const struct reeved_options *o, struct cluster_config *ret, struct err *e)
{
    *ret = (struct cluster_config){.name = o->kube_name,
                                   .start_limit_ms = o->kube_start_limit_ms,
                                   .keep_ms = o->kube_keep_ms,
                                   .agent_account = o->kube_agents,
                                   .ca_map = o->kube_ca};
    if (!text_is_name(o->kube_name, FLEET_NAME - 1))
        return err_set(e, ERR_INVALID, "option --kube-name is '%.64s', which is no name",
                       o->kube_name);
    kube_settings_init(&ret->settings);
    if (read_cluster(o, &ret->kube, e) < 0)
        return err_wrap(e, "option --kube");
    if (ret->kube && read_settings(o, &ret->settings, e) < 0) {
        kube_options_done(ret);
        return -1;
    }
    return 0;
}

void kube_options_done(struct cluster_config *c)
{
    kube_config_free(TAKE(c->kube));
    kube_settings_done(&c->settings);
}
