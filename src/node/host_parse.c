/* The pure half of host.h: the kernel's texts. */
#include "node/host.h"

#include "base/mem.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A whole number not below 0 at *P, blanks in front allowed; one that is too large is the largest.
 */
static bool take_int(const char **p, int64_t *ret)
{
    const char *at = *p;
    while (*at == ' ' || *at == '\t')
        at++;
    if (!isdigit((unsigned char)*at))
        return false;
    char *end;
    errno = 0;
    unsigned long long value = strtoull(at, &end, 10);
    *ret = errno || value > INT64_MAX ? INT64_MAX : (int64_t)value;
    *p = end;
    return true;
}

static const char *next_line(const char *line)
{
    line += strcspn(line, "\n");
    return *line ? line + 1 : line;
}

/* Behind WORD and a blank at the start of the line; NULL when it begins otherwise. */
static const char *behind(const char *line, const char *word)
{
    size_t len = strlen(word);
    return strncmp(line, word, len) == 0 && line[len] == ' ' ? line + len : NULL;
}

static int64_t minus(int64_t a, int64_t b)
{
    return a > b ? a - b : 0;
}

/* Older kernels have fewer columns: what is missing is 0. */
static struct host_cpu_times take_times(const char *p)
{
    int64_t v[10] = {0};
    for (size_t i = 0; i < COUNT_OF(v) && take_int(&p, &v[i]); i++)
        ;
    return (struct host_cpu_times){.user = minus(v[0], v[8]),
                                   .nice = minus(v[1], v[9]),
                                   .system = v[2],
                                   .idle = v[3],
                                   .iowait = v[4],
                                   .irq = v[5],
                                   .softirq = v[6],
                                   .steal = v[7],
                                   .guest = v[8],
                                   .guest_nice = v[9]};
}

static void take_cpu(const char *line, struct host_stat *s)
{
    const char *p = line + 3;
    int64_t index;
    if (!isdigit((unsigned char)*p) || !take_int(&p, &index) || index > 65535 ||
        s->cpu_count == HOST_CPUS_MOST)
        return;
    if (s->cpu_count % 64 == 0)
        s->cpus = mem_resize_array(s->cpus, s->cpu_count + 64);
    s->cpus[s->cpu_count++] = (struct host_cpu){(int)index, take_times(p)};
}

bool host_parse_stat(const char *text, struct host_stat *ret)
{
    struct host_stat s = {.context_switches = HOST_NO_VALUE,
                          .interrupts = HOST_NO_VALUE,
                          .forks = HOST_NO_VALUE,
                          .boot_time_s = HOST_NO_VALUE,
                          .running = HOST_NO_VALUE,
                          .blocked = HOST_NO_VALUE};
    const struct {
        const char *word;
        int64_t *value;
    } words[] = {{"ctxt", &s.context_switches}, {"intr", &s.interrupts},
                 {"processes", &s.forks},       {"btime", &s.boot_time_s},
                 {"procs_running", &s.running}, {"procs_blocked", &s.blocked}};
    bool has_all = false;
    for (const char *line = text; *line; line = next_line(line)) {
        const char *p = behind(line, "cpu");
        if (p) {
            s.all = take_times(p);
            has_all = true;
            continue;
        }
        if (text_starts_with(line, "cpu")) {
            take_cpu(line, &s);
            continue;
        }
        for (size_t i = 0; i < COUNT_OF(words); i++)
            if ((p = behind(line, words[i].word)))
                take_int(&p, words[i].value);
    }
    if (!has_all) {
        host_stat_done(&s);
        return false;
    }
    *ret = s;
    return true;
}

void host_stat_done(struct host_stat *s)
{
    free(s->cpus);
    *s = (struct host_stat){0};
}

/* iowait may go back, and so may all others on some kernels: that counts as no time. */
static int64_t passed(int64_t before, int64_t now)
{
    int64_t d = minus(now, before);
    return d < INT64_MAX / 1000000 ? d : INT64_MAX / 1000000;
}

int64_t host_cpu_milli_pct(const struct host_cpu_times *b, const struct host_cpu_times *n)
{
    int64_t busy = passed(b->user, n->user) + passed(b->nice, n->nice) +
                   passed(b->system, n->system) + passed(b->irq, n->irq) +
                   passed(b->softirq, n->softirq) + passed(b->steal, n->steal) +
                   passed(b->guest, n->guest) + passed(b->guest_nice, n->guest_nice);
    int64_t total = busy + passed(b->idle, n->idle) + passed(b->iowait, n->iowait);
    if (!total)
        return HOST_NO_VALUE;
    while (total > INT64_MAX / 100000) {
        total /= 2;
        busy /= 2;
    }
    return busy * 100000 / total;
}

/* "Active(anon)" as node_exporter writes it: "Active_anon". */
static bool take_name(const char *line, char ret[40], const char **ret_rest)
{
    size_t len = 0;
    for (; *line && *line != ':' && *line != '\n'; line++) {
        if (*line == ')')
            continue;
        if (len == 39)
            return false;
        ret[len++] = (char)(*line == '(' ? '_' : *line);
    }
    ret[len] = '\0';
    *ret_rest = line + 1;
    return len && *line == ':';
}

static int64_t key_bytes(const struct host_memory *m, const char *name)
{
    for (size_t i = 0; i < m->key_count; i++)
        if (strcmp(m->keys[i].name, name) == 0)
            return m->keys[i].value;
    return HOST_NO_VALUE;
}

static int64_t or_zero(int64_t value)
{
    return value > 0 ? value : 0;
}

