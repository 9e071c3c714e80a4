/* The agent's life: everything is opened, the loop runs, everything is closed. */
#include "agent/agent.h"

#include "agent/aside.h"
#include "agent/link.h"
#include "agent/pages.h"
#include "agent/plugin.h"
#include "agent/pods.h"
#include "agent/sampler.h"
#include "agent/telemetry.h"
#include "agent/trouble.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/loop.h"
#include "node/nursery.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#define WORKERS      2 /* one may sit in a slow name service, or wait for a job's last process */
#define WORK_MOST    1024
#define STOP_WAIT_MS 500

struct signals {
    uv_signal_t term, interrupt, hang_up;
};

static void close_all(struct agent *agent)
{
    agent->is_stopping = true;
    link_stop(agent->link);
    agent->link = NULL;
    trouble_stop(agent);
    plugin_stop(TAKE(agent->plugin));
    pods_stop(TAKE(agent->pods));
    aside_stop(TAKE(agent->aside));
    sampler_stop(agent->sampler); /* answers starts that wait for a reading */
    agent->sampler = NULL;
    if (agent->workers)
        workers_free(TAKE(agent->workers)); /* waits for what is being done */
    if (agent->box)
        mailbox_drain(agent->box);
    while (agent->attempts)
        attempt_drop(agent->attempts); /* shims and their jobs go on */
    telemetry_free(TAKE(agent->telemetry));
    log_pushes_stop(TAKE(agent->logs));
    http_client_free(TAKE(agent->client));
    if (agent->server)
        http_server_stop(TAKE(agent->server), STOP_WAIT_MS, NULL, NULL);
    if (agent->box)
        mailbox_close(agent->box);
}

static void on_signal(uv_signal_t *h, int number)
{
    struct agent *agent = h->data;
    if (number == SIGHUP) {
        struct err e = {0};
        if (http_server_reload_tls(agent->server, &e) < 0)
            log_warn("certificates could not be read again, keeping the old ones", F_ERR(&e));
        return;
    }
    if (agent->is_stopping)
        return;
    log_info("ending; running jobs go on");
    struct signals *s = agent->signals;
    uv_close((uv_handle_t *)&s->term, NULL);
    uv_close((uv_handle_t *)&s->interrupt, NULL);
    uv_close((uv_handle_t *)&s->hang_up, NULL);
    close_all(agent);
}

static void watch_signals(struct agent *agent, struct signals *s)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    uv_signal_t *handles[] = {&s->term, &s->interrupt, &s->hang_up};
    agent->signals = s;
    for (size_t i = 0; i < COUNT_OF(handles); i++) {
        uv_signal_init(agent->loop, handles[i]);
        handles[i]->data = agent;
        uv_signal_start(handles[i], on_signal, numbers[i]);
    }
    signal(SIGPIPE, SIG_IGN);
}

static int open_accounts(struct agent *agent, struct err *e)
{
    agent->isolation = account_isolation();
    if (strcmp(agent->isolation, "user") != 0) {
        agent->isolation = agent->options.shared_uid ? "shared" : "none";
        return 0;
    }
    auto_free char *map = mem_printf("%s/accounts", agent->data.path);
    const struct account_options o = {.map_file = map,
                                      .allow_root_jobs = agent->options.allow_root_jobs};
    return account_map_open(&o, &agent->accounts, e);
}

static char *absolute(const char *path)
{
    if (path[0] == '/')
        return mem_strdup(path);
    auto_free char *here = realpath(".", NULL);
    return mem_printf("%s/%s", here ? here : "", path);
}

static int open_data(struct agent *agent, struct err *e)
{
    bool other_accounts = strcmp(account_isolation(), "user") == 0;
    if (data_folder_open(agent->options.data, other_accounts ? "/var/lib/reeve-jobs" : NULL,
                         &agent->data, e) < 0)
        return -1;
    if (!agent->options.results)
        return data_folder_for_jobs(&agent->data, "results", &agent->results, e);
    agent->results = absolute(agent->options.results);
    return file_make_folder(agent->results, 0711, e);
}

static int open_all(struct agent *agent, struct err *e)
{
    const struct workers_config workers = {.name = "agent", .count = WORKERS, .most = WORK_MOST};
    boot_id_read(agent->boot_id);
    if (open_data(agent, e) < 0)
        return -1;
    agent->shim_program = shim_program(NULL);
    agent->nursery = nursery_new(agent->shim_program);
    agent->gate = GATE_USUAL;
    cgroup_find(agent->options.cgroup, &agent->cgroup);
    if (open_accounts(agent, e) < 0)
        return -1;

    agent->box = mailbox_new(agent->loop, WORK_MOST);
    if (workers_new(&workers, &agent->workers, e) < 0)
        return -1;
    agent->client = http_client_new(agent->loop);
    agent->telemetry = telemetry_new(agent);
    agent->link = link_start(agent);
    agent->pods = pods_start(agent);
    agent->aside = aside_start(agent);
    if (log_pushes_start(agent, &agent->logs, e) < 0 ||
        sampler_start(agent, &agent->sampler, e) < 0 || plugin_start(agent, &agent->plugin, e) < 0)
        return -1;
    adopt_all(agent);
    return pages_start(agent, e);
}

int agent_run(struct agent_options *options)
{
    struct err e = {0};
    uv_loop_t loop;
    struct signals signals;
    uv_loop_init(&loop);
    struct agent agent = {.options = *options, .loop = &loop, .data = {.lock = -1}};
    loop_raise_open_files();

    int code = 0;
    if (open_all(&agent, &e) < 0) {
        log_error("could not start", F_ERR(&e));
        code = err_exit(e.code);
        close_all(&agent);
    } else {
        watch_signals(&agent, &signals);
        log_info("running", F_TEXT("version", REEVE_VERSION), F_TEXT("node", agent.options.node),
                 F_TEXT("data", agent.data.path), F_TEXT("isolation", agent.isolation));
    }
    uv_run(&loop, UV_RUN_DEFAULT);

    mailbox_free(agent.box);
    free(agent.hosts);
    account_map_close(agent.accounts);
    cgroup_parent_done(&agent.cgroup);
    data_folder_close(&agent.data);
    free(agent.results);
    nursery_free(agent.nursery);
    free(agent.shim_program);
    if (uv_loop_close(&loop) < 0)
        log_debug("the loop ends with open handles");
    return code;
}
