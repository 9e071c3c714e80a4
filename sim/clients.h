/*
 * The processes of this machine whose environment names a simulated device in
 * CUDA_VISIBLE_DEVICES. Found without walking /proc each time: the kernel says which number the
 * newest process got, so only numbers since then are looked at; a full walk, which also finds
 * programs that took the variable on later, comes every ten seconds.
 */
#ifndef SIM_CLIENTS_H
#define SIM_CLIENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client {
    int pid, parent;
    uint64_t start_ticks; /* with PID, names the process for ever */
    int64_t start_ms;     /* on CLOCK_BOOTTIME */
    uint64_t devices;     /* bit of each one it names */
    uint64_t topmost;     /* those of them that no ancestor of it names */
};

struct clients;

/* PROC is "/proc", or a folder like it in tests. UUIDS are borrowed. */
struct clients *clients_new(const char *proc, const char *const *uuids, size_t count);
void clients_free(struct clients *c);

/* Looks again if the last look is older than 50 ms. BOOT_MS: CLOCK_BOOTTIME. */
void clients_refresh(struct clients *c, int64_t boot_ms);

/* Those of the last look, at most CLIENTS_MOST; good until the next. */
enum { CLIENTS_MOST = 1024 };
const struct client *clients_list(const struct clients *c, size_t *ret_count);

/* Which of UUIDS the value of CUDA_VISIBLE_DEVICES names: a list with commas of whole UUIDs or of
 * beginnings of at least 12 characters that are unique. */
uint64_t clients_match(const char *value, size_t len, const char *const *uuids, size_t count);

#endif
