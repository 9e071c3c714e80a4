/*
 * kubeconfig files as kubectl reads them: of several the first that has an entry counts, paths are
 * relative to the file that names them, data beats a file. Unknown keys are passed over; what
 * would need a person at a terminal, and what API servers took out long ago, is refused.
 */
#include "kube/config.h"

#include "base/file.h"
#include "base/json.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "kube/base64.h"
#include "net/addr.h"

#include <strings.h>

enum { MOST_BYTES = 1024 * 1024, MOST_FILES = 16, MOST_ENTRIES = 1000 };

struct source {
    json_t *tree;
    char *folder; /* of the file */
};

struct reading {
    struct source sources[MOST_FILES];
    size_t count;
    const struct kube_config_options *options;
    const char *where; /* for errors */
    struct kube_config *config;
};

static void reading_done(struct reading *r)
{
    for (size_t i = 0; i < r->count; i++) {
        json_decref(r->sources[i].tree);
        free(r->sources[i].folder);
    }
    kube_config_free(r->config);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s && *s ? s : NULL;
}

static char *copy_of(const json_t *object, const char *key)
{
    const char *s = text_of(object, key);
    return s ? mem_strdup(s) : NULL;
}

/* The entry NAME of a list like "clusters": its part WHAT, and the file that has it. */
static const json_t *find(const struct reading *r, const char *list, const char *what,
                          const char *name, const struct source **ret_source)
{
    for (size_t i = 0; i < r->count; i++) {
        const json_t *entries = json_object_get(r->sources[i].tree, list);
        size_t index;
        json_t *entry;
        json_array_foreach(entries, index, entry)
        {
            const char *its = text_of(entry, "name");
            if (its && strcmp(its, name) == 0 && json_is_object(json_object_get(entry, what))) {
                *ret_source = &r->sources[i];
                return json_object_get(entry, what);
            }
        }
    }
    return NULL;
}

static char *path_of(const json_t *object, const char *key, const struct source *s)
{
    const char *path = text_of(object, key);
    if (!path)
        return NULL;
    return path[0] == '/' ? mem_strdup(path) : mem_printf("%s/%s", s->folder, path);
}

/* A certificate or key: base64 in KEY-data, else the path in KEY. */
static int read_pem(const json_t *object, const char *key, const struct source *s, char **ret_text,
                    char **ret_path, struct err *e)
{
    auto_free char *data_key = mem_printf("%s-data", key);
    const char *data = text_of(object, data_key);
    if (!data) {
        *ret_path = path_of(object, key, s);
        return 0;
    }
    size_t len;
    auto_free char *pem = kube_base64_decode(data, strlen(data), &len);
    if (!pem || memchr(pem, '\0', len))
        return err_set(e, ERR_INVALID, "'%s' is not base64 of a PEM text", data_key);
    *ret_text = TAKE(pem);
    return 0;
}

/* ---- the cluster ---- */

static int check_server(struct kube_config *c, bool allow_insecure, struct err *e)
{
    bool https = strncasecmp(c->server, "https://", 8) == 0;
    if (!https && strncasecmp(c->server, "http://", 7) != 0)
        return err_set(e, ERR_INVALID, "the server '%.200s' is no http or https address",
                       c->server);
    const char *host = strstr(c->server, "://") + 3;
    for (const char *p = c->server; *p; p++)
        if ((unsigned char)*p <= ' ' || *p == 0x7f || *p == '?' || *p == '#' || *p == '@')
            return err_set(e, ERR_INVALID, "the server's address holds a '%c'",
                           *p > ' ' ? *p : ' ');
    for (size_t len = strlen(c->server); c->server[len - 1] == '/' && c->server + len > host; len--)
        c->server[len - 1] = '\0';
    if (!*host)
        return err_set(e, ERR_INVALID, "the server's address names no host");
    if (allow_insecure)
        return 0;
    if (c->insecure)
        return err_set(e, ERR_DENIED,
                       "the certificate of '%.200s' is not to be checked "
                       "(insecure-skip-tls-verify), which is refused unless you allow it",
                       c->server);
    size_t len = *host == '[' ? strcspn(++host, "]") : strcspn(host, ":/");
    auto_free char *name = mem_strndup(host, len);
    if (!https && !net_host_is_loopback(name))
        return err_set(e, ERR_DENIED,
                       "the server '%.200s' is not https, which is refused unless you allow it",
                       c->server);
    return 0;
}

