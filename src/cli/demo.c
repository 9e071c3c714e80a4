/* reeve up --demo: three users, six trainings, and what became of them. */
#include "base/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/demo_view.h"
#include "cli/follow.h"
#include "cli/json_view.h"
#include "cli/place.h"
#include "cli/up.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>

enum {
    LOOK_MS = 200,
    STUCK_MS = 300000, /* so long without any change is no demo any more */
    PROGRAM_MOST = 64 << 20,
};

static const char *const users[] = {"alice", "bob", "carol"};

/* Who submits what, in this order: everybody's first before anybody's second. */
static const struct run {
    const char *user, *config;
} runs[] = {
    {"alice", "ntu60_joint"}, {"bob", "ntu60_motion"}, {"carol", "ntu60_bone"},
    {"alice", "ntu60_bone"},  {"bob", "ntu60_joint"},  {"carol", "ntu60_motion"},
};

/* ---- preparing ---- */

/* Where the example and the work dirs are: jobs run as other accounts when we are root, so it must
 * be a folder that they can reach, whatever DATA is. */
static char *work_folder(const struct up *u)
{
    if (geteuid() != 0 || text_starts_with(u->data, "/var/lib/"))
        return mem_printf("%s/work", u->data);
    struct digest d = digest_of(u->data, strlen(u->data));
    char hex[DIGEST_HEX];
    hex_write(hex, d.bytes, 6);
    return mem_printf("/var/lib/reeve-demo-%s", hex);
}

static int copy_file(const char *from, const char *to, mode_t mode, struct err *e)
{
    auto_free char *bytes = NULL;
    size_t len;
    if (file_read(from, PROGRAM_MOST, &bytes, &len, e) < 0)
        return -1;
    auto_close int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0)
        return err_sys(e, errno, "could not make file '%s'", to);
    if (file_write_all(fd, bytes, len, e) < 0)
        return -1;
    return fchmod(fd, mode) < 0 ? err_sys(e, errno, "file '%s'", to) : 0;
}

/* A folder that others may enter and read, whatever the umask says. */
static int make_open_folder(const char *path, struct err *e)
{
    if (file_make_folder(path, 0755, e) < 0)
        return -1;
    return chmod(path, 0755) < 0 ? err_sys(e, errno, "folder '%s'", path) : 0;
}

static int copy_configs(const char *from, const char *to, struct err *e)
{
    DIR *dir = opendir(from);
    if (!dir)
        return err_sys(e, errno, "could not read folder '%s'", from);
    int rc = make_open_folder(to, e);
    for (struct dirent *entry; rc == 0 && (entry = readdir(dir));) {
        if (!text_ends_with(entry->d_name, ".yaml"))
            continue;
        auto_free char *source = mem_printf("%s/%s", from, entry->d_name);
        auto_free char *target = mem_printf("%s/%s", to, entry->d_name);
        rc = copy_file(source, target, 0644, e);
    }
    closedir(dir);
    return rc;
}

static int prepare_work(const char *work, struct err *e)
{
    auto_free char *example = NULL, *configs = NULL;
    if (place_example(&example, &configs, e) < 0 || file_remove_tree(work, e) < 0 ||
        make_open_folder(work, e) < 0)
        return -1;
    auto_free char *program = mem_printf("%s/proto-gcn", example);
    auto_free char *copy = mem_printf("%s/proto-gcn", work);
    auto_free char *config_copy = mem_printf("%s/configs", work);
    if (copy_file(program, copy, 0755, e) < 0 || copy_configs(configs, config_copy, e) < 0)
        return -1;
    for (size_t i = 0; i < COUNT_OF(runs); i++) {
        auto_free char *folder = mem_printf("%s/%s", work, runs[i].user);
        auto_free char *run = mem_printf("%s/%s", folder, runs[i].config);
        if (make_open_folder(folder, e) < 0 || make_open_folder(run, e) < 0)
            return -1;
    }
    return 0;
}

/* The shim's folder when the process is one of an earlier demo's, whose agent had FOLDER. */
static bool is_leftover(const char *pid, const char *folder)
{
    char path[64], line[4096] = "";
    snprintf(path, sizeof path, "/proc/%.16s/cmdline", pid);
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, line, sizeof line - 1) : -1;
    for (const char *word = line; len > 0 && word < line + len; word += strlen(word) + 1)
        if (strcmp(word, "--shim") == 0)
            return text_starts_with(word + strlen(word) + 1, folder);
    return false;
}

