/*
 * What an administrator says of the jobs of one cluster: where their objects live, what they run
 * as, which places they may use. Users choose among names; what a name means stands here only.
 */
#ifndef RUNNER_KUBE_SETTINGS_H
#define RUNNER_KUBE_SETTINGS_H

#include "base/cleanup.h"
#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kube_mount_kind { KUBE_MOUNT_HOST, KUBE_MOUNT_CLAIM, KUBE_MOUNT_NFS };

/* A place that jobs may ask for by its name. */
struct kube_mount {
    char *name;
    enum kube_mount_kind kind;
    char *source; /* a path of the node or of the NFS server, or a claim's name */
    char *server; /* of NFS; NULL otherwise */
    char *path;   /* where it appears unless the job says it; NULL: "/mnt/NAME" */
    bool read_only;
};

/* A template of Argo's that jobs may run. */
struct kube_template {
    char *name;
    bool cluster_scope; /* a ClusterWorkflowTemplate */
};

/* All texts are its own; NULL: not given. */
struct kube_settings {
    char *ns;              /* of our objects; never NULL once the cluster is joined */
    char *image;           /* of jobs that name none; NULL: they must */
    char *pull_policy;     /* "Never"; NULL: as the server has it */
    char *runner;          /* of jobs that name none; NULL: "kube-pod" */
    char *service_account; /* of the jobs' pods; NULL: the namespace's own, without a token */
    char **pull_secrets;   /* names; ends with NULL; may be NULL */
    struct kube_mount *mounts;
    size_t mount_count;
    char *results;              /* the mount that keeps results; NULL: none does */
    int64_t cpu_request_milli;  /* of jobs that ask for no CPU */
    int64_t memory_request_mib; /* of jobs whose memory is the default limit */
    int64_t grace_s;            /* between the first and the last word to a pod that must end */
    json_t *pod;                /* merged into the spec of every pod; NULL: nothing */
    json_t *container;          /* merged into its container "main" */

    /* Argo's: what jobs may run, and what those run that name neither a template, an image nor a
     * command (NULL: nothing); that one is among TEMPLATES, too. */
    struct kube_template *templates;
    size_t template_count;
    char *template;
    char *argo_service_account; /* of workflows without a template; NULL: SERVICE_ACCOUNT */
    char *argo_instance;        /* its controller's instance id */
    char *argo_server;          /* "https://argo-server.argo:2746" */
    char *argo_token_file, *argo_ca_file;
    bool argo_insecure; /* its certificate is not looked at */
};

/* Usual values, no texts. */
void kube_settings_init(struct kube_settings *s);
void kube_settings_done(struct kube_settings *s);

/* YAML or JSON, over what S has; mounts are added, in place of those of the same name.
 * ERR_INVALID names the field. Unknown fields are errors. */
int kube_settings_parse(struct kube_settings *s, const char *p, size_t len, struct err *e);
/* A file, or a folder of files NAME.yaml, one after the other by their names. */
int kube_settings_read(struct kube_settings *s, const char *path, struct err *e);

/* NULL: there is no place of that name. */
const struct kube_mount *kube_settings_mount(const struct kube_settings *s, const char *name);
/* NULL: jobs may run no template of that name. */
const struct kube_template *kube_settings_template(const struct kube_settings *s, const char *name);

#endif
