#include "node/job_log.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "test.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
    char folder[32];
};

static void place_done(struct place *p)
{
    file_remove_tree(p->folder, NULL);
}
#define auto_place AUTO(place_done)

static struct place a_place(void)
{
    struct place p = {"/tmp/test_logXXXXXX"};
    CHECK(mkdtemp(p.folder) != NULL);
    return p;
}

static struct job_log *a_log(struct place *p, int64_t quota, int64_t line, int64_t rate)
{
    struct job_log *l;
    l = job_log_open(p->folder, quota, line, rate);
    return l;
}

static void write_text(struct job_log *l, const char *text, int64_t now_ms)
{
    job_log_write(l, text, strlen(text), now_ms);
}

/* All that can be read from OFFSET on, ROOM bytes at a time; gaps as "(N)". */
static char *read_from(struct place *p, int64_t offset, size_t room)
{
    struct text t = {0};
    auto_free char *buf = mem_alloc(room, 1);
    for (;;) {
        size_t len;
        int64_t gap;
        CHECK_OK(job_log_read(p->folder, offset, buf, room, &len, &offset, &gap, &test_err));
        if (gap)
            text_addf(&t, "(%lld)", (long long)gap);
        if (!len)
            return text_take(&t);
        text_add_bytes(&t, buf, len);
    }
}

static int64_t bytes_on_disk(struct place *p)
{
    int64_t sum = 0;
    DIR *d = opendir(p->folder);
    for (struct dirent *entry; (entry = readdir(d));) {
        struct stat st;
        CHECK_INT(fstatat(dirfd(d), entry->d_name, &st, 0), 0);
        if (S_ISREG(st.st_mode))
            sum += st.st_size;
    }
    closedir(d);
    return sum;
}

TEST("what is written can be read at any offset, in pieces of any size")
{
    auto_place struct place p = a_place();
    auto_job_log struct job_log *l = a_log(&p, 1 << 20, 65536, 0);
    write_text(l, "one\ntwo\n", 1);
    write_text(l, "three\n", 2);

    auto_free char *whole = read_from(&p, 0, 100);
    auto_free char *bytes = read_from(&p, 0, 1);
    auto_free char *rest = read_from(&p, 4, 3);
    auto_free char *behind = read_from(&p, 1000, 3);
    CHECK_TEXT(whole, "one\ntwo\nthree\n");
    CHECK_TEXT(bytes, whole);
    CHECK_TEXT(rest, "two\nthree\n");
    CHECK_TEXT(behind, "");
    int64_t end;
    CHECK_OK(job_log_end(p.folder, &end, &test_err));
    CHECK_INT(end, 14);
    CHECK_INT(job_log_length(l), 14);
}

TEST("no log reads as an empty one, and a negative offset is refused")
{
    auto_place struct place p = a_place();
    auto_free char *nothing = read_from(&p, 0, 10);
    CHECK_TEXT(nothing, "");
    char buf[4];
    size_t len;
    int64_t next, gap, end;
    CHECK_OK(job_log_end("/no/such/folder", &end, &test_err));
    CHECK_INT(end, 0);
    CHECK_FAILS(job_log_read(p.folder, -1, buf, 4, &len, &next, &gap, &test_err), ERR_INVALID,
                "negative");
}

TEST("beyond the quota the first and the last part are kept, and the gap is told")
{
    auto_place struct place p = a_place();
    auto_job_log struct job_log *l = a_log(&p, 32768, 65536, 0);
    char line[17];
    for (int i = 0; i < 10000; i++) {
        snprintf(line, sizeof line, "line %010d\n", i);
        write_text(l, line, 1);
    }

    CHECK(bytes_on_disk(&p) <= 32768);
    CHECK(bytes_on_disk(&p) >= 28000);
    auto_free char *text = read_from(&p, 0, 1000);
    CHECK(strncmp(text, "line 0000000000\n", 16) == 0);
    CHECK(text_ends_with(text, "line 0000009999\n"));
    const char *gap = strchr(text, '(');
    CHECK(gap != NULL && strchr(gap + 1, '(') == NULL);
    /* What stands before the gap, the gap and what stands behind it make up all that was written.
     */
    const char *behind = strchr(gap, ')') + 1;
    CHECK_INT(gap - text + atoll(gap + 1) + (int64_t)strlen(behind), 160000);

    /* A reader that comes back with an offset inside of it is told how much it missed. */
    auto_free char *inside = read_from(&p, 20000, 1000);
    CHECK(inside[0] == '(');
    CHECK_INT(20000 + atoll(inside + 1) + (int64_t)strlen(strchr(inside, ')') + 1), 160000);
}

