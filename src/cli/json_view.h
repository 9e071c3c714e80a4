/* Short words for reading what the server answered. A key may be a path: "progress.percent". */
#ifndef CLI_JSON_VIEW_H
#define CLI_JSON_VIEW_H

#include "base/json.h"

/* What stands there; NULL for absent and for null. Borrowed. */
const json_t *view_get(const json_t *object, const char *path);
/* "" when it is absent or no text. */
const char *view_text(const json_t *object, const char *path);
/* FALLBACK when it is absent or no number. */
int64_t view_int(const json_t *object, const char *path, int64_t fallback);
double view_number(const json_t *object, const char *path, double fallback);
bool view_bool(const json_t *object, const char *path);
/* Unix time in ms of RFC 3339 text; 0 when it is absent or not such a text. */
int64_t view_time(const json_t *object, const char *path);
/* The list under "items"; never NULL, empty when there is none. */
const json_t *view_items(const json_t *object);

#endif