static int read_cluster(struct reading *r, const char *name, struct err *e)
{
    struct kube_config *c = r->config;
    const struct source *s;
    const json_t *cluster = find(r, "clusters", "cluster", name, &s);
    if (!cluster)
        return err_set(e, ERR_INVALID, "there is no cluster '%.200s'", name);
    c->server = copy_of(cluster, "server");
    c->server_name = copy_of(cluster, "tls-server-name");
    c->proxy = copy_of(cluster, "proxy-url");
    c->insecure = json_is_true(json_object_get(cluster, "insecure-skip-tls-verify"));
    if (!c->server)
        return err_set(e, ERR_INVALID, "cluster '%.200s' has no server", name);
    if (read_pem(cluster, "certificate-authority", s, &c->ca, &c->ca_file, e) < 0)
        return -1;
    return check_server(c, r->options->allow_insecure, e);
}

/* ---- the user ---- */

static void add_header(struct kube_config *c, const char *name, const char *value)
{
    c->headers = mem_resize_array(c->headers, c->header_count + 1);
    c->headers[c->header_count++] =
        (struct kube_config_header){mem_strdup(name), mem_strdup(value)};
}

/* As the value of a header: no line break may end it. */
static int add_impersonation(struct kube_config *c, const char *name, const json_t *value,
                             struct err *e)
{
    const char *s = json_string_value(value);
    if (!s || !*s)
        return 0;
    if (s[strcspn(s, "\r\n")] || c->header_count == MOST_ENTRIES)
        return err_set(e, ERR_INVALID, "whom to act as cannot be said in a header");
    add_header(c, name, s);
    return 0;
}

/* "Impersonate-Extra-KEY", the key escaped as in a URL. */
static int add_extra(struct kube_config *c, const char *key, const json_t *values, struct err *e)
{
    auto_text struct text name = {0};
    size_t index;
    json_t *value;
    text_add(&name, "Impersonate-Extra-");
    for (const char *p = key; *p; p++)
        if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
            strchr("-._~", *p))
            text_add_char(&name, *p);
        else
            text_addf(&name, "%%%02X", (unsigned char)*p);
    json_array_foreach(values, index,
                       value) if (add_impersonation(c, text_get(&name), value, e) < 0) return -1;
    return 0;
}

static int read_acting_as(struct kube_config *c, const json_t *user, struct err *e)
{
    const char *key;
    size_t index;
    json_t *value;
    if (add_impersonation(c, "Impersonate-User", json_object_get(user, "as"), e) < 0 ||
        add_impersonation(c, "Impersonate-Uid", json_object_get(user, "as-uid"), e) < 0)
        return -1;
    json_array_foreach(json_object_get(user, "as-groups"), index,
                       value) if (add_impersonation(c, "Impersonate-Group", value, e) <
                                  0) return -1;
    json_object_foreach(json_object_get(user, "as-user-extra"), key,
                        value) if (add_extra(c, key, value, e) < 0) return -1;
    return 0;
}

/* What the program is told of the cluster, when it wants to know. */
static void write_cluster(struct json_out *o, const struct reading *r, const char *cluster_name)
{
    const struct kube_config *c = r->config;
    const struct source *s;
    const json_t *cluster = find(r, "clusters", "cluster", cluster_name, &s), *extension;
    size_t index;
    jo_object(o, "cluster");
    jo_text(o, "server", c->server);
    if (c->server_name)
        jo_text(o, "tls-server-name", c->server_name);
    if (c->insecure)
        jo_bool(o, "insecure-skip-tls-verify", true);
    if (text_of(cluster, "certificate-authority-data"))
        jo_text(o, "certificate-authority-data", text_of(cluster, "certificate-authority-data"));
    if (c->proxy)
        jo_text(o, "proxy-url", c->proxy);
    json_array_foreach(json_object_get(cluster, "extensions"), index, extension)
    {
        const char *name = text_of(extension, "name");
        const json_t *config = json_object_get(extension, "extension");
        if (!name || !config || strcmp(name, "client.authentication.k8s.io/exec") != 0)
            continue;
        auto_free char *json = json_write(config);
        jo_raw(o, "config", json, strlen(json));
    }
    jo_end(o);
}

