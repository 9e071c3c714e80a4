/* Who may do what: roles and permissions as one table. */
#ifndef CORE_ACCESS_ACCESS_H
#define CORE_ACCESS_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

/* The numbers are stored: only ever add at the end. */
enum role { ROLE_ADMIN, ROLE_OPERATOR, ROLE_USER, ROLE_VIEWER, ROLE_SERVICE, ROLES };
const char *role_name(int role);
int role_find(const char *name); /* -1: no such role */

enum permission {
    PERMISSION_NONE,  /* answers without a token */
    PERMISSION_TOKEN, /* any valid token */
    PERMISSION_SUBMIT,
    PERMISSION_SEE_QUEUE,  /* that jobs exist, whose, where, since when */
    PERMISSION_JOBS_READ,  /* name, command, logs */
    PERMISSION_JOBS_WRITE, /* cancel, retry, delete */
    PERMISSION_METRICS,    /* nodes, devices, use */
    PERMISSION_COST,
    PERMISSION_OPERATE, /* nodes, holds */
    PERMISSION_LEDGER,
    PERMISSION_ADMIN, /* users, tokens, configuration */
    PERMISSION_NODE,  /* agents, with their node's key */
    PERMISSION_ENROL, /* new agents, with a one-time token */
    PERMISSIONS
};
const char *permission_name(enum permission p); /* as in openapi.yaml: "jobs_read" */

enum scope { SCOPE_NOTHING, SCOPE_OWN, SCOPE_ALL };

/* How far a role's permission goes. NODE and ENROL belong to no role. */
enum scope access_scope(int role, enum permission p);

/* May act as another user: the ledger names both. */
bool access_may_act_for(int role);

#endif