/* As the kernel did before it told us itself (3.14). */
static int64_t guess_available(const struct host_memory *m)
{
    int64_t sum = 0;
    const char *const parts[] = {"MemFree", "Buffers", "Cached", "SReclaimable"};
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        int64_t part = or_zero(key_bytes(m, parts[i]));
        sum = sum > INT64_MAX - part ? INT64_MAX : sum + part;
    }
    return minus(sum, or_zero(key_bytes(m, "Shmem")));
}

bool host_parse_meminfo(const char *text, struct host_memory *ret)
{
    struct host_memory *m = ret;
    *m = (struct host_memory){0};
    for (const char *line = text; *line && m->key_count < HOST_MEMORY_KEYS_MOST;
         line = next_line(line)) {
        struct host_memory_key *key = &m->keys[m->key_count];
        const char *p;
        if (!take_name(line, key->name, &p) || !take_int(&p, &key->value))
            continue;
        key->is_bytes = text_starts_with(p, " kB");
        if (key->is_bytes)
            key->value = key->value > INT64_MAX / 1024 ? INT64_MAX : key->value * 1024;
        m->key_count++;
    }
    m->total_bytes = key_bytes(m, "MemTotal");
    m->free_bytes = key_bytes(m, "MemFree");
    m->available_bytes = key_bytes(m, "MemAvailable");
    if (m->available_bytes < 0 && m->free_bytes >= 0)
        m->available_bytes = guess_available(m);
    return m->total_bytes > 0 && m->available_bytes >= 0;
}

/* Whether NAME is a partition of DISK: sda1 of sda, nvme0n1p1 of nvme0n1. */
static bool is_partition(const char *disk, const char *name)
{
    size_t len = strlen(disk);
    if (strncmp(disk, name, len) != 0)
        return false;
    const char *rest = name + len;
    if (len && isdigit((unsigned char)disk[len - 1]) && *rest++ != 'p')
        return false;
    return *rest && strspn(rest, "0123456789") == strlen(rest);
}

static int64_t sectors(int64_t n)
{
    return n > INT64_MAX / 512 ? INT64_MAX : n * 512; /* always 512, whatever the device has */
}

size_t host_parse_diskstats(const char *text, struct host_disk ret[HOST_DISKS_MOST])
{
    size_t count = 0;
    for (const char *line = text; *line && count < HOST_DISKS_MOST; line = next_line(line)) {
        const char *p = line;
        int64_t major, minor, v[11] = {0};
        if (!take_int(&p, &major) || !take_int(&p, &minor))
            continue;
        while (*p == ' ')
            p++;
        size_t len = strcspn(p, " \n");
        struct host_disk *d = &ret[count];
        if (!len || len >= sizeof d->name)
            continue;
        *d = (struct host_disk){0};
        memcpy(d->name, p, len);
        p += len;
        size_t fields = 0;
        while (fields < COUNT_OF(v) && take_int(&p, &v[fields]))
            fields++;
        if (fields < 10 || text_starts_with(d->name, "loop") || text_starts_with(d->name, "ram"))
            continue;
        bool part = false;
        for (size_t i = 0; i < count; i++)
            part |= is_partition(ret[i].name, d->name);
        if (part)
            continue;
        d->reads = v[0];
        d->read_bytes = sectors(v[2]);
        d->writes = v[4];
        d->written_bytes = sectors(v[6]);
        d->io_ms = v[9];
        count++;
    }
    return count;
}

size_t host_parse_net_dev(const char *text, struct host_net ret[HOST_NETS_MOST])
{
    size_t count = 0;
    for (const char *line = text; *line && count < HOST_NETS_MOST; line = next_line(line)) {
        const char *name = line + strspn(line, " ");
        size_t len = strcspn(name, ":\n");
        struct host_net *n = &ret[count];
        if (name[len] != ':' || !len || len >= sizeof n->name)
            continue;
        const char *p = name + len + 1;
        int64_t v[12] = {0};
        size_t fields = 0;
        while (fields < COUNT_OF(v) && take_int(&p, &v[fields]))
            fields++;
        if (fields < COUNT_OF(v))
            continue;
        *n = (struct host_net){.received_bytes = v[0],
                               .received_packets = v[1],
                               .received_errors = v[2],
                               .received_dropped = v[3],
                               .sent_bytes = v[8],
                               .sent_packets = v[9],
                               .sent_errors = v[10],
                               .sent_dropped = v[11]};
        memcpy(n->name, name, len);
        count++;
    }
    return count;
}

/* "12.34" in thousandths, digits behind the third are cut. */
static bool take_milli(const char **p, int64_t *ret)
{
    int64_t whole, part = 0;
    if (!take_int(p, &whole))
        return false;
    if (**p == '.') {
        ++*p;
        for (int64_t unit = 100; isdigit((unsigned char)**p); ++*p, unit /= 10)
            part += (**p - '0') * unit;
    }
    *ret = whole > INT64_MAX / 1000 - 1 ? INT64_MAX : whole * 1000 + part;
    return true;
}

bool host_parse_loadavg(const char *text, int64_t ret_milli[3])
{
    return take_milli(&text, &ret_milli[0]) && take_milli(&text, &ret_milli[1]) &&
           take_milli(&text, &ret_milli[2]);
}

bool host_parse_uptime(const char *text, int64_t *ret_ms)
{
    return take_milli(&text, ret_ms);
}

bool host_parse_pressure(const char *text, int64_t *ret_some_us, int64_t *ret_full_us)
{
    *ret_some_us = *ret_full_us = HOST_NO_VALUE;
    for (const char *line = text; *line; line = next_line(line)) {
        size_t len = strcspn(line, "\n");
        const char *total = memmem(line, len, " total=", 7);
        if (!total)
            continue;
        total += 7;
        if (behind(line, "some"))
            take_int(&total, ret_some_us);
        else if (behind(line, "full"))
            take_int(&total, ret_full_us);
    }
    return *ret_some_us >= 0;
}
