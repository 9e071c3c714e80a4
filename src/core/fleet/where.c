#include "core/fleet/where.h"

#include "base/mem.h"
#include "base/text.h"

int64_t where_hash(const char *text, size_t len)
{
    uint64_t bits;
    struct digest d = digest_of(text, len);
    memcpy(&bits, d.bytes, sizeof bits);
    return (int64_t)(bits >> 1);
}

/* ---- taints ---- */

bool taint_is_gpu(const char *taint)
{
    static const char *const keys[] = {"nvidia.com/gpu", "amd.com/gpu", "gpu.intel.com/i915",
                                       "gpu.intel.com/xe", "habana.ai/gaudi"};
    size_t len = strcspn(taint, "=:");
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        if (strlen(keys[i]) == len && memcmp(keys[i], taint, len) == 0)
            return true;
    return false;
}

size_t taint_forms(const char *taint, int64_t ret[TAINT_FORMS])
{
    size_t key = strcspn(taint, "=:"), value = strcspn(taint, ":"), count = 0, len = strlen(taint);
    ret[count++] = where_hash(taint, key);
    if (value > key)
        ret[count++] = where_hash(taint, value);
    if (len > value && value > key) {
        auto_text struct text bare = {0};
        text_add_bytes(&bare, taint, key);
        text_add(&bare, taint + value);
        ret[count++] = where_hash(text_get(&bare), bare.len);
    }
    if (len > value)
        ret[count++] = where_hash(taint, len);
    return count;
}

/* ---- what jobs say ---- */

bool model_word(char *to, size_t size, const char *model)
{
    size_t len = 0;
    for (; *model && len + 1 < size; model++) {
        char c = *model;
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
            to[len++] = c;
    }
    to[len] = '\0';
    return len > 0;
}

bool model_is_like(const char *model, const char *word)
{
    char of[FLEET_NAME];
    return model_word(of, sizeof of, model) && strstr(of, word) != NULL;
}

static uint32_t hash_each(const char *list, int64_t *ret, uint32_t most)
{
    uint32_t count = 0;
    for (const char *at = list; *at && count < most;) {
        size_t len = strcspn(at, ",");
        ret[count++] = where_hash(at, len);
        at += len + (at[len] == ',');
    }
    return count;
}

/* It is taken out of what nodes must have; no label's hash is negative. */
enum { NO_LABEL = -1 };
static void read_preference(struct where *w)
{
    const char *key = WHERE_PREFERS_MODEL "=";
    uint32_t i = 0;
    for (const char *at = w->selector; *at && i < w->pairs; i++) {
        size_t len = strcspn(at, ",");
        if (strncmp(at, key, strlen(key)) == 0) {
            char value[FLEET_NAME];
            snprintf(value, sizeof value, "%.*s", (int)(len - strlen(key)), at + strlen(key));
            model_word(w->prefers, sizeof w->prefers, value);
            w->pair[i] = NO_LABEL;
        }
        at += len + (at[len] == ',');
    }
}

void where_fill(struct where *ret, const char *selector, const char *tolerations)
{
    *ret = (struct where){0};
    snprintf(ret->selector, sizeof ret->selector, "%s", selector ? selector : "");
    snprintf(ret->tolerations, sizeof ret->tolerations, "%s", tolerations ? tolerations : "");
    ret->pairs = hash_each(ret->selector, ret->pair, JOB_PAIRS_MOST);
    read_preference(ret);
    ret->toleration_count = hash_each(ret->tolerations, ret->tolerated, JOB_TOLERATIONS_MOST);
}

/* Both texts, so that neither can be taken for a piece of the other. */
static struct tree_key where_key(const char *selector, const char *tolerations)
{
    struct tree_key key;
    struct digest_state *s = digest_begin();
    digest_add(s, selector, strlen(selector) + 1);
    digest_add(s, tolerations, strlen(tolerations) + 1);
    struct digest d = digest_end(s);
    memcpy(&key, d.bytes, sizeof key);
    return key;
}

uint32_t where_take(struct fleet *f, const char *selector, const char *tolerations)
{
    struct where w;
    if ((!selector || !selector[0]) && (!tolerations || !tolerations[0]))
        return 0;
    where_fill(&w, selector, tolerations);
    struct tree_key key = where_key(w.selector, w.tolerations);
    uint32_t row = tree_find(&f->view.where_texts, &f->tree_nodes.view, key);
    if (row == NO_ROW) {
        row = table_add(&f->wheres);
        *(struct where *)table_edit(&f->wheres, row) = w;
        tree_put(&f->view.where_texts, &f->tree_nodes, key, row);
    }
    ((struct where *)table_edit(&f->wheres, row))->jobs++;
    return row;
}

