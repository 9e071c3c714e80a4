/* A place for attempts, and shims that really run in it. */
#ifndef UNIT_NODE_RIG_H
#define UNIT_NODE_RIG_H

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "node/attempt_folder.h"
#include "node/job_log.h"
#include "node/launcher.h"
#include "test.h"

#define RIG_UID 1900000123 /* who jobs run as when the tests run as root */

struct rig {
    char root[64];
    char *folder; /* of the attempt */
    struct attempt_spec spec;
    struct shim_process shim;
};

/* A fresh place and a spec that runs `sh -c SCRIPT` in "/". */
void rig_open(struct rig *r, const char *script);
void rig_done(struct rig *r);

/* Starts the shim; the test fails when it cannot. */
void rig_start(struct rig *r);
/* Waits until it said something. */
enum shim_news rig_news(struct rig *r, struct err *e);
/* Waits for the shim's end; STATUS is to be freed. Returns what shim_reap() says. */
int rig_wait(struct rig *r, struct attempt_status *ret);
/* All three. */
int rig_run(struct rig *r, struct attempt_status *ret);

/* The whole log; freed by the caller. */
char *rig_log(struct rig *r);
/* The text of a file below the rig's root, NULL when there is none; freed by the caller. */
char *rig_file(struct rig *r, const char *name);
/* Waits up to ten seconds for a file below the root to have a whole line, and returns its text. */
char *rig_wait_for(struct rig *r, const char *name);
char *rig_path(struct rig *r, const char *name);

/* Whether that process is there and no zombie. */
bool is_alive(pid_t pid);
bool wait_until_gone(pid_t pid);

#define auto_rig    AUTO(rig_done)
#define auto_status AUTO(attempt_status_done)

#endif
