/*
 * Amounts as Kubernetes writes them: "16Gi", "500m", "1e3", "2.5". Whole numbers all the way, never
 * floating point: "100m" is a tenth exactly.
 */
#ifndef KUBE_QUANTITY_H
#define KUBE_QUANTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The amount in units of 1 / SCALE (1: bytes, pieces; 1000: thousandths of a CPU; no other),
 * rounded up as the API server rounds. What is larger than an int64_t, or has more digits before
 * its point, becomes the largest one. False: the LEN bytes at S are no amount.
 */
bool kube_quantity(const char *s, size_t len, int64_t scale, int64_t *ret);

#endif
