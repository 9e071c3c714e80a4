/* After a start of the agent: which attempts are here, and what has become of them. */
#include "agent/agent.h"
#include "agent/sampler.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#include <dirent.h>
#include <string.h>

/* Counting goes on where the last agent stopped; a gap counts as unmeasured if there is no counter.
 */
static void read_meters(struct attempt *a)
{
    auto_free char *path = mem_printf("%s/energy", a->folder);
    auto_free char *text = NULL;
    size_t len;
    if (a->meter_count && file_read(path, 65536, &text, &len, NULL) == 0)
        energy_read(a->meters, a->meter_count, text);
}

static int read_spec(const char *folder, struct attempt_spec *ret, struct err *e)
{
    auto_free char *path = mem_printf("%s/spec", folder);
    auto_free char *text = NULL;
    size_t len;
    attempt_spec_init(ret);
    if (file_read(path, ATTEMPT_SPEC_MOST, &text, &len, e) < 0)
        return -1;
    return attempt_spec_parse(ret, text, len, e);
}

/* A spec that is damaged: what is needed to tell of the attempt stands elsewhere, too. */
static bool guess_spec(const char *name, const struct attempt_status *st, struct attempt_spec *ret)
{
    long long job, n;
    const char *id = st->has_started ? st->started.id : st->end.id;
    const char *last = strrchr(name, '-'), *before = last;
    while (before > name && before[-1] != '-')
        before--;
    if (!last || !id[0] || sscanf(before, "%lld-%lld", &job, &n) != 2 || job <= 0 || n <= 0)
        return false;
    attempt_spec_done(ret);
    attempt_spec_init(ret);
    memcpy(ret->id, id, sizeof ret->id);
    ret->job_id = job;
    ret->number = n;
    return true;
}

static void adopt(struct agent *agent, const char *name)
{
    struct err e = {0};
    auto_free char *folder = mem_printf("%s/%s", agent->data.attempts, name);
    auto_attempt_spec struct attempt_spec spec = {0};
    auto_attempt_status struct attempt_status st = {0};
    if (attempt_state(folder, &st, &e) < 0) {
        log_error("the state of a job cannot be read", F_TEXT("folder", folder), F_ERR(&e));
        return;
    }
    if (st.state == ATTEMPT_NEVER_STARTED) {
        /* The control plane was told nothing of it and sends its start again. */
        file_remove_tree(folder, NULL);
        return;
    }
    if (read_spec(folder, &spec, &e) < 0 && !guess_spec(name, &st, &spec)) {
        log_error("what a job was cannot be read, leaving it alone", F_TEXT("folder", folder),
                  F_ERR(&e));
        return;
    }
    struct attempt *a = attempt_add(agent, spec.id, spec.job_id, spec.number, name);
    a->folder = TAKE(folder);
    attempt_set_device_text(a, spec.devices);
    read_meters(a);
    a->phase = PHASE_RUNNING;
    if (st.has_started) {
        int64_t ran_ms = clock_wall_ms() - st.started.wall_ms;
        a->started_mono_ms = clock_mono_ms() - (ran_ms > 0 ? ran_ms : 0);
    }
    char why[sizeof a->cancel_why];
    a->cancel_asked = attempt_cancel_read(a->folder, why, sizeof why);
    log_info("job found again", F_INT("job", a->job), F_INT("attempt", a->n),
             F_TEXT("state", attempt_status_name(st.state)));
    log_push_begin(a, false);
    finish_by_folder(a);
}

void adopt_all(struct agent *agent)
{
    DIR *d = opendir(agent->data.attempts);
    if (!d)
        return;
    for (struct dirent *entry; (entry = readdir(d));)
        if (entry->d_name[0] != '.')
            adopt(agent, entry->d_name);
    closedir(d);
    (void)FAILPOINT("agent.after_adopt");
}
