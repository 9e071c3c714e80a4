/* The bytes of an attempt's two records; reading them is in attempt_folder.h. */
#ifndef NODE_ATTEMPT_RECORD_H
#define NODE_ATTEMPT_RECORD_H

#include "node/attempt_folder.h"

void attempt_started_text(const struct attempt_started *s, struct text *out);
void attempt_exit_text(const struct attempt_exit *x, struct text *out);

#endif
