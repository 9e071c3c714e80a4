#include "agent/open_folder.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether an account that is neither the owner nor of the group of any can pass the folders above
 * PATH, which has no links. */
static bool others_may_pass(const char *path)
{
    for (const char *end = strchr(path + 1, '/'); end; end = strchr(end + 1, '/')) {
        auto_free char *folder = mem_strndup(path, (size_t)(end - path));
        struct stat s;
        if (stat(folder, &s) == 0 && !(s.st_mode & S_IXOTH))
            return false;
    }
    return true;
}

/* Where the link USUAL leads; NULL: it is none. */
static char *led_to(const char *usual)
{
    char target[PATH_MAX];
    ssize_t len = readlink(usual, target, sizeof target);
    return len > 0 && len < PATH_MAX ? mem_strndup(target, (size_t)len) : NULL;
}

int open_folder(const char *usual, const char *spare, char **ret, struct err *e)
{
    auto_free char *place = led_to(usual);
    bool is_closed = !place && spare && !others_may_pass(usual);
    if (is_closed && rmdir(usual) < 0 && errno != ENOENT)
        is_closed = false; /* it is in use: what is in there is not moved */
    if (is_closed)
        place = mem_strdup(spare);
    if (!place)
        place = mem_strdup(usual);
    if (file_make_folder(place, 0711, e) < 0)
        return -1;
    if (is_closed && symlink(place, usual) < 0)
        return err_sys(e, errno, "could not make '%s' a link to '%s'", usual, place);
    if (is_closed)
        log_info("jobs of other accounts cannot get there: it is a link", F_TEXT("folder", usual),
                 F_TEXT("to", place));
    *ret = TAKE(place);
    return 0;
}
