/*
 * What a device plugin says to kubelet, as messages. Pure: from plain records to bytes and back.
 */
#ifndef KUBELET_PLUGIN_ANSWER_H
#define KUBELET_PLUGIN_ANSWER_H

#include "base/err.h"
#include "base/text.h"

#define PLUGIN_ID_SIZE 64 /* kubelet takes at most 63 bytes */

struct plugin_device {
    char id[PLUGIN_ID_SIZE];
    bool is_healthy;
    int64_t numa_node; /* below 0: not known */
};

struct plugin_devices {
    struct plugin_device *items;
    size_t count;
};

/* What a container is given. Texts are copied; plugin_grant_done() frees them. */
struct plugin_grant {
    struct plugin_item {
        char *name, *value,
            *more; /* of an env: name, value; a mount: inside, outside, "ro" or "rw";
                      a device node: inside, outside, permissions; CDI: name */
    } * envs, *mounts, *nodes, *cdi;
    size_t env_count, mount_count, node_count, cdi_count;
};
void plugin_grant_env(struct plugin_grant *g, const char *name, const char *value);
void plugin_grant_mount(struct plugin_grant *g, const char *inside, const char *outside,
                        bool is_read_only);
void plugin_grant_node(struct plugin_grant *g, const char *inside, const char *outside,
                       const char *permissions);
void plugin_grant_cdi(struct plugin_grant *g, const char *name);
void plugin_grant_done(struct plugin_grant *g);

/* Each adds one message to OUT. */
void plugin_say_register(const char *resource, const char *endpoint, struct text *out);
void plugin_say_options(struct text *out);
void plugin_say_devices(const struct plugin_devices *d, struct text *out);
void plugin_say_nothing(struct text *out);

/* GRANT says what the container that gets COUNT devices IDS is given. Every one of them is in D and
 * well. Asked once a container. */
typedef int plugin_grant_fn(void *arg, const struct plugin_device *const *devices, size_t count,
                            struct plugin_grant *ret, struct err *e);
int plugin_allocate(const uint8_t *request, size_t len, const struct plugin_devices *d,
                    plugin_grant_fn *grant, void *arg, struct text *out, struct err *e);

/* Which of the free devices each container had best get: prefer.h. */
int plugin_prefer(const uint8_t *request, size_t len, const struct plugin_devices *d,
                  struct text *out, struct err *e);

#endif
