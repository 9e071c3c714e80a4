#include "kube/lease.h"

#include "base/json_out.h"
#include "base/mem.h"
#include "kube/timestamp.h"

#define L(member) offsetof(struct kube_lease, member)
static const struct kube_field spec_fields[] = {
    {"holderIdentity", KUBE_TEXT, L(holder)},       {"leaseDurationSeconds", KUBE_INT, L(seconds)},
    {"leaseTransitions", KUBE_INT, L(transitions)}, {"acquireTime", KUBE_TIME, L(acquired_ms)},
    {"renewTime", KUBE_TIME, L(renewed_ms)},        {0},
};

/* Once as it stands, once by its fields. */
static void read_spec(struct kube_build *b, struct json_scan *s, void *into)
{
    static const struct kube_field raw[] = {
        {"spec", KUBE_RAW, L(raw_spec), .most = 4096},
        {0},
    };
    struct json_scan again = *s;
    struct json_part key = {.kind = JSON_PART_TEXT, .at = "spec", .len = 4};
    kube_build_read_value(b, &again, &key, raw, into);
    kube_build_read(b, s, spec_fields, into);
}

static const struct kube_field lease_fields[] = {
    {"spec", KUBE_CALL, .call = read_spec},
    {"holder", KUBE_FILLED, L(holder)},
    {"raw", KUBE_FILLED, L(raw_spec)},
    {0},
};

const struct kube_kind kube_leases = {.at = {"coordination.k8s.io", "v1", "leases"},
                                      .kind = "Lease",
                                      .size = sizeof(struct kube_lease),
                                      .fields = lease_fields};

struct kube_call *kube_lease_get(struct kube_client *c, const char *ns, const char *name,
                                 kube_done *on_done, void *arg)
{
    return kube_get(c, &(struct kube_object){&kube_leases, ns, name, NULL}, on_done, arg);
}

struct kube_call *kube_lease_put(struct kube_client *c, const struct kube_lease_spec *l,
                                 kube_done *on_done, void *arg)
{
    auto_text struct text target = {0}, body = {0};
    struct json_out o = {.text = &body};
    char time[KUBE_TIME_SIZE];
    kube_path(&target, &kube_leases.at, l->ns, l->version ? l->name : NULL, NULL);
    jo_object(&o, NULL);
    jo_text(&o, "apiVersion", "coordination.k8s.io/v1");
    jo_text(&o, "kind", "Lease");
    jo_object(&o, "metadata");
    jo_text(&o, "name", l->name);
    jo_text(&o, "namespace", l->ns);
    if (l->version)
        jo_text(&o, "resourceVersion", l->version);
    jo_end(&o);
    jo_object(&o, "spec");
    jo_text(&o, "holderIdentity", l->holder);
    jo_int(&o, "leaseDurationSeconds", l->seconds);
    jo_int(&o, "leaseTransitions", l->transitions);
    jo_text(&o, "acquireTime", kube_time_format(l->acquired_ms, time));
    jo_text(&o, "renewTime", kube_time_format(l->renewed_ms, time));
    jo_end(&o);
    jo_end(&o);
    return kube_send(c,
                     &(struct kube_request){.method = l->version ? HTTP_PUT : HTTP_POST,
                                            .target = text_get(&target),
                                            .body = body.data,
                                            .len = body.len,
                                            .only_once = true,
                                            .timeout_ms = l->seconds * 1000,
                                            .deadline_ms = l->seconds * 1000},
                     on_done, arg);
}
