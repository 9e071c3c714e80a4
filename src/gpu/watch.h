/*
 * The GPUs of this node, watched from a libuv loop that never waits for a driver: a helper process
 * makes the calls, and is killed when one does not come back. Belongs to the loop's thread; the
 * callbacks run there. The helper dies with the thread that started it, so start on a thread that
 * lives as long as the program.
 */
#ifndef GPU_WATCH_H
#define GPU_WATCH_H

#include "base/err.h"
#include "gpu/gpu.h"

#include <uv.h>

struct gpu_watch;

/* Texts are copied. All zero gives the defaults. */
struct gpu_watch_config {
    const char *backend;     /* "auto" (default), "nvml", "nvidia-smi", "none" */
    const char *library;     /* of NVML; NULL: libnvidia-ml.so.1 where the system finds it */
    const char *nvidia_smi;  /* the program; NULL: looked up in PATH */
    const char *helper;      /* the helper program; NULL: reeve-gpu-helper where it is found near
                                the running program, else that program with "--gpu-helper" */
    int64_t interval_ms;     /* between samples; 5000 */
    int64_t call_timeout_ms; /* a call into the driver that takes longer hangs; 5000 */
    int64_t look_again_ms;   /* without any GPU; 60000 */
};

struct gpu_watch_callbacks {
    /* A new report, good during the call (gpu_watch_last() keeps it until the next). Also when a
     * device is lost or the driver hangs: then with that health instead of readings. */
    void (*on_report)(void *arg, const struct gpu_report *report);
    /* Something about the watching itself went wrong; it goes on. Once a change, not once a try. */
    void (*on_trouble)(void *arg, const struct err *e);
    void *arg;
};

/* Reports begin with the loop's next turns. NULL: not started, E says why (bad configuration). */
struct gpu_watch *gpu_watch_start(uv_loop_t *loop, const struct gpu_watch_config *config,
                                  const struct gpu_watch_callbacks *callbacks, struct err *e);

/* Ends the helper; W is freed by the loop's next turns and must not be used any more. Samples asked
 * for are answered with ERR_UNAVAILABLE before this returns. NULL is fine. */
void gpu_watch_stop(struct gpu_watch *w);

/* From the next sample on. Takes one at once where the new interval has passed already. */
void gpu_watch_set_interval(struct gpu_watch *w, int64_t interval_ms);

/*
 * Asks for readings that are taken after this call (the gate before a start). CB runs once, never
 * from within this call: with a report (on_report has had it, too), or with REPORT NULL and E:
 * ERR_TIMEOUT (no answer within the call timeout), ERR_UNAVAILABLE (no word from the driver).
 * A node without GPU gets the report that says so.
 */
typedef void gpu_watch_sample_fn(void *arg, const struct gpu_report *report, const struct err *e);
void gpu_watch_sample_now(struct gpu_watch *w, gpu_watch_sample_fn *cb, void *arg);

/* The last report; NULL before the first. Good until the next turn of the loop. */
const struct gpu_report *gpu_watch_last(const struct gpu_watch *w);

/* The helper's process id, 0 when none runs: for measuring. */
int gpu_watch_helper_pid(const struct gpu_watch *w);

#endif