TEST("a line that is too long is cut and marked, and the next one is whole")
{
    auto_place struct place p = a_place();
    auto_job_log struct job_log *l = a_log(&p, 1 << 20, 10, 0);
    write_text(l, "0123456789abc", 1);
    write_text(l, "defg", 1);
    write_text(l, "h\nshort\n", 1);
    write_text(l, "0123456789\n0123456789a\nend", 1);

    auto_free char *text = read_from(&p, 0, 1000);
    CHECK_TEXT(text, "0123456789 [reeve: 8 more bytes of this line left out]\nshort\n"
                     "0123456789\n0123456789 [reeve: 1 more bytes of this line left out]\nend");
    CHECK_INT(job_log_dropped(l), 9);
}

TEST("a progress bar that rewrites its line is many short lines, not a long one")
{
    auto_place struct place p = a_place();
    auto_job_log struct job_log *l = a_log(&p, 1 << 20, 10, 0);
    for (int i = 0; i < 100; i++)
        write_text(l, "\r12345", 1);
    CHECK_INT(job_log_dropped(l), 0);
    CHECK_INT(job_log_length(l), 600);
}

TEST("above the rate output is left out and the place is marked")
{
    auto_place struct place p = a_place();
    auto_job_log struct job_log *l = a_log(&p, 1 << 20, 65536, 1000);
    char burst[1501];
    memset(burst, 'x', sizeof burst - 1);
    burst[1500] = '\0';
    write_text(l, burst, 1000);
    write_text(l, "lost\n", 1001);
    write_text(l, "back\n", 2000);

    CHECK_INT(job_log_dropped(l), 505);
    auto_free char *text = read_from(&p, 0, 4096);
    CHECK_INT(strspn(text, "x"), 1000);
    CHECK_TEXT(text + 1000, "\n[reeve: 505 bytes of output left out here: more than 1000 bytes a "
                            "second]\nback\n");
}

TEST("a log below its rate loses nothing, however slowly it comes")
{
    auto_place struct place p = a_place();
    auto_job_log struct job_log *l = a_log(&p, 1 << 20, 65536, 100);
    for (int ms = 1; ms < 20000; ms += 10)
        write_text(l, "x", ms);
    CHECK_INT(job_log_dropped(l), 0);
}

TEST("a gap at the very end is marked, too")
{
    auto_place struct place p = a_place();
    struct job_log *l = a_log(&p, 1 << 20, 65536, 10);
    write_text(l, "0123456789abcdef", 1);
    job_log_close(l);
    auto_free char *text = read_from(&p, 0, 4096);
    CHECK_TEXT(text, "0123456789\n[reeve: 6 bytes of output left out here: more than 10 bytes a "
                     "second]\n");
}

TEST("any bytes go in and come out")
{
    auto_place struct place p = a_place();
    auto_job_log struct job_log *l = a_log(&p, 1 << 20, 65536, 0);
    char all[256];
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    job_log_write(l, all, sizeof all, 1);

    char back[300];
    size_t len;
    int64_t next, gap;
    CHECK_OK(job_log_read(p.folder, 0, back, sizeof back, &len, &next, &gap, &test_err));
    CHECK_INT(len, 256);
    CHECK(memcmp(all, back, 256) == 0);
}

TEST("a huge line without an end costs its limit and no more")
{
    auto_place struct place p = a_place();
    auto_job_log struct job_log *l = a_log(&p, 8 << 20, 65536, 0);
    auto_free char *chunk = mem_alloc(65536, 1);
    memset(chunk, 'z', 65536);
    for (int i = 0; i < 1000; i++)
        job_log_write(l, chunk, 65536, 1);
    write_text(l, "\nnext\n", 1);
    CHECK(job_log_length(l) < 66000);
    auto_free char *text = read_from(&p, 65536, 4096);
    CHECK_TEXT(text, " [reeve: 65470464 more bytes of this line left out]\nnext\n");
}

TEST("the tail that progress is looked for in begins with a whole line")
{
    auto_place struct place p = a_place();
    auto_job_log struct job_log *l = a_log(&p, 1 << 20, 65536, 0);
    write_text(l, "first\nsecond\n", 1);
    size_t len;
    const char *tail = job_log_tail(l, &len);
    CHECK(len == 13 && memcmp(tail, "first\nsecond\n", 13) == 0);
    for (int i = 0; i < 1000; i++)
        write_text(l, "123456789\n", 1);
    tail = job_log_tail(l, &len);
    CHECK(len <= 4096 && len > 4000 && memcmp(tail, "123456789\n", 10) == 0);
}

TEST("other files in the folder are no part of the log")
{
    auto_place struct place p = a_place();
    auto_job_log struct job_log *l = a_log(&p, 1 << 20, 65536, 0);
    write_text(l, "one\n", 1);
    static const char *const names[] = {"log.", "log.1", "log.0000000000000000000x", "logs",
                                        "log.99999999999999999999"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        auto_free char *path = mem_printf("%s/%s", p.folder, names[i]);
        CHECK_OK(file_replace(path, "odd", 3, 0600, &test_err));
    }
    auto_free char *text = read_from(&p, 0, 100);
    CHECK_TEXT(text, "one\n");
}