void where_drop(struct fleet *f, uint32_t row)
{
    if (!row)
        return;
    struct where *w = table_edit(&f->wheres, row);
    if (--w->jobs)
        return;
    tree_remove(&f->view.where_texts, &f->tree_nodes, where_key(w->selector, w->tolerations));
    table_remove(&f->wheres, row);
}

const struct where *fleet_where(const struct fleet_view *v, uint32_t row)
{
    return row == NO_ROW ? v->other_where : row ? table_row(&v->wheres, row) : NULL;
}

const char *fleet_selector(const struct fleet_view *v, const struct job *j)
{
    const struct where *w = fleet_where(v, j->where);
    return w ? w->selector : "";
}

const char *fleet_tolerations(const struct fleet_view *v, const struct job *j)
{
    const struct where *w = fleet_where(v, j->where);
    return w ? w->tolerations : "";
}

/* ---- what nodes have ---- */

const struct node_labels *fleet_labels(const struct fleet_view *v, uint32_t row)
{
    return row ? table_row(&v->node_labels, row) : NULL;
}

const struct node_taint *fleet_taint(const struct fleet_view *v, uint32_t row)
{
    return row ? table_row(&v->node_taints, row) : NULL;
}

bool node_has_label(const struct fleet_view *v, const struct node *n, int64_t label)
{
    for (const struct node_labels *l = fleet_labels(v, n->labels); l; l = fleet_labels(v, l->next))
        for (uint32_t i = 0; i < l->count; i++)
            if (l->at[i] == label)
                return true;
    return false;
}

int node_lacks(const struct fleet_view *v, const struct node *n, const struct where *w)
{
    for (uint32_t i = 0; w && i < w->pairs; i++)
        if (w->pair[i] != NO_LABEL && !node_has_label(v, n, w->pair[i]))
            return (int)i;
    return -1;
}

static bool bears(const struct where *w, const struct node_taint *t)
{
    for (uint32_t i = 0; w && i < w->toleration_count; i++)
        for (uint32_t k = 0; k < t->forms; k++)
            if (w->tolerated[i] == t->form[k])
                return true;
    return false;
}

const struct node_taint *node_repels(const struct fleet_view *v, const struct node *n,
                                     const struct where *w, unsigned gpus)
{
    for (const struct node_taint *t = fleet_taint(v, n->taints); t; t = fleet_taint(v, t->next))
        if (!(t->is_gpu && gpus) && !bears(w, t))
            return t;
    return NULL;
}

void node_forget_labels(struct fleet *f, struct node *n)
{
    for (uint32_t row = n->labels, next; row; row = next) {
        next = ((const struct node_labels *)table_row(&f->node_labels.view, row))->next;
        table_remove(&f->node_labels, row);
    }
    n->labels = 0;
}

void node_forget_taints(struct fleet *f, struct node *n)
{
    for (uint32_t row = n->taints, next; row; row = next) {
        next = ((const struct node_taint *)table_row(&f->node_taints.view, row))->next;
        table_remove(&f->node_taints, row);
    }
    n->taints = 0;
}

void node_add_labels(struct fleet *f, struct node *n, const int64_t *labels, size_t count)
{
    uint32_t last = n->labels;
    while (last && ((const struct node_labels *)table_row(&f->node_labels.view, last))->next)
        last = ((const struct node_labels *)table_row(&f->node_labels.view, last))->next;
    for (size_t i = 0; i < count; i++) {
        struct node_labels *l = last ? table_edit(&f->node_labels, last) : NULL;
        if (!l || l->count == WHERE_CHUNK) {
            uint32_t row = table_add(&f->node_labels);
            if (last)
                ((struct node_labels *)table_edit(&f->node_labels, last))->next = row;
            else
                n->labels = row;
            last = row;
            l = table_edit(&f->node_labels, row);
        }
        l->at[l->count++] = labels[i];
    }
}

void node_add_taint(struct fleet *f, struct node *n, const struct node_taint *taint)
{
    uint32_t row = table_add(&f->node_taints), last = n->taints;
    struct node_taint *t = table_edit(&f->node_taints, row);
    *t = *taint;
    t->next = 0;
    if (!last) {
        n->taints = row;
        return;
    }
    while (((const struct node_taint *)table_row(&f->node_taints.view, last))->next)
        last = ((const struct node_taint *)table_row(&f->node_taints.view, last))->next;
    ((struct node_taint *)table_edit(&f->node_taints, last))->next = row;
}
