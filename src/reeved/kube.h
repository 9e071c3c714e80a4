/* The cluster that the options name, if they name one. */
#ifndef REEVED_KUBE_H
#define REEVED_KUBE_H

#include "cluster/cluster.h"
#include "reeved/options.h"

/* Reads what the options name; texts of RET are O's. KUBE of RET is NULL where there is no cluster:
 * that is no error. What cluster_start() would take over is freed by kube_options_done() where it
 * is not called. */
int kube_read_options(const struct reeved_options *o, struct cluster_config *ret, struct err *e);
void kube_options_done(struct cluster_config *c);

#endif
