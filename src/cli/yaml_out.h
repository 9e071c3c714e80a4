/* A JSON tree as YAML, block style, keys in the order of the tree. */
#ifndef CLI_YAML_OUT_H
#define CLI_YAML_OUT_H

#include "base/json.h"
#include "base/text.h"

void yaml_write(struct text *out, const json_t *value);

#endif
