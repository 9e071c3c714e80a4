#include "base/file.h"
#include "base/mem.h"
#include "test.h"
#include "world.h"

#include <stdio.h>

static struct world *w;
static char folder[64];
static struct sim_look look;
static int64_t now_ms;

static struct world_config config(void)
{
    static char scenario[96], state[96];
    snprintf(scenario, sizeof scenario, "%s/scenario.yaml", folder);
    snprintf(state, sizeof state, "%s/state", folder);
    return (struct world_config){.scenario = scenario, .state = state, .proc = folder};
}

static void play(const char *yaml)
{
    strcpy(folder, "/tmp/reeve-test-world-XXXXXX");
    ck_assert(mkdtemp(folder));
    CHECK_OK(file_replace(config().scenario, yaml, strlen(yaml), 0644, &test_err));
    now_ms = 1000000;
    struct world_config c = config();
    CHECK_OK(world_open(&c, now_ms, &w, &test_err));
}

static void again(void)
{
    world_close(w);
    struct world_config c = config();
    CHECK_OK(world_open(&c, now_ms, &w, &test_err));
}

static void later(int ms)
{
    now_ms += ms;
    world_tick(w, now_ms);
    world_look(w, 0, &look);
}

static void done(void)
{
    world_close(w);
    CHECK_OK(file_remove_tree(folder, &test_err));
}

static void client(int pid, int64_t start_ms, const char *uuid)
{
    char path[160], text[200];
    snprintf(path, sizeof path, "%s/%d", folder, pid);
    CHECK_OK(file_make_folder(path, 0755, &test_err));
    snprintf(path, sizeof path, "%s/%d/environ", folder, pid);
    int len = snprintf(text, sizeof text, "CUDA_VISIBLE_DEVICES=%s", uuid);
    CHECK_OK(file_replace(path, text, (size_t)len + 1, 0644, &test_err));
    snprintf(path, sizeof path, "%s/%d/stat", folder, pid);
    len = snprintf(text, sizeof text,
                   "%d (x) S 1 1 1 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 %lld 1 1 1\n", pid,
                   (long long)start_ms * sysconf(_SC_CLK_TCK) / 1000);
    CHECK_OK(file_replace(path, text, (size_t)len, 0644, &test_err));
    snprintf(path, sizeof path, "%s/%d/status", folder, pid);
    len = snprintf(text, sizeof text, "Tgid:\t%d\n", pid);
    CHECK_OK(file_replace(path, text, (size_t)len, 0644, &test_err));
}

TEST("power follows load, energy is its sum, heat comes and goes slowly")
{
    play(
        "name: t\ndevices: [{model: rtx-3080, load: {points: [[0, 0], [10, 100]], step: true}}]\n");
    later(5000);
    CHECK_INT(look.power_mw, 19000);
    CHECK_INT(look.energy_mj, 5 * 19000);
    CHECK_INT(look.temperature_c, 34);
    CHECK_INT(look.pstate, 8);
    CHECK_INT(look.throttle, 1);
    later(5000);
    CHECK_INT(look.energy_mj, 10 * 19000);
    later(10000);
    CHECK_INT(look.power_mw, 316000);
    CHECK_INT(look.energy_mj, 10 * 19000 + 10 * 316000);
    CHECK(look.temperature_c > 40 && look.temperature_c < 60);
    CHECK_INT(look.utilization_pct, 100);
    CHECK_INT(look.pstate, 2);
    later(300000);
    CHECK_INT(look.temperature_c, 74);
    done();
}

TEST("energy never falls, whoever counts: processes come and go, and two count at once")
{
    play("name: t\ndevices: [{load: {sine: {mean: 50, amplitude: 50, period: 30}}}]\n");
    int64_t last = 0;
    for (int i = 0; i < 200; i++) {
        if (i % 7 == 0)
            again();
        later(i % 5 == 0 ? 3 : 700);
        CHECK(look.energy_mj >= last);
        last = look.energy_mj;
    }
    struct world *other;
    struct world_config c = config();
    CHECK_OK(world_open(&c, now_ms, &other, &test_err));
    for (int i = 0; i < 20; i++) {
        now_ms += 100;
        world_tick(i % 2 ? w : other, now_ms);
        world_look(i % 2 ? other : w, 0, &look);
        CHECK(look.energy_mj >= last);
        last = look.energy_mj;
    }
    world_close(other);
    done();
}

