#include "kube/kind.h"

#include "base/mem.h"

enum { MOST_RAW = 64 * 1024 };

struct owner {
    const char *kind, *name, *uid;
    bool is_controller;
};

/* Of all owners only the one that is in charge. */
static void read_owners(struct kube_build *b, struct json_scan *s, void *into)
{
    static const struct kube_field fields[] = {
        {"kind", KUBE_TEXT, offsetof(struct owner, kind)},
        {"name", KUBE_TEXT, offsetof(struct owner, name)},
        {"uid", KUBE_TEXT, offsetof(struct owner, uid), .most = 64},
        {"controller", KUBE_BOOL, offsetof(struct owner, is_controller)},
        {0},
    };
    struct kube_head *head = into;
    struct json_part part;
    if (json_scan_next(s) != JSON_PART_LIST) {
        json_scan_pass(s, &part);
        return;
    }
    for (json_scan_list(s); json_scan_item(s);) {
        struct owner *owner = kube_build_more(b, sizeof *owner);
        if (!owner) {
            json_scan_pass(s, &part);
            continue;
        }
        kube_build_read(b, s, fields, owner);
        if (owner->is_controller && owner->kind && owner->name && owner->uid) {
            kube_build_link(b, &head->owner_kind, owner->kind);
            kube_build_link(b, &head->owner_name, owner->name);
            kube_build_link(b, &head->owner_uid, owner->uid);
        }
    }
}

static void read_labels(struct kube_build *b, struct json_scan *s, void *into)
{
    const struct kube_kind *kind = kube_build_context(b);
    kube_build_pairs(b, s, kind->labels, into);
}

static void read_annotations(struct kube_build *b, struct json_scan *s, void *into)
{
    const struct kube_kind *kind = kube_build_context(b);
    kube_build_pairs(b, s, kind->annotations, into);
}

static const struct kube_field head_fields[] = {
    {"namespace", KUBE_TEXT, offsetof(struct kube_head, ns)},
    {"name", KUBE_TEXT, offsetof(struct kube_head, name)},
    {"uid", KUBE_TEXT, offsetof(struct kube_head, uid), .most = 64},
    {"resourceVersion", KUBE_TEXT, offsetof(struct kube_head, version), .most = 64},
    {"generation", KUBE_INT, offsetof(struct kube_head, generation)},
    {"creationTimestamp", KUBE_TIME, offsetof(struct kube_head, created_ms)},
    {"deletionTimestamp", KUBE_TIME, offsetof(struct kube_head, deleted_ms)},
    {"finalizers", KUBE_WORDS, offsetof(struct kube_head, finalizers), .most = 16},
    {"labels", KUBE_CALL, offsetof(struct kube_head, labels), .call = read_labels},
    {"annotations", KUBE_CALL, offsetof(struct kube_head, annotations), .call = read_annotations},
    {"ownerReferences", KUBE_CALL, 0, .call = read_owners},
    {0},
};

static const struct kube_field object_head[] = {
    {"metadata", KUBE_OBJECT, .fields = head_fields},
    {0},
};

int kube_object_read(const struct kube_kind *kind, struct kube_build *b, const char *json,
                     size_t len, struct kube_head **ret, struct err *e)
{
    struct json_scan s;
    struct json_part key;
    struct kube_head *head = kube_build_begin(b, kind->size, kind);
    head->owner_kind = head->owner_name = head->owner_uid = "";
    kube_build_empty_texts(head_fields, head);
    kube_build_empty_texts(kind->fields, head);

    json_scan_init(&s, json, len);
    for (json_scan_object(&s); json_scan_member(&s, &key);)
        kube_build_read_value(b, &s, &key,
                              json_part_is(&key, "metadata") ? object_head : kind->fields, head);
    if (json_scan_end(&s, e) < 0)
        return err_wrap(e, "could not read an object of %s", kind->at.resource);
    if (kind->finish)
        kind->finish(b, head);

    size_t size;
    head = kube_build_end(b, &size);
    head->size = (uint32_t)size;
    *ret = head;
    return 0;
}

int kube_record_read(const struct kube_kind *kind, struct kube_build *b, const char *json,
                     size_t len, struct kube_head **ret, struct err *e)
{
    struct kube_head *head;
    if (kube_object_read(kind, b, json, len, &head, e) < 0)
        return -1;
    if (!head->name[0]) {
        free(head);
        return err_set(e, ERR_INVALID, "an object of %s has no name", kind->at.resource);
    }
    *ret = head;
    return 0;
}

static const struct kube_field custom_fields[] = {
    {"spec", KUBE_RAW, offsetof(struct kube_custom, spec), .most = MOST_RAW},
    {"status", KUBE_RAW, offsetof(struct kube_custom, status), .most = MOST_RAW},
    {0},
};

struct kube_kind kube_custom_kind(const char *group, const char *version, const char *resource,
                                  const char *kind)
{
    static const char *const all[] = {"", NULL};
    return (struct kube_kind){.at = {group, version, resource},
                              .kind = kind,
                              .size = sizeof(struct kube_custom),
                              .fields = custom_fields,
                              .labels = all,
                              .annotations = all};
}
