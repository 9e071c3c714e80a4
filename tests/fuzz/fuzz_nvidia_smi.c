/* Whatever nvidia-smi prints: as its list of fields, as rows of the long and the short query, as
 * processes. What is taken is a reading or none, and text that can be shown. */
#include "base/mem.h"
#include "gpu/smi_csv.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct smi_row rows[GPU_MAX_DEVICES];

static void read_rows(const struct smi_query *q, const char *text)
{
    struct err e = {0};
    int count = smi_rows_read(q, text, rows, GPU_MAX_DEVICES, &e);
    if (count < 0) {
        assert(e.code != ERR_NONE && text_is_utf8(e.text, strlen(e.text)));
        return;
    }
    smi_processes_read(text, rows, (size_t)count);
    for (int i = 0; i < count; i++) {
        const struct gpu_sample *s = &rows[i].sample;
        assert(rows[i].info.uuid[0]);
        assert(text_is_utf8(rows[i].info.name, strlen(rows[i].info.name)));
        assert(s->process_count <= GPU_MAX_PROCESSES && s->process_count <= s->process_total);
        for (int k = 0; k < GPU_READING_COUNT; k++)
            assert(s->readings[k] >= 0 || s->readings[k] == GPU_NO_READING ||
                   k == GPU_READING_temperature_margin_c);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_free char *text = mem_strndup((const char *)data, size);
    struct smi_query q;
    smi_query_choose(text, &q);
    read_rows(&q, text);
    smi_query_choose(NULL, &q);
    read_rows(&q, text);
    q.count = 0;
    for (size_t i = 0; i < smi_field_count; i++) {
        q.fields[q.count] = &smi_fields[i];
        q.names[q.count++] = smi_fields[i].name;
    }
    read_rows(&q, text);
    return 0;
}
