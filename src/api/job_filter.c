#include "api/job_filter.h"

#include "api/door.h"
#include "api/job_spec.h"
#include "base/mem.h"

/* In characters. */
enum { TEXT_MOST = 64, LABEL_NAME_MOST = 63, LABEL_VALUE_MOST = 256 };

static int read_states(const char *list, unsigned *ret, struct err *e)
{
    char word[16];
    *ret = 0;
    for (;;) {
        size_t len = strcspn(list, ",");
        snprintf(word, sizeof word, "%.*s", (int)(len < sizeof word ? len : sizeof word), list);
        int state = job_state_find(word);
        if (state < 0 || strcmp(job_state_name((enum job_state)state), word) != 0) {
            err_set(e, ERR_INVALID, "parameter state: '%.40s' is no state of a job", word);
            return err_blame(e, "state");
        }
        *ret |= 1U << state;
        if (!list[len])
            return 0;
        list += len + 1;
    }
}

static int read_name(struct call *c, const char *name, const char **ret, struct err *e)
{
    *ret = http_query_get(c->request, name);
    if (!*ret || text_is_name(*ret, FLEET_NAME - 1))
        return 0;
    err_set(e, ERR_INVALID, "parameter %s must be letters, digits, '.', '_' and '-'", name);
    return err_blame(e, "%s", name);
}

static bool is_plain(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return false;
    return true;
}

/* Of UTF-8: all bytes but those that go on with a character. */
static size_t characters(const char *s)
{
    size_t count = 0;
    for (; *s; s++)
        count += ((unsigned char)*s & 0xc0) != 0x80;
    return count;
}

static int read_text(struct call *c, const char **ret, struct err *e)
{
    *ret = http_query_get(c->request, "q");
    size_t len = *ret ? characters(*ret) : 1;
    if (!*ret || (len && len <= TEXT_MOST && is_plain(*ret)))
        return 0;
    err_set(e, ERR_INVALID, "parameter q must be 1 to %d characters, none of them to control",
            TEXT_MOST);
    return err_blame(e, "q");
}

static bool is_label_name(const char *s, size_t len)
{
    static const char chars[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-";
    return len && len <= LABEL_NAME_MOST && strspn(s, chars) >= len && !strchr("._/-", s[0]);
}

struct label_reading {
    struct job_filter *filter;
    const char *why; /* NULL: all is well */
};

static bool on_param(void *arg, const char *name, const char *value)
{
    struct label_reading *l = arg;
    struct job_filter *f = l->filter;
    if (strcmp(name, "label") != 0)
        return true;
    size_t len = strcspn(value, "=");
    struct label_filter *label = &f->labels[f->label_count];
    if (f->label_count == FILTER_LABELS_MOST)
        l->why = "may be there at most 16 times";
    else if (!is_label_name(value, len) || !value[len])
        l->why = "must be NAME=VALUE";
    else if (!is_plain(value) || characters(value + len + 1) > LABEL_VALUE_MOST)
        l->why = "has a value that no label may have";
    if (l->why)
        return false;
    snprintf(label->name, sizeof label->name, "%.*s", (int)len, value);
    label->value = value + len + 1;
    f->label_count++;
    return true;
}

static int read_labels(struct call *c, struct job_filter *f, struct err *e)
{
    struct label_reading l = {.filter = f};
    http_query_each(c->request, on_param, &l);
    if (!l.why)
        return 0;
    err_set(e, ERR_INVALID, "parameter label %s", l.why);
    return err_blame(e, "label");
}

int job_filter_read(struct call *c, const struct fleet_view *v, struct job_filter *ret,
                    struct err *e)
{
    const char *user, *states = http_query_get(c->request, "state");
    *ret = (struct job_filter){.call = c, .view = v, .states = JOBS_OPEN | JOBS_ENDED};
    if (read_name(c, "user", &user, e) < 0 || read_name(c, "team", &ret->team, e) < 0 ||
        (states && read_states(states, &ret->states, e) < 0) || read_text(c, &ret->text, e) < 0 ||
        read_labels(c, ret, e) < 0)
        return -1;
    if (user) {
        const struct principal *p = fleet_principal_named(v, user);
        ret->principal = p ? p->id : 0;
        ret->none = !p;
    }
    return 0;
}

/* ---- one job ---- */

/* By what everybody sees, and the user's name where the reader sees that. */
static bool has_text_outside(const struct job_filter *f, const struct job_outline *j,
                             enum sight sight)
{
    char id[24];
    snprintf(id, sizeof id, "%lld", (long long)j->id);
    if (strstr(id, f->text))
        return true;
    const struct principal *p = fleet_principal(f->view, j->principal);
    return p && caller_sees_user(f->call->api, sight) && strcasestr(p->name, f->text);
}

static bool has_labels(const struct job_filter *f, const struct job_spec_row *row)
{
    struct job_spec spec;
    job_spec_read(row->spec, &spec);
    for (unsigned i = 0; i < f->label_count; i++)
        if (!job_spec_has_label(&spec, f->labels[i].name, f->labels[i].value))
            return false;
    return true;
}

enum filter_word job_filter_passes(const struct job_filter *f, const struct job_outline *j,
                                   const struct job_spec_row *spec)
{
    if (!(f->states & 1U << j->state) || (f->principal && f->principal != j->principal))
        return FILTER_NO;
    if (!f->principal && !f->team && !f->text && !f->label_count)
        return FILTER_YES;
    enum sight sight = caller_sight(&f->call->caller, j->principal, j->submitter);
    if (f->principal && !caller_sees_user(f->call->api, sight))
        return FILTER_NO;
    if (f->team && (sight < SIGHT_COST || strcmp(f->team, j->team ? j->team : "") != 0))
        return FILTER_NO;
    if (f->label_count && sight < SIGHT_ALL)
        return FILTER_NO;

    bool text = !f->text || has_text_outside(f, j, sight);
    if (!text && sight < SIGHT_ALL)
        return FILTER_NO;
    if (text && !f->label_count)
        return FILTER_YES;
    if (!spec)
        return FILTER_UNSURE;
    text = text || (spec->name && strcasestr(spec->name, f->text));
    return text && has_labels(f, spec) ? FILTER_YES : FILTER_NO;
}
