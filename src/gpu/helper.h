/* The process in which GPU drivers are called. It speaks with gpu/watch.c over a socket. */
#ifndef GPU_HELPER_H
#define GPU_HELPER_H

/* The argument that turns a program into the helper: main() hands over when argv[1] is this. */
#define GPU_HELPER_ARG "--gpu-helper"

/* Runs until its parent is gone or the driver is; what it returns is the exit code. Call it first
 * thing in main(), before threads and allocations. */
int gpu_helper_main(void);

#endif
