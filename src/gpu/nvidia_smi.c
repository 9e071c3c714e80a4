/*
 * NVIDIA GPUs through the program nvidia-smi, for nodes where the library cannot be used. It is
 * asked once a round for all devices; energy, events and the use by each process cannot be had.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "gpu/backend.h"
#include "gpu/child.h"
#include "gpu/smi_csv.h"

struct gpu_session {
    char *program;
    int64_t timeout_ms;
    struct gpu_pulse *pulse;
    struct smi_query query;
    struct child_output said;
    struct gpu_driver driver;
    int64_t asked_ms; /* boot clock: when the rows were asked for */
    size_t row_count;
    struct smi_row *rows; /* of the last round */
    unsigned count;
    struct gpu_info infos[GPU_MAX_DEVICES]; /* of the first round: the devices of this session */
};

/* Exit status other than 0: what it said, its first line. */
static int refused(const struct child_output *said, struct err *e)
{
    const char *text = said->err.len ? text_get(&said->err) : text_get(&said->out);
    char line[200];
    snprintf(line, sizeof line, "%.*s", (int)strcspn(text, "\n"), text);
    gpu_clean_text(line, sizeof line);
    return err_set(e, ERR_UNAVAILABLE, "nvidia-smi failed with status %d: %s", said->status, line);
}

static int run(struct gpu_session *s, const char *what, struct err *e)
{
    const char *const argv[] = {s->program, what, "--format=csv,noheader,nounits", NULL};
    if (child_run(argv, s->timeout_ms, s->pulse, &s->said, e) < 0)
        return -1;
    return s->said.status ? refused(&s->said, e) : 0;
}

static int ask_devices(struct gpu_session *s, struct err *e)
{
    auto_text struct text what = {0};
    text_add(&what, "--query-gpu=");
    for (size_t i = 0; i < s->query.count; i++)
        text_addf(&what, "%s%s", i ? "," : "", s->query.names[i]);

    s->row_count = 0;
    s->asked_ms = clock_boot_ms();
    if (run(s, text_get(&what), e) < 0)
        return -1;
    int rows = smi_rows_read(&s->query, text_get(&s->said.out), s->rows, GPU_MAX_DEVICES, e);
    if (rows < 0)
        return -1;
    s->row_count = (size_t)rows;
    return 0;
}

static int smi_begin(struct gpu_session *s, struct err *e)
{
    if (ask_devices(s, e) < 0) {
        if (e && e->code == ERR_NOT_FOUND)
            e->code = ERR_UNAVAILABLE; /* it was there when we began */
        return -1;
    }
    /* Without the list of processes the readings still count. */
    if (run(s, "--query-compute-apps=gpu_uuid,pid,used_gpu_memory", NULL) == 0)
        smi_processes_read(text_get(&s->said.out), s->rows, s->row_count);
    return 0;
}

static void smi_close(struct gpu_session *s)
{
    if (!s)
        return;
    child_output_done(&s->said);
    free(s->program);
    free(s->rows);
    free(s);
}

/* The long list where the program says that it knows it; if it refuses all the same, the short. */
static int first_round(struct gpu_session *s, struct err *e)
{
    const char *const argv[] = {s->program, "--help-query-gpu", NULL};
    if (child_run(argv, s->timeout_ms, s->pulse, &s->said, e) < 0)
        return -1;
    bool known = s->said.status == 0 && s->said.out.len > 0;
    smi_query_choose(known ? text_get(&s->said.out) : NULL, &s->query);

    if (ask_devices(s, e) == 0)
        return 0;
    if (!known)
        return -1;
    smi_query_choose(NULL, &s->query);
    return ask_devices(s, e);
}

static int smi_open(const struct gpu_backend_config *config, struct gpu_session **ret,
                    struct err *e)
{
    struct gpu_session *s = mem_new(struct gpu_session);
    s->program = mem_strdup(config->program ? config->program : "nvidia-smi");
    s->timeout_ms = config->timeout_ms > 0 ? config->timeout_ms : 5000;
    s->pulse = config->pulse;
    s->rows = mem_new_array(struct smi_row, GPU_MAX_DEVICES);
    if (first_round(s, e) < 0) {
        smi_close(s);
        return -1;
    }

    s->count = (unsigned)s->row_count;
    for (unsigned i = 0; i < s->count; i++)
        s->infos[i] = s->rows[i].info;
    memcpy(s->driver.driver_version, s->rows[0].driver_version, sizeof s->driver.driver_version);
    *ret = s;
    return 0;
}

static void smi_driver(struct gpu_session *s, struct gpu_driver *ret)
{
    *ret = s->driver;
}

static unsigned smi_count(struct gpu_session *s)
{
    return s->count;
}

static int smi_info(struct gpu_session *s, unsigned index, struct gpu_info *ret, struct err *e)
{
    if (index >= s->count)
        return err_set(e, ERR_NOT_FOUND, "there is no GPU %u", index);
    *ret = s->infos[index];
    return 0;
}

static int smi_sample(struct gpu_session *s, unsigned index, struct gpu_sample *ret, struct err *e)
{
    for (size_t i = 0; index < s->count && i < s->row_count; i++) {
        const struct smi_row *row = &s->rows[i];
        if (strcmp(row->info.uuid, s->infos[index].uuid) != 0)
            continue;
        if (row->lost)
            return err_set(e, ERR_NOT_FOUND, "nvidia-smi says that the GPU is lost");
        if (row->needs_reset)
            return err_set(e, ERR_CONFLICT, "nvidia-smi says that the GPU needs a reset");
        *ret = row->sample;
        ret->boot_ms = s->asked_ms;
        return 0;
    }
    return err_set(e, ERR_NOT_FOUND, "nvidia-smi no longer names the GPU");
}

const struct gpu_backend gpu_backend_nvidia_smi = {
    .name = "nvidia-smi",
    .open = smi_open,
    .close = smi_close,
    .driver = smi_driver,
    .count = smi_count,
    .info = smi_info,
    .begin = smi_begin,
    .sample = smi_sample,
};