/* How many shims of an earlier demo run; each is asked to end, which ends its job. */
static int end_leftovers(const char *folder)
{
    int found = 0;
    DIR *proc = opendir("/proc");
    for (struct dirent *entry; proc && (entry = readdir(proc));) {
        int64_t pid;
        if (text_to_int(entry->d_name, 2, INT32_MAX, "", &pid, NULL) < 0 ||
            !is_leftover(entry->d_name, folder))
            continue;
        kill((pid_t)pid, SIGTERM);
        found++;
    }
    if (proc)
        closedir(proc);
    return found;
}

/* A demo that was killed left its jobs running, and nobody is there to end them. */
static void end_earlier_demo(const char *agent_data)
{
    struct timespec pause = {0, 50000000};
    for (int i = 0; i < 100 && end_leftovers(agent_data); i++)
        nanosleep(&pause, NULL);
}

int demo_prepare(struct up *u, struct err *e)
{
    if (up_data_folder(u->o, &u->data, e) < 0)
        return -1;
    auto_free char *socket = mem_printf("%s/reeved.sock", u->data);
    auto_free char *work = work_folder(u);
    if (place_socket_answers(socket))
        return err_set(e, ERR_CONFLICT, "a demo runs already with '%s'", u->data);
    u->agent_data = mem_printf("%s/agent", text_starts_with(work, u->data) ? u->data : work);
    end_earlier_demo(u->agent_data);
    if (file_remove_tree(u->data, e) < 0 || file_make_folder(u->data, 0711, e) < 0 ||
        chmod(u->data, 0711) < 0 || prepare_work(work, e) < 0)
        return e->code ? -1 : err_sys(e, errno, "folder '%s'", u->data);
    u->log_folder = mem_printf("%s/messages", u->data);
    u->shared_uid = u->shared_uid || geteuid() != 0;
    return 0;
}

/* ---- users and jobs ---- */

/* Makes the user and gives a connection with a token of its own. */
static int add_user(struct up *u, const char *name, struct client **ret, struct err *e)
{
    auto_json json_t *user = json_object(), *ask = json_object(), *answer = NULL;
    json_object_set_new(user, "name", json_string(name));
    json_object_set_new(user, "role", json_string("user"));
    json_object_set_new(ask, "user", json_string(name));
    json_object_set_new(ask, "name", json_string("demo"));
    if (client_post_once(u->client, "/api/v1/users", user, NULL, e) < 0 ||
        client_send(u->client, HTTP_POST, "/api/v1/tokens", ask, &answer, e) < 0)
        return err_wrap(e, "could not add user '%s'", name);
    *ret = client_open_socket(u->socket, view_text(answer, "token"));
    return 0;
}

static json_t *job_of(const struct run *run, const char *work)
{
    auto_free char *program = mem_printf("%s/proto-gcn", work);
    auto_free char *config = mem_printf("%s/configs/%s.yaml", work, run->config);
    auto_free char *folder = mem_printf("%s/%s/%s", work, run->user, run->config);
    auto_free char *name = mem_strdup(run->config);
    for (char *p = name; *p; p++)
        *p = (char)(*p == '_' ? '-' : *p);
    return json_pack("{s:s, s:[s,s,s,s,s], s:s, s:s, s:i, s:i, s:i, s:{s:s}}", "name", name,
                     "command", program, "--config", config, "--work-dir", folder, "config_file",
                     config, "work_dir", folder, "gpus", 1, "gpu_memory", 2048, "memory", 1024,
                     "labels", "example", "proto-gcn");
}

static int submit_all(struct up *u, struct err *e)
{
    struct client *clients[COUNT_OF(users)] = {0};
    auto_free char *work = work_folder(u);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < COUNT_OF(users); i++)
        rc = add_user(u, users[i], &clients[i], e);
    for (size_t i = 0; rc == 0 && i < COUNT_OF(runs); i++) {
        auto_json json_t *job = job_of(&runs[i], work);
        size_t who = 0;
        while (who + 1 < COUNT_OF(users) && strcmp(users[who], runs[i].user) != 0)
            who++;
        rc = client_post_once(clients[who], "/api/v1/jobs", job, NULL, e);
        if (rc < 0)
            err_wrap(e, "%s could not submit", runs[i].user);
    }
    for (size_t i = 0; i < COUNT_OF(users); i++)
        client_close(clients[i]);
    return rc;
}

