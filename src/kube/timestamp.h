/* Times as Kubernetes writes them (RFC 3339), and as it wants them. */
#ifndef KUBE_TIMESTAMP_H
#define KUBE_TIMESTAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "2026-01-31T09:00:00Z", with or without a fraction of a second, with Z or an offset. What is
 * finer than a millisecond is cut off. False: the LEN bytes at S are no time of the years 1 to
 * 9999. */
bool kube_time(const char *s, size_t len, int64_t *ret_unix_ms);

#define KUBE_TIME_SIZE 32
/* With exactly six places, which MicroTime wants and Time takes. A year that is not of four digits
 * becomes 1970. Returns BUF. */
char *kube_time_format(int64_t unix_ms, char buf[KUBE_TIME_SIZE]);

#endif
