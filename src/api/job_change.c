/* Cancel, retry, delete: first whose job it is (the store may have to be asked), then the command,
 * then the job as it is now. Hold and release, which are for operators, need no such look. */
#include "api/door.h"
#include "api/handlers.h"
#include "api/job_show.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"

static int find_and_check(struct call *c, struct store_reader *r, struct err *e)
{
    int64_t principal, submitter;
    if (call_param_id(c, 0, "job", &c->subject, e) < 0 ||
        job_find_owner(c, r, c->subject, &principal, &submitter, NULL, e) < 0)
        return -1;
    bool own = c->caller.id == principal || c->caller.id == submitter;
    if (c->scope == SCOPE_ALL || own)
        return 0;
    return err_set(e, ERR_DENIED, "job %lld belongs to somebody else", (long long)c->subject);
}

static int show(struct call *c, struct store_reader *r, struct err *e)
{
    c->answer.status = 202;
    return job_show(c, r, c->subject, e);
}

static void answer_job(struct call *c, struct command *command)
{
    (void)command;
    call_read(c, show, NULL);
}

static void change(struct call *c, enum command_kind kind)
{
    struct command *command = command_new(kind);
    command->id = c->subject;
    call_idempotency(c, command);
    call_command(c, command, answer_job);
}

static void cancel(struct call *c)
{
    change(c, COMMAND_CANCEL);
}

static void retry(struct call *c)
{
    change(c, COMMAND_RETRY);
}

void serve_job_cancel(struct call *c)
{
    call_read(c, find_and_check, cancel);
}

void serve_job_retry(struct call *c)
{
    call_read(c, find_and_check, retry);
}

/* The rows are gone; a crash here leaves a folder of logs that nothing leads to any more. */
static int remove_logs(struct call *c, struct store_reader *r, struct err *e)
{
    (void)r;
    (void)e;
    struct err why = {0};
    const struct api_config *config = &c->api->config;
    if (FAILPOINT("api.deleted"))
        return 0;
    if (config->log_ops->remove(config->logs, c->subject, &why) < 0)
        log_warn("could not remove the logs of a deleted job", F_INT("job", c->subject),
                 F_ERR(&why));
    c->answer.status = 204;
    return 0;
}

static void deleted(struct call *c, struct command *command)
{
    (void)command;
    call_read(c, remove_logs, NULL);
}

static void delete (struct call *c)
{
    struct command *command = command_new(COMMAND_DELETE);
    command->id = c->subject;
    call_command(c, command, deleted);
}

void serve_job_delete(struct call *c)
{
    call_read(c, find_and_check, delete);
}

/* ---- hold and release ---- */

static int show_now(struct call *c, struct store_reader *r, struct err *e)
{
    return job_show(c, r, c->subject, e);
}

static void answer_held(struct call *c, struct command *command)
{
    (void)command;
    call_read(c, show_now, NULL);
}

static void hold_or_release(struct call *c, enum command_kind kind, const char *why)
{
    struct command *command = command_new(kind);
    command->id = c->subject;
    event_set_text(command->why, why);
    call_idempotency(c, command);
    call_command(c, command, answer_held);
}

static bool is_plain(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

/* The body may be absent: then no reason is given. */
static int read_why(struct call *c, json_t **ret_object, const char **ret, struct err *e)
{
    static const struct json_field fields[] = {
        {"why", JSON_FIELD_TEXT, 0, .least = 1, .most = EVENT_TEXT - 1},
    };
    size_t len;
    http_request_body(c->request, &len);
    if (!len)
        return 0;
    if (call_json(c, ret_object, e) < 0 ||
        json_read_fields(*ret_object, fields, COUNT_OF(fields), true, ret, e) < 0)
        return -1;
    if (is_plain(*ret))
        return 0;
    err_set(e, ERR_INVALID, "field 'why' must not hold control characters");
    return err_blame(e, "why");
}

void serve_job_hold(struct call *c)
{
    auto_json json_t *object = NULL;
    const char *why = "";
    struct err e = {0};
    if (call_param_id(c, 0, "job", &c->subject, &e) < 0 || read_why(c, &object, &why, &e) < 0)
        call_fail(c, &e);
    else
        hold_or_release(c, COMMAND_HOLD, why);
}

void serve_job_release(struct call *c)
{
    struct err e = {0};
    if (call_param_id(c, 0, "job", &c->subject, &e) < 0)
        call_fail(c, &e);
    else
        hold_or_release(c, COMMAND_RELEASE, "");
}
