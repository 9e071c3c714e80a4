/* Runs a vendor's program and keeps what it says. Blocks; only in the helper process. */
#ifndef GPU_CHILD_H
#define GPU_CHILD_H

#include "base/text.h"
#include "gpu/backend.h"

struct child_output {
    struct text out, err;
    int status; /* exit status; 128 + N when signal N ended it */
};

/*
 * Runs ARGV (found in PATH, ends with NULL), LC_ALL=C, its input empty. It dies with us, and is
 * killed after TIMEOUT_MS; if it cannot die, it is left behind. OUT is emptied first.
 * ERR_NOT_FOUND: there is no such program. ERR_TIMEOUT: killed. ERR_TOO_LARGE: it said more than
 * CHILD_MOST bytes. An exit status other than 0 is no failure here.
 */
enum { CHILD_MOST = 1 << 20 };
int child_run(const char *const argv[], int64_t timeout_ms, struct gpu_pulse *pulse,
              struct child_output *ret, struct err *e);
void child_output_done(struct child_output *o);

#endif
