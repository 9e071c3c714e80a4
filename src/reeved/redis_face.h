/* The Redis that the options name, if they name one. */
#ifndef REEVED_REDIS_FACE_H
#define REEVED_REDIS_FACE_H

#include "api/template.h"
#include "redis/redis.h"
#include "reeved/options.h"

struct redis_face;

/* Reads what the options name; RET NULL: there is no Redis, which is no error. O and TEMPLATES stay
 * with the caller. */
int redis_face_new(const struct reeved_options *o, const struct template_set *templates,
                   struct redis_face **ret, struct err *e);
/* All three: NULL is fine. As redis_start(), redis_stop(), redis_free(). */
int redis_face_start(struct redis_face *f, struct engine *g, struct err *e);
void redis_face_stop(struct redis_face *f);
void redis_face_free(struct redis_face *f);

/* As an api_neighbour. */
void redis_face_metrics(void *arg, struct text *out);
void redis_face_status(void *arg, struct json_out *o, bool details);

#endif