/* ---- looking on ---- */

struct show {
    struct up *u;
    struct cli *c;
    json_t *jobs, *devices; /* newest answers; JOBS a list, by id */
    struct client_etag jobs_etag, devices_etag;
    json_t *told; /* without a terminal: job id -> what was said of it last */
    int64_t start_ms, changed_ms;
    int drawn; /* lines of the last picture */
};

static void show_done(struct show *s)
{
    json_decref(s->jobs);
    json_decref(s->devices);
    json_decref(s->told);
}

/* Lists come newest first. */
static json_t *by_id(const json_t *answer)
{
    json_t *list = json_array(), *job;
    size_t i;
    json_array_foreach(view_items(answer), i, job) json_array_insert(list, 0, job);
    return list;
}

/* The control plane may be restarting: then the last picture stays. */
static bool look(struct show *s)
{
    auto_json json_t *jobs = NULL;
    json_t *devices = NULL;
    if (client_get_changed(s->u->client, "/api/v1/jobs?limit=100", &s->jobs_etag, &jobs, NULL) ==
            0 &&
        jobs) {
        json_decref(s->jobs);
        s->jobs = by_id(jobs);
        s->changed_ms = clock_mono_ms();
    }
    if (client_get_changed(s->u->client, "/api/v1/devices?limit=16", &s->devices_etag, &devices,
                           NULL) == 0 &&
        devices) {
        json_decref(s->devices);
        s->devices = devices;
    }
    return s->jobs != NULL;
}

static bool all_ended(const struct show *s)
{
    size_t i;
    json_t *job;
    json_array_foreach(s->jobs, i, job)
    {
        if (!job_has_ended(job))
            return false;
    }
    return json_array_size(s->jobs) >= COUNT_OF(runs);
}

static void draw(struct show *s)
{
    auto_text struct text frame = {0}, out = {0};
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col)
        s->c->columns = size.ws_col;
    demo_draw(&frame, &(struct demo_picture){.jobs = s->jobs,
                                             .devices = s->devices,
                                             .now_ms = clock_wall_ms(),
                                             .elapsed_ms = clock_mono_ms() - s->start_ms,
                                             .columns = s->c->columns ? s->c->columns - 1 : 79,
                                             .color = s->c->color});
    if (s->drawn)
        text_addf(&out, "\033[%dA", s->drawn);
    s->drawn = 0;
    for (const char *p = frame.data; *p; s->drawn++) {
        size_t len = strcspn(p, "\n");
        text_add_bytes(&out, p, len);
        text_add(&out, "\033[K\n");
        p += len + 1;
    }
    text_add(&out, "\033[J");
    fwrite(out.data, 1, out.len, stdout);
    fflush(stdout);
}

/* What is worth a line when it changes: state and place, each quarter done, and what the first in
 * the queue waits for, without its figures. */
static void matter_of(const json_t *job, struct text *out)
{
    int64_t position = view_int(job, "position", 0);
    text_addf(out, "%s %" PRId64 " %d ", view_text(job, "state"), position,
              (int)view_number(job, "progress.percent", 0) / 25);
    for (const char *p = position == 1 ? view_text(job, "reason") : ""; *p; p++)
        if (!strchr("0123456789", *p))
            text_add_char(out, *p);
}

/* Without a terminal. */
static void tell(struct show *s)
{
    size_t i;
    json_t *job;
    json_array_foreach(s->jobs, i, job)
    {
        char id[24];
        auto_text struct text now = {0};
        matter_of(job, &now);
        snprintf(id, sizeof id, "%" PRId64, view_int(job, "id", 0));
        const char *last = json_string_value(json_object_get(s->told, id));
        if (last && strcmp(last, now.data) == 0)
            continue;
        json_object_set_new(s->told, id, json_string(now.data));
        auto_text struct text line = {0};
        demo_line(&line, job, clock_mono_ms() - s->start_ms);
        fputs(line.data, stdout);
    }
    fflush(stdout);
}

