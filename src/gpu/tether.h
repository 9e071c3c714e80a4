/*
 * The watching end of a helper process: started, spoken to, and cut when it hangs. Belongs to the
 * loop's thread and never waits.
 */
#ifndef GPU_TETHER_H
#define GPU_TETHER_H

#include "base/err.h"
#include "gpu/wire.h"

#include <uv.h>

struct tether;

struct tether_callbacks {
    /* A whole frame with a known version; BODY is good during the call. */
    void (*on_frame)(void *arg, const struct wire_head *head, const void *body);
    /* It ended by itself or does not keep to the rules; nothing but on_gone comes after. The tether
     * is still to be cut. WHY: a sentence. */
    void (*on_end)(void *arg, const char *why);
    /* Its process is gone; the tether is freed. Comes once, after the cut, however late. */
    void (*on_gone)(void *arg);
    void *arg;
};

/* PROGRAM NULL: the running program itself. Never NULL unless E is set. */
struct tether *tether_start(uv_loop_t *loop, const char *program,
                            const struct tether_callbacks *callbacks, struct err *e);

/* The frame is small enough for the socket to take it at once. */
int tether_send(struct tether *t, enum wire_type type, const void *body, size_t len, struct err *e);

/* What the helper says it is doing. Good until the cut. */
struct gpu_pulse *tether_pulse(struct tether *t);
int tether_pid(const struct tether *t);

/*
 * Kills the helper and lets go of it: T must not be used any more. One that sleeps in the kernel
 * cannot die yet; nothing waits for it, and it does not keep the loop alive.
 */
void tether_cut(struct tether *t);

#endif
