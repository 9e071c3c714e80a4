/* What the door knows of each node's connection: whether its stream is up, when it reported last,
 * how its clock stands. In memory only. Any thread. */
#ifndef API_LINKS_H
#define API_LINKS_H

#include <stdbool.h>
#include <stdint.h>

struct links;

struct link_state {
    bool linked;
    int64_t last_report_ms; /* 0: not since we started */
    bool has_skew;
    int64_t skew_ms; /* its clock less ours */
};

struct links *links_new(void);
void links_free(struct links *l);

void links_set_linked(struct links *l, int64_t node, bool linked);
/* SKEW_MS may be NULL: the report did not tell. */
void links_reported(struct links *l, int64_t node, int64_t now_ms, const int64_t *skew_ms);
struct link_state links_get(struct links *l, int64_t node);
/* Counts the changes. */
uint64_t links_version(struct links *l);

#endif
