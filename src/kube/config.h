/*
 * Where a cluster is and who we are there: from a kubeconfig, or from what a pod finds in its own
 * folder. Only read here; what it names (files, programs) is used by credentials.h.
 */
#ifndef KUBE_CONFIG_H
#define KUBE_CONFIG_H

#include "base/cleanup.h"
#include "base/err.h"

#include <stddef.h>

/* Where a pod finds its token, its CA and its namespace. */
#define KUBE_POD_FOLDER "/var/run/secrets/kubernetes.io/serviceaccount"

/* A program that says who we are; kubectl's "exec" plug-ins. */
struct kube_exec {
    char *command; /* a path, or a name to look for in PATH */
    char **args;   /* with COMMAND in front, NULL behind */
    char **env;    /* "NAME=VALUE", NULL behind: added to ours */
    char *info;    /* KUBERNETES_EXEC_INFO */
    char *api_version;
    char *install_hint; /* NULL: none */
};

struct kube_config_header {
    char *name, *value;
};

/* All texts are its own; NULL: not given. Of each pair of a text and a file at most one is given.
 */
struct kube_config {
    char *source;      /* "kubeconfig '/x', context 'y'", for errors */
    char *server;      /* "https://host:6443/prefix", without '/' at the end */
    char *ns;          /* of the context; never NULL */
    char *server_name; /* what the server's certificate must say, where it is not the host */
    char *proxy;
    char *ca, *ca_file; /* PEM text | file */
    char *cert, *cert_file, *key, *key_file;
    char *token, *token_file; /* both: the file counts, the text until it can be read */
    struct kube_exec *exec;
    struct kube_config_header *headers; /* whom we act as */
    size_t header_count;
    bool insecure; /* the server's certificate is not looked at */
};

struct kube_config_options {
    const char *path;    /* a kubeconfig, or several with ':' between; NULL: $KUBECONFIG, else
                            ~/.kube/config */
    const char *context; /* NULL: its current one */
    /* Take servers whose certificate is not to be checked, and plain http to other machines, where
     * the kubeconfig asks for that. Else it is refused: our token would go to anybody. */
    bool allow_insecure;
};

/* Reads files; for a program's start. ERR_NOT_FOUND: there is no kubeconfig. */
int kube_config_read(const struct kube_config_options *o, struct kube_config **ret, struct err *e);

/* One kubeconfig that is here already; paths in it are relative to FOLDER. */
int kube_config_parse(const char *text, size_t len, const char *folder,
                      const struct kube_config_options *o, struct kube_config **ret, struct err *e);

/* As a pod. FOLDER NULL: KUBE_POD_FOLDER. ERR_NOT_FOUND: we are in none. */
int kube_config_read_pod(const char *folder, struct kube_config **ret, struct err *e);

void kube_config_free(struct kube_config *c);

DEFINE_AUTO(struct kube_config, kube_config_free)
#define auto_kube_config AUTO(kube_config_freep)

#endif
