#include "base/failpoint.h"

#include "base/mem.h"

#include <signal.h>
#include <stdatomic.h>
#include <time.h>

enum { MOST = 16 };

static struct {
    char *name;
    enum { KILL, ERROR, SLEEP } what;
    int sleep_ms, at; /* at 0: every time */
    atomic_int seen;
} points[MOST];
static int count;

bool failpoint_any;

static void add(char *entry)
{
    char *what = strchr(entry, '=');
    if (!what || count == MOST) {
        fprintf(stderr, "REEVE_FAILPOINTS: cannot use '%s'\n", entry);
        exit(2);
    }
    *what++ = '\0';
    char *at = strchr(what, '@');
    if (at)
        *at++ = '\0';
    points[count].name = entry;
    points[count].at = at ? atoi(at) : 0;
    if (strcmp(what, "kill") == 0)
        points[count].what = KILL;
    else if (strcmp(what, "error") == 0)
        points[count].what = ERROR;
    else if (strncmp(what, "sleep:", 6) == 0) {
        points[count].what = SLEEP;
        points[count].sleep_ms = atoi(what + 6);
    } else {
        fprintf(stderr, "REEVE_FAILPOINTS: '%s' is not kill, error or sleep:MS\n", what);
        exit(2);
    }
    count++;
}

__attribute__((constructor)) static void read_environment(void)
{
    const char *value = getenv("REEVE_FAILPOINTS");
    if (!value || !value[0])
        return;

    char *copy = mem_strdup(value), *rest = copy; /* the names point into it for ever */
    for (char *entry; (entry = strsep(&rest, ";"));)
        if (entry[0])
            add(entry);
    failpoint_any = count > 0;
    if (!count)
        free(copy);
}

bool failpoint_hit(const char *name)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(points[i].name, name) != 0)
            continue;
        int seen = atomic_fetch_add(&points[i].seen, 1) + 1;
        if (points[i].at && points[i].at != seen)
            continue;
        if (points[i].what == KILL)
            raise(SIGKILL);
        if (points[i].what == SLEEP) {
            struct timespec t = {points[i].sleep_ms / 1000, points[i].sleep_ms % 1000 * 1000000L};
            nanosleep(&t, NULL);
            continue;
        }
        return true;
    }
    return false;
}