static char **read_args(const json_t *exec, const char *command)
{
    const json_t *args = json_object_get(exec, "args");
    size_t count = json_array_size(args);
    char **list = mem_new_array(char *, count + 2);
    list[0] = mem_strdup(command);
    for (size_t i = 0; i < count; i++) {
        const char *s = json_string_value(json_array_get(args, i));
        list[i + 1] = mem_strdup(s ? s : "");
    }
    return list;
}

static char **read_env(const json_t *exec)
{
    const json_t *env = json_object_get(exec, "env");
    size_t count = json_array_size(env), used = 0;
    char **list = mem_new_array(char *, count + 1);
    for (size_t i = 0; i < count; i++) {
        const char *name = text_of(json_array_get(env, i), "name");
        const char *value = text_of(json_array_get(env, i), "value");
        if (name && !strchr(name, '='))
            list[used++] = mem_printf("%s=%s", name, value ? value : "");
    }
    return list;
}

static int read_exec(struct reading *r, const json_t *exec, const struct source *s,
                     const char *cluster, struct err *e)
{
    const char *command = text_of(exec, "command"), *version = text_of(exec, "apiVersion");
    const char *mode = text_of(exec, "interactiveMode");
    if (!command)
        return err_set(e, ERR_INVALID, "the user's exec names no command");
    if (!version || (strcmp(version, "client.authentication.k8s.io/v1") != 0 &&
                     strcmp(version, "client.authentication.k8s.io/v1beta1") != 0))
        return err_set(e, ERR_INVALID,
                       "the user's exec speaks '%.100s'; "
                       "client.authentication.k8s.io/v1 and v1beta1 are understood",
                       version ? version : "no version");
    if (mode && strcmp(mode, "Always") == 0)
        return err_set(e, ERR_INVALID, "the user's exec '%.100s' needs a person at a terminal",
                       command);
    if (json_array_size(json_object_get(exec, "args")) > MOST_ENTRIES ||
        json_array_size(json_object_get(exec, "env")) > MOST_ENTRIES)
        return err_set(e, ERR_INVALID, "the user's exec has more than %d arguments", MOST_ENTRIES);

    struct kube_exec *x = r->config->exec = mem_new(struct kube_exec);
    /* As with kubectl: a path with a '/' in it is relative to the file, a bare name to PATH. */
    x->command = strchr(command, '/') ? path_of(exec, "command", s) : mem_strdup(command);
    x->args = read_args(exec, x->command);
    x->env = read_env(exec);
    x->api_version = mem_strdup(version);
    x->install_hint = copy_of(exec, "installHint");

    struct text info = {0};
    struct json_out o = {.text = &info};
    jo_object(&o, NULL);
    jo_text(&o, "kind", "ExecCredential");
    jo_text(&o, "apiVersion", version);
    jo_object(&o, "spec");
    jo_bool(&o, "interactive", false);
    if (json_is_true(json_object_get(exec, "provideClusterInfo")))
        write_cluster(&o, r, cluster);
    jo_end(&o);
    jo_end(&o);
    x->info = text_take(&info);
    return 0;
}

static int read_user(struct reading *r, const char *name, const char *cluster, struct err *e)
{
    struct kube_config *c = r->config;
    const struct source *s;
    const json_t *user = find(r, "users", "user", name, &s);
    if (!user)
        return err_set(e, ERR_INVALID, "there is no user '%.200s'", name);
    if (text_of(user, "username") || text_of(user, "password"))
        return err_set(e, ERR_INVALID,
                       "user '%.200s' has a name and a password, which API servers no longer take",
                       name);
    if (json_is_object(json_object_get(user, "auth-provider")))
        return err_set(
            e, ERR_INVALID,
            "user '%.200s' has an auth-provider, which was taken out of kubectl; use exec", name);
    if (read_pem(user, "client-certificate", s, &c->cert, &c->cert_file, e) < 0 ||
        read_pem(user, "client-key", s, &c->key, &c->key_file, e) < 0)
        return -1;
    if (!(c->cert || c->cert_file) != !(c->key || c->key_file))
        return err_set(e, ERR_INVALID, "user '%.200s' has a certificate or a key, not both", name);
    c->token = copy_of(user, "token");
    c->token_file = path_of(user, "tokenFile", s);
    const json_t *exec = json_object_get(user, "exec");
    if (json_is_object(exec) && read_exec(r, exec, s, cluster, e) < 0)
        return -1;
    return read_acting_as(c, user, e);
}

/* ---- the whole ---- */

