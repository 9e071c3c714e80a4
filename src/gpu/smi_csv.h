/*
 * What nvidia-smi prints, read without trusting it: every form of "no value" becomes no value, and
 * so does what is not of the expected type.
 */
#ifndef GPU_SMI_CSV_H
#define GPU_SMI_CSV_H

#include "base/err.h"
#include "base/text.h"
#include "gpu/gpu.h"

/* How a column is read. */
enum smi_kind {
    SMI_NUMBER,   /* "81559", "631.95", "-3", each perhaps with a unit behind */
    SMI_MASK,     /* "0x00000000000001FF" */
    SMI_PSTATE,   /* "P0" */
    SMI_YES,      /* "Yes", "Enabled", "Active" are 1, their opposites 0 */
    SMI_RECOVERY, /* "None", "Reset", ...: GPU_RECOVERY_... */
    SMI_TEXT,
    SMI_COMPUTE, /* "9.0" */
    SMI_DRIVER,  /* text that is the same for all devices */
};

struct smi_field {
    const char *name;
    const char *old_name; /* an alias that older drivers know; NULL: none */
    enum smi_kind kind;
    int64_t scale;      /* of a number: "1" becomes this */
    int reading;        /* GPU_READING_..., or -1 */
    size_t info_offset; /* in struct gpu_info, 0: none */
    size_t info_size;   /* of a text there */
    bool minimal;       /* every driver knows it: asked for when the long list is refused */
};
extern const struct smi_field smi_fields[];
enum { SMI_MOST_FIELDS = 64 };
extern const size_t smi_field_count;

/* Which fields to ask for, and under which name. */
struct smi_query {
    size_t count;
    const struct smi_field *fields[SMI_MOST_FIELDS];
    const char *names[SMI_MOST_FIELDS];
};

/* The fields that the text of --help-query-gpu (NULL: unknown) lists; without it the minimal ones.
 */
void smi_query_choose(const char *help, struct smi_query *ret);

/* One device as nvidia-smi told. */
struct smi_row {
    struct gpu_info info;
    struct gpu_sample sample;
    char driver_version[80];
    bool lost, needs_reset; /* said so instead of values */
};

/*
 * Reads the answer to Q, printed without header and units, into ROWS. Returns how many; lines that
 * cannot be rows are passed over. -1: not one line is a row; E quotes the first.
 */
int smi_rows_read(const struct smi_query *q, const char *text, struct smi_row *rows, size_t room,
                  struct err *e);

/* Adds the processes of "uuid, pid, used MiB" lines to the rows with these UUIDs. */
void smi_processes_read(const char *text, struct smi_row *rows, size_t count);

/* For tests: a single value. GPU_NO_READING for every form of none. */
int64_t smi_value(enum smi_kind kind, const char *value, int64_t scale);

#endif
