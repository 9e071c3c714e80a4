#include "node/result.h"

#include "base/file.h"
#include "base/json_out.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Goes one folder down, making it where it is missing; never through a link. */
static int step_into(int *folder, const char *name, mode_t mode, struct err *e)
{
    if (mkdirat(*folder, name, mode) < 0 && errno != EEXIST)
        return err_sys(e, errno, "could not make result folder '%s'", name);
    int next = openat(*folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (next < 0)
        return err_sys(e, errno, "could not open result folder '%s'", name);
    close(*folder);
    *folder = next;
    return 0;
}

int result_make(const struct attempt_spec *spec, char **ret_path, struct err *e)
{
    *ret_path = NULL;
    if (!spec->results)
        return 0;
    if (file_make_folder(spec->results, 0755, e) < 0)
        return -1;
    auto_close int fd = open(spec->results, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(e, errno, "could not open folder '%s'", spec->results);

    char job[24], number[24];
    snprintf(job, sizeof job, "%lld", (long long)spec->job_id);
    snprintf(number, sizeof number, "%lld", (long long)spec->number);
    if (step_into(&fd, spec->user, 0755, e) < 0 || step_into(&fd, job, 0755, e) < 0 ||
        step_into(&fd, number, 0700, e) < 0)
        return -1;
    if (spec->has_account && fchown(fd, spec->account.uid, spec->account.gid) < 0)
        return err_sys(e, errno, "could not give result folder '%s' to its user", number);
    *ret_path = mem_printf("%s/%s/%s/%s", spec->results, spec->user, job, number);
    return 0;
}

int result_write_file(const char *result_folder, const char *name, const void *p, size_t len,
                      struct err *e)
{
    auto_close int folder =
        open(result_folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (folder < 0)
        return err_sys(e, errno, "could not open folder '%s'", result_folder);

    char beside[64];
    snprintf(beside, sizeof beside, ".%s.new", name);
    unlinkat(folder, beside, 0);
    auto_close int fd = openat(
        folder, beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_sys(e, errno, "could not create '%s' in folder '%s'", name, result_folder);
    if (file_write_all(fd, p, len, e) < 0)
        return err_wrap(e, "'%s' in folder '%s'", name, result_folder);
    if (renameat(folder, beside, folder, name) < 0)
        return err_sys(e, errno, "could not replace '%s' in folder '%s'", name, result_folder);
    return 0;
}

struct found {
    char *name;
    int64_t size;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct found *)a)->name, ((const struct found *)b)->name);
}

static void write_listing(const struct found *files, size_t count, int64_t more, struct text *out)
{
    struct json_out o = {.text = out};
    size_t shown = 0;
    jo_object(&o, NULL);
    jo_list(&o, "files");
    for (; shown < count && out->len < RESULT_DESCRIPTION_MOST / 2; shown++) {
        jo_object(&o, NULL);
        jo_text(&o, "name", files[shown].name);
        jo_int(&o, "size", files[shown].size);
        jo_end(&o);
    }
    jo_end(&o);
    jo_int(&o, "more", more + (int64_t)(count - shown));
    jo_end(&o);
    text_add_char(out, '\n');
}

static void add_metadata(int folder, struct text *out)
{
    struct stat st;
    char buf[RESULT_METADATA_MOST + 1];
    auto_close int fd =
        openat(folder, "result.json", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return;
    ssize_t len = read(fd, buf, sizeof buf);
    if (len > 0 && len <= RESULT_METADATA_MOST)
        text_add_bytes(out, buf, (size_t)len);
}

void result_describe(const char *result_folder, struct text *out)
{
    struct found files[RESULT_FILES_MOST];
    size_t count = 0;
    int64_t more = 0;
    int folder = open(result_folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    DIR *d = folder < 0 ? NULL : fdopendir(folder);
    if (!d) {
        if (folder >= 0)
            close(folder);
        return;
    }
    for (struct dirent *entry; (entry = readdir(d));) {
        struct stat st;
        if (entry->d_name[0] == '.' ||
            fstatat(folder, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
            continue;
        if (count < RESULT_FILES_MOST)
            files[count++] = (struct found){mem_strdup(entry->d_name), st.st_size};
        else
            more++;
    }
    qsort(files, count, sizeof *files, by_name);
    write_listing(files, count, more, out);
    add_metadata(folder, out);
    for (size_t i = 0; i < count; i++)
        free(files[i].name);
    closedir(d);
}

char *result_outcome(const struct attempt_spec *spec, const struct attempt_exit *x)
{
    struct text t = {0};
    struct json_out o = {.text = &t};
    jo_object(&o, NULL);
    jo_int(&o, "job", spec->job_id);
    jo_int(&o, "attempt", spec->number);
    jo_text(&o, "attempt_id", spec->id);
    jo_text(&o, "user", spec->user);
    jo_text(&o, "cause", attempt_cause_name(x->cause));
    if (x->status >= 0)
        jo_int(&o, "status", x->status);
    else
        jo_null(&o, "status");
    if (x->signal)
        jo_int(&o, "signal", x->signal);
    else
        jo_null(&o, "signal");
    jo_bool(&o, "out_of_memory", x->out_of_memory);
    jo_text(&o, "reason", x->reason);
    jo_time(&o, "started", x->start_ms);
    jo_time(&o, "ended", x->end_ms);
    jo_fixed(&o, "run_seconds", x->run_ms, 1000);
    jo_fixed(&o, "cpu_user_seconds", x->user_us, 1000000);
    jo_fixed(&o, "cpu_system_seconds", x->system_us, 1000000);
    jo_int(&o, "max_rss_bytes", x->max_rss_bytes);
    if (x->memory_peak_bytes >= 0)
        jo_int(&o, "memory_peak_bytes", x->memory_peak_bytes);
    jo_end(&o);
    text_add_char(&t, '\n');
    return text_take(&t);
}