/* ---- the end ---- */

/* The accuracy that a training wrote into its result folder, which is on this machine. */
static void read_accuracy(struct up *u, const json_t *job, json_t *into)
{
    char id[24];
    auto_json json_t *result = NULL;
    auto_free char *text = NULL;
    size_t len;
    snprintf(id, sizeof id, "%" PRId64, view_int(job, "id", 0));
    auto_free char *file = mem_printf("%s/results/%s/%s/%" PRId64 "/result.json", u->agent_data,
                                      view_text(job, "user"), id, view_int(job, "attempt", 0));
    if (file_read(file, 1 << 20, &text, &len, NULL) < 0 || json_parse(text, len, &result, NULL) < 0)
        return;
    double accuracy = view_number(result, "test_accuracy", -1);
    if (accuracy >= 0)
        json_object_set_new(into, id, json_real(accuracy));
}

static int print_table(struct show *s)
{
    auto_json json_t *accuracy = json_object();
    auto_text struct text out = {0};
    size_t i;
    json_t *job;
    int missed = 0;
    json_array_foreach(s->jobs, i, job)
    {
        read_accuracy(s->u, job, accuracy);
        missed += strcmp(view_text(job, "state"), "Completed") != 0;
    }
    demo_table(&out, s->jobs, accuracy, s->c->color);
    printf("\n%s", out.data);
    if (missed)
        printf(
            "%d of %zu jobs did not complete; 'reeve logs ID' tells more, and so do the files in "
            "%s.\n",
            missed, json_array_size(s->jobs), s->u->log_folder);
    fflush(stdout);
    return missed ? EXIT_JOB_FAILED : 0;
}

/* ETags are asked for anew, so that the last figures are in the table. */
static int finish(struct show *s)
{
    s->jobs_etag = (struct client_etag){0};
    look(s);
    if (s->c->terminal)
        draw(s);
    return print_table(s);
}

int demo_run(struct up *u, struct cli *c, struct err *e)
{
    struct show s = {.u = u, .c = c, .told = json_object(), .start_ms = clock_mono_ms()};
    int code = -1;
    s.changed_ms = s.start_ms;
    printf("\nalice, bob and carol submit two trainings each.\n\n");
    fflush(stdout);
    if (submit_all(u, e) < 0) {
        show_done(&s);
        return -1;
    }
    for (;;) {
        if (look(&s)) {
            if (c->terminal)
                draw(&s);
            else
                tell(&s);
        }
        if (s.jobs && all_ended(&s)) {
            code = finish(&s);
            break;
        }
        if (clock_mono_ms() - s.changed_ms > STUCK_MS) {
            err_set(e, ERR_TIMEOUT, "nothing has changed for %d minutes; see the files in '%s'",
                    STUCK_MS / 60000, u->log_folder);
            break;
        }
        if (supervise_step(u->children, LOOK_MS, e) != SUPERVISE_ON)
            break;
    }
    show_done(&s);
    return code;
}

void demo_cancel(struct up *u)
{
    auto_json json_t *open = NULL;
    size_t i;
    json_t *job;
    const char *const path = "/api/v1/jobs?state=Queued,Scheduled,Running&limit=1000";
    if (!u->client || !u->children || client_get(u->client, path, &open, NULL) < 0)
        return;
    json_array_foreach(view_items(open), i, job)
    {
        char cancel[64];
        snprintf(cancel, sizeof cancel, "/api/v1/jobs/%" PRId64 "/cancel", view_int(job, "id", 0));
        (void)client_send(u->client, HTTP_POST, cancel, NULL, NULL, NULL);
    }
    for (int64_t until_ms = clock_mono_ms() + 5000; clock_mono_ms() < until_ms;) {
        auto_json json_t *left = NULL;
        if (client_get(u->client, path, &left, NULL) < 0 || !json_array_size(view_items(left)))
            return;
        if (supervise_step(u->children, 50, NULL) != SUPERVISE_ON)
            return;
    }
}

void demo_remove(struct up *u)
{
    auto_free char *work = u->data ? work_folder(u) : NULL;
    if (work && !text_starts_with(work, u->data))
        (void)file_remove_tree(work, NULL);
}
