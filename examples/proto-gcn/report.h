/*
 * What others see of a run: a line per epoch, progress for the scheduler, and files in the result
 * folder (metrics.csv, result.json).
 */
#ifndef PROTO_GCN_REPORT_H
#define PROTO_GCN_REPORT_H

#include "train.h"

/* The file named in REEVE_PROGRESS_FILE, or else in ARGO_PROGRESS_FILE, holds "DONE/ALL" steps. */
struct progress {
    int fd;          /* -1: nobody asked, or it cannot be written */
    int64_t percent; /* last written */
};

void progress_open(struct progress *p);
/* Writes when the whole percentage changed: that is all a bar can show. */
void progress_set(struct progress *p, const struct training *t);
void progress_close(struct progress *p);

void report_start(const struct training *t);
void report_epoch(const struct training *t);
/* Accuracy on held-back data, of all and of each class. */
void report_test(const struct training *t, const struct score *test);

int report_metrics(const struct training *t, const char *dir, struct why *w);
int report_result(const struct training *t, const struct score *test, double seconds, bool resumed,
                  const char *dir, struct why *w);

#endif
