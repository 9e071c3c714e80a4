/* Base64 (RFC 4648), as it stands in kubeconfigs. */
#ifndef KUBE_BASE64_H
#define KUBE_BASE64_H

#include <stddef.h>

/* What the LEN bytes at S mean, with a NUL behind; blanks and line breaks among them are passed
 * over. NULL: they are no base64. The caller frees it. */
char *kube_base64_decode(const char *s, size_t len, size_t *ret_len);

#endif
