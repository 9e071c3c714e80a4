#include "store/store.h"

#include "base/mem.h"

#include <string.h>

static const struct store_ops *const members[] = {&store_sqlite, &store_memory};

int store_open(const char *address, const struct store_ops **ret_ops, struct store **ret,
               struct err *e)
{
    const char *colon = strchr(address, ':');
    size_t len = colon ? (size_t)(colon - address) : 0;
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        if (len != strlen(members[i]->name) || memcmp(address, members[i]->name, len) != 0)
            continue;
        if (members[i]->open(colon + 1, ret, e) < 0)
            return -1;
        *ret_ops = members[i];
        return 0;
    }
    return err_set(e, ERR_INVALID, "cannot use store '%s': it should be 'sqlite:FILE' or 'memory:'",
                   address);
}