static int read_context(struct reading *r, struct err *e)
{
    const char *name = r->options->context;
    const struct source *s;
    for (size_t i = 0; i < r->count && !name; i++)
        name = text_of(r->sources[i].tree, "current-context");
    if (!name)
        return err_set(e, ERR_INVALID, "it has no current-context, and none was named");
    const json_t *context = find(r, "contexts", "context", name, &s);
    if (!context)
        return err_set(e, ERR_NOT_FOUND, "there is no context '%.200s'", name);
    const char *cluster = text_of(context, "cluster"), *user = text_of(context, "user");
    const char *ns = text_of(context, "namespace");
    if (!cluster)
        return err_set(e, ERR_INVALID, "context '%.200s' names no cluster", name);
    r->config->ns = mem_strdup(ns ? ns : "default");
    r->config->source = mem_printf("kubeconfig '%s', context '%s'", r->where, name);
    if (read_cluster(r, cluster, e) < 0)
        return -1;
    return user ? read_user(r, user, cluster, e) : 0;
}

static int add_source(struct reading *r, const char *text, size_t len, const char *folder,
                      struct err *e)
{
    json_t *tree = NULL;
    if (yaml_parse(text, len, &tree, e) < 0)
        return -1;
    r->sources[r->count++] = (struct source){tree, mem_strdup(folder)};
    const char *kind = text_of(tree, "kind");
    if ((!json_is_object(tree) && !json_is_null(tree)) || (kind && strcmp(kind, "Config") != 0))
        return err_set(e, ERR_INVALID, "it is no kubeconfig");
    return 0;
}

static int finish(struct reading *r, struct kube_config **ret, struct err *e)
{
    r->config = mem_new(struct kube_config);
    if (read_context(r, e) < 0)
        return err_wrap(e, "could not use kubeconfig '%s'", r->where);
    *ret = TAKE(r->config);
    return 0;
}

int kube_config_parse(const char *text, size_t len, const char *folder,
                      const struct kube_config_options *o, struct kube_config **ret, struct err *e)
{
    struct reading r = {.options = o, .where = o->path ? o->path : "(given)"};
    int rc = add_source(&r, text, len, folder, e);
    if (rc == 0)
        rc = finish(&r, ret, e);
    reading_done(&r);
    return rc;
}

static int add_file(struct reading *r, const char *path, bool may_lack, struct err *e)
{
    auto_free char *text = NULL;
    size_t len;
    struct err why = {0};
    if (may_lack && access(path, F_OK) < 0)
        return 0;
    if (file_read(path, MOST_BYTES, &text, &len, &why) < 0) {
        if (e)
            *e = why;
        return -1;
    }
    const char *slash = strrchr(path, '/');
    auto_free char *folder = slash ? mem_strndup(path, (size_t)(slash - path)) : mem_strdup(".");
    if (add_source(r, text, len, folder[0] || !slash ? folder : "/", e) < 0)
        return err_wrap(e, "could not read kubeconfig '%s'", path);
    return 0;
}

/* Every file of a list with ':' between; those of a list may lack, one that stands alone may not.
 */
static int add_files(struct reading *r, const char *paths, struct err *e)
{
    bool is_list = strchr(paths, ':');
    auto_free char *copy = mem_strdup(paths);
    char *rest = copy;
    for (char *path; (path = strsep(&rest, ":"));) {
        if (!*path)
            continue;
        if (r->count == MOST_FILES)
            return err_set(e, ERR_INVALID, "more than %d kubeconfigs are named", MOST_FILES);
        if (add_file(r, path, is_list, e) < 0)
            return -1;
    }
    return r->count ? 0 : err_set(e, ERR_NOT_FOUND, "there is no kubeconfig '%.300s'", paths);
}

int kube_config_read(const struct kube_config_options *o, struct kube_config **ret, struct err *e)
{
    auto_free char *usual = NULL;
    const char *paths = o->path;
    if (!paths || !*paths)
        paths = getenv("KUBECONFIG");
    if (!paths || !*paths) {
        const char *home = getenv("HOME");
        usual = mem_printf("%s/.kube/config", home ? home : "/root");
        paths = usual;
    }
    struct reading r = {.options = o, .where = paths};
    int rc = add_files(&r, paths, e);
    if (rc == 0)
        rc = finish(&r, ret, e);
    reading_done(&r);
    return rc;
}