TEST("what nobody watched is made good for: an hour at once")
{
    play("name: t\ndevices: [{load: 100}]\n");
    later(3600000);
    CHECK_INT(look.energy_mj, 3600ll * 316000);
    done();
}

TEST("a limit holds power, slows the clock and says why")
{
    play("name: t\ndevices: [{load: 100, power_full_w: 400, power_limit_w: 200}]\n");
    later(1000);
    CHECK_INT(look.power_mw, 200000);
    CHECK(look.clock_mhz < 1890);
    CHECK_INT(look.throttle, 4);
    CHECK(world_set_limit(w, 0, 100000));
    later(1000);
    CHECK_INT(look.power_mw, 100000);
    CHECK_INT(look.limit_mw, 100000);
    done();
}

TEST("a client adds its memory and its load by its own age, until it ends")
{
    play("name: t\ndevices: [{uuid: GPU-0123456789abcdef, load: 10}]\n"
         "client: {memory: 2GiB, load: [[0, 0], [10, 60]]}\n");
    client(100, now_ms - 5000, "GPU-0123456789abcdef");
    later(10000); /* the walk finds it */
    CHECK_INT(look.utilization_pct, 70);
    CHECK(look.used_bytes == 2ll << 30);
    struct sim_process list[4];
    CHECK_INT(world_processes(w, 0, list, 4), 1);
    CHECK_INT(list[0].pid, 100);
    CHECK_INT(list[0].load_pct, 60);

    char path[160];
    snprintf(path, sizeof path, "%s/100", folder);
    CHECK_OK(file_remove_tree(path, &test_err));
    later(1000);
    CHECK_INT(look.utilization_pct, 10);
    CHECK_INT(look.used_bytes, 0);
    done();
}

TEST("clients beyond the device's memory fill it, no more")
{
    play("name: t\ndevices: [{uuid: GPU-0123456789abcdef}]\nclient: {memory: 6GiB, load: 80}\n");
    client(100, now_ms, "GPU-0123456789abcdef");
    client(101, now_ms, "GPU-0123456789abcdef");
    later(10000);
    CHECK(look.used_bytes == look.total_bytes - look.reserved_bytes);
    CHECK_INT(look.utilization_pct, 100);
    done();
}

TEST("a process that only the scenario knows comes and goes at its time")
{
    play("name: t\ndevices: [{processes: [{pid: 7, memory: 9GiB, load: 30, from: 10s, for: "
         "10s}]}]\n");
    struct sim_process list[4];
    later(5000);
    CHECK_INT(world_processes(w, 0, list, 4), 0);
    later(10000);
    CHECK_INT(world_processes(w, 0, list, 4), 1);
    CHECK_INT(look.utilization_pct, 30);
    CHECK(look.used_bytes == 9ll << 30);
    later(10000);
    CHECK_INT(look.used_bytes, 0);
    done();
}

TEST("a reloaded driver counts from zero")
{
    play("name: t\ndevices: [{load: 100}]\nfaults: [{kind: driver_restart, from: 60s, for: 5s}]\n");
    later(59000);
    int64_t before = look.energy_mj;
    later(3000);
    CHECK(look.energy_mj < before / 10);
    CHECK(look.energy_mj > 0);
    done();
}

TEST("skipping moves the scenario for everyone who plays it")
{
    play("name: t\ndevices: [{load: {points: [[0, 0], [100, 100]]}}]\n");
    struct world *other;
    struct world_config c = config();
    CHECK_OK(world_open(&c, now_ms, &other, &test_err));
    world_skip(w, 50000);
    world_tick(other, now_ms);
    CHECK_INT(world_t_ms(other), 50000);
    world_look(other, 0, &look);
    CHECK_INT(look.utilization_pct, 50);
    world_close(other);
    done();
}

TEST("jitter is the same in every process and keeps away from idle")
{
    play("name: t\ndevices: [{load: 50, jitter: 10}, {load: 0, jitter: 10}]\n");
    bool wavers = false;
    struct sim_look idle;
    for (int i = 0; i < 20; i++) {
        later(1000);
        int64_t first = look.utilization_pct;
        again();
        world_look(w, 0, &look);
        world_look(w, 1, &idle);
        CHECK_INT(look.utilization_pct, first);
        CHECK_INT(idle.utilization_pct, 0);
        CHECK(first >= 40 && first <= 60);
        wavers |= first != 50;
    }
    CHECK(wavers);
    done();
}
