/* Lines of the command stream, and what a start command becomes. */
#include "agent/command.h"
#include "agent/job_spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_command struct command c = {0};
    if (command_parse((const char *)data, size, &c, NULL) < 0 || c.type != COMMAND_START)
        return 0;
    auto_attempt_spec struct attempt_spec spec = {0};
    const struct job_spec_place place = {.results = "/r", .grace_ms = 1000};
    if (job_spec_make(&c, &place, &spec, NULL) < 0)
        return 0;
    auto_text struct text file = {0};
    attempt_spec_write(&spec, &file);
    return 0;
}
