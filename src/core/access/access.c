#include "core/access/access.h"

#include <string.h>

static const char *const roles[ROLES] = {"admin", "operator", "user", "viewer", "service"};

const char *role_name(int role)
{
    return role >= 0 && role < ROLES ? roles[role] : "unknown";
}

int role_find(const char *name)
{
    for (int i = 0; i < ROLES; i++)
        if (strcmp(roles[i], name) == 0)
            return i;
    return -1;
}

const char *permission_name(enum permission p)
{
    static const char *const names[PERMISSIONS] = {
        "none", "token",   "submit", "see_queue", "jobs_read", "jobs_write", "metrics",
        "cost", "operate", "ledger", "admin",     "node",      "enrol",
    };
    return p < PERMISSIONS ? names[p] : "unknown";
}

/* clang-format off */
#define NO  SCOPE_NOTHING
#define OWN SCOPE_OWN
#define ALL SCOPE_ALL
static const enum scope scopes[PERMISSIONS][ROLES] = {
    /*                         admin operator user viewer service */
    [PERMISSION_NONE]       = {ALL,  ALL,     ALL, ALL,   ALL},
    [PERMISSION_TOKEN]      = {ALL,  ALL,     ALL, ALL,   ALL},
    [PERMISSION_SUBMIT]     = {ALL,  ALL,     OWN, NO,    ALL},
    [PERMISSION_SEE_QUEUE]  = {ALL,  ALL,     ALL, ALL,   ALL},
    [PERMISSION_JOBS_READ]  = {ALL,  ALL,     OWN, NO,    OWN},
    [PERMISSION_JOBS_WRITE] = {ALL,  ALL,     OWN, NO,    OWN},
    [PERMISSION_METRICS]    = {ALL,  ALL,     OWN, ALL,   NO},
    [PERMISSION_COST]       = {ALL,  ALL,     OWN, ALL,   NO},
    [PERMISSION_OPERATE]    = {ALL,  ALL,     NO,  NO,    NO},
    [PERMISSION_LEDGER]     = {ALL,  ALL,     NO,  NO,    NO},
    [PERMISSION_ADMIN]      = {ALL,  NO,      NO,  NO,    NO},
    [PERMISSION_NODE]       = {NO,   NO,      NO,  NO,    NO},
    [PERMISSION_ENROL]      = {NO,   NO,      NO,  NO,    NO},
};
/* clang-format on */

enum scope access_scope(int role, enum permission p)
{
    return role >= 0 && role < ROLES && p < PERMISSIONS ? scopes[p][role] : SCOPE_NOTHING;
}

bool access_may_act_for(int role)
{
    return role == ROLE_ADMIN || role == ROLE_OPERATOR || role == ROLE_SERVICE;
}
