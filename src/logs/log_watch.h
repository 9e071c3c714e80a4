/* Who wants to hear of changes to which attempt's log; shared by the members. */
#ifndef LOGS_LOG_WATCH_H
#define LOGS_LOG_WATCH_H

#include "logs/log_store.h"

struct log_watchers;

/* Never NULL. Freed once nobody watches any more. */
struct log_watchers *log_watchers_new(void);
void log_watchers_free(struct log_watchers *w);

struct log_watch *log_watchers_add(struct log_watchers *w, struct log_ref ref,
                                   log_on_change on_change, void *arg);
/* The watch's function does not run any more when this returns. */
void log_watchers_remove(struct log_watch *watch);
/* Calls everyone who watches REF; with no member's lock held. Any thread. */
void log_watchers_tell(struct log_watchers *w, struct log_ref ref);

#endif
