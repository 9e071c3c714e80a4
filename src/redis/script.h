/* What Redis runs for us in one step: Lua, sent by its hash once Redis knows it. */
#ifndef REDIS_SCRIPT_H
#define REDIS_SCRIPT_H

#include <stddef.h>

enum redis_script {
    SCRIPT_LOOK,  /* is all as it was left? */
    SCRIPT_TAKE,  /* entries of others: from the queue into the intake */
    SCRIPT_BURY,  /* one of the intake that is no job: to the dead ones */
    SCRIPT_LIST,  /* what of ours stands in the list */
    SCRIPT_DROP,  /* from the list, by place and hash */
    SCRIPT_HASH,  /* what of ours stands in the hash */
    SCRIPT_ASIDE, /* keys that are of another type: renamed */
    SCRIPTS
};

/* Its text, and the SHA-1 that Redis knows it by (40 hex digits). */
const char *redis_script_text(enum redis_script s);
const char *redis_script_sha(enum redis_script s);

#endif
