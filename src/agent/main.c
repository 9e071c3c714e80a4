/* reeve-agent: a node of the fleet. Also the shim of an attempt and the helper that calls GPU
 * drivers, or nothing that only holds a GPU, when told so by its first argument. */
#include "agent/agent.h"
#include "base/log.h"
#include "gpu/helper.h"
#include "node/shim.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static int fail(const struct err *e)
{
    fprintf(stderr, "reeve-agent: %s\n", e->text);
    return err_exit(e->code);
}

/* In a pod of its own, which holds a GPU for a GPUAllocation: nothing, until it is to end. As its
 * first process nothing else would end it. */
static int hold(void)
{
    sigset_t ends;
    int number = SIGTERM;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    puts("holding until told to end");
    fflush(stdout);
    sigwait(&ends, &number);
    return 128 + number;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--hold") == 0)
        return hold();
    if (argc == 3 && strcmp(argv[1], "--shim") == 0)
        return shim_program_main(argv);
    if (argc >= 2 && strcmp(argv[1], GPU_HELPER_ARG) == 0)
        return gpu_helper_main();

    /* Nothing here is in a hurry for memory: one arena, and freed memory goes back early. */
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_TRIM_THRESHOLD, 65536);
    mallopt(M_MMAP_THRESHOLD, 65536);

    struct agent_options options;
    struct err e = {0};
    if (option_wants_help(argc - 1, argv + 1)) {
        auto_text struct text help = {0};
        option_help(&agent_option_table, &help);
        fputs(text_get(&help), stdout);
        return 0;
    }
    if (agent_options_read(argc - 1, argv + 1, &options, &e) < 0)
        return fail(&e);
    if (options.version) {
        puts("reeve-agent " REEVE_VERSION);
        option_done(&agent_option_table, &options);
        return 0;
    }
    if (log_setup("reeve-agent", options.log_format, options.log_level, &e) < 0)
        return fail(&e);
    int code = agent_run(&options);
    option_done(&agent_option_table, &options);
    return code;
}
