#include "state.h"
#include "test.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static struct scenario *s;
static char path[64];

static void begin(void)
{
    static const char yaml[] = "name: t\ndevices: [{}]\n";
    CHECK_OK(scenario_read(yaml, sizeof yaml - 1, "t", "", &s, &test_err));
    strcpy(path, "/tmp/reeve-test-state-XXXXXX");
    int fd = mkstemp(path);
    ck_assert(fd >= 0);
    close(fd);
    unlink(path);
}

static void done(void)
{
    unlink(path);
    scenario_free(s);
}

TEST("what one process counted the next one finds")
{
    begin();
    struct state *a = state_open(path, s, 5000);
    CHECK_INT(state_get(a)->began_ms, 5000);
    state_get(a)->devices[0].energy_uj = 42;
    state_close(a);
    struct state *b = state_open(path, s, 9000);
    CHECK_INT(state_get(b)->devices[0].energy_uj, 42);
    CHECK_INT(state_get(b)->began_ms, 5000); /* the scenario went on */
    state_close(b);
    done();
}

TEST("left alone for long, the scenario begins again but the counters stay")
{
    begin();
    struct state *a = state_open(path, s, 5000);
    state_get(a)->devices[0].energy_uj = 42;
    state_close(a);
    struct state *b = state_open(path, s, 5000 + STATE_LINGER_MS + 1);
    CHECK_INT(state_get(b)->devices[0].energy_uj, 42);
    CHECK_INT(state_get(b)->began_ms, 5000 + STATE_LINGER_MS + 1);
    state_close(b);
    done();
}

TEST("after a reboot, with other devices or with a spoilt file all begins anew")
{
    begin();
    struct state *a = state_open(path, s, 5000);
    state_get(a)->devices[0].energy_uj = 42;
    state_get(a)->boot_id[0] ^= 1;
    state_close(a);
    a = state_open(path, s, 1000);
    CHECK_INT(state_get(a)->devices[0].energy_uj, 0);
    state_get(a)->devices[0].energy_uj = 42;
    state_get(a)->shape++;
    state_close(a);
    a = state_open(path, s, 1000);
    CHECK_INT(state_get(a)->devices[0].energy_uj, 0);
    state_close(a);
    FILE *f = fopen(path, "w");
    fputs("nonsense", f);
    fclose(f);
    a = state_open(path, s, 1000);
    CHECK_INT(state_get(a)->began_ms, 1000);
    state_close(a);
    done();
}

TEST("two processes share it, and one changes it at a time")
{
    begin();
    struct state *a = state_open(path, s, 5000), *b = state_open(path, s, 5000);
    CHECK(state_try_lock(a));
    CHECK(!state_try_lock(b));
    state_get(a)->devices[0].energy_uj = 7;
    CHECK_INT(state_get(b)->devices[0].energy_uj, 7);
    state_unlock(a);
    CHECK(state_try_lock(b));
    state_close(a);
    state_close(b);
    done();
}

TEST("a link in its place is not followed; then it plays alone")
{
    begin();
    char other[80];
    snprintf(other, sizeof other, "%s.other", path);
    FILE *f = fopen(other, "w");
    fclose(f);
    CHECK_INT(symlink(other, path), 0);
    struct state *a = state_open(path, s, 5000);
    CHECK_INT(state_get(a)->began_ms, 5000);
    state_close(a);
    struct stat st;
    CHECK_INT(stat(other, &st), 0);
    CHECK_INT(st.st_size, 0);
    unlink(other);
    done();
}
