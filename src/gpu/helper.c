#include "gpu/helper.h"

#include "base/failpoint.h"
#include "base/mem.h"
#include "base/text.h"
#include "gpu/wire.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>

struct helper {
    struct gpu_pulse *pulse;
    const struct gpu_backend *backend;
    struct gpu_session *session;
};

static bool read_all(void *p, size_t len)
{
    for (size_t got = 0; got < len;) {
        ssize_t n = read(WIRE_FD, (char *)p + got, len - got);
        if (n == 0 || (n < 0 && errno != EINTR))
            return false;
        if (n > 0)
            got += (size_t)n;
    }
    return true;
}

/* The next frame must be of TYPE and exactly LEN long; else our parent is gone or of another build.
 */
static bool receive(enum wire_type type, void *body, size_t len)
{
    struct wire_head head;
    return read_all(&head, sizeof head) && head.version == WIRE_VERSION && head.type == type &&
           head.length == len && read_all(body, len);
}

static bool send_frame(enum wire_type type, const void *body, size_t len)
{
    static unsigned char frame[WIRE_MOST];
    struct wire_head head = {(uint32_t)len, (uint16_t)type, WIRE_VERSION};
    if (len > sizeof frame - sizeof head)
        return false;
    memcpy(frame, &head, sizeof head);
    memcpy(frame + sizeof head, body, len);

    size_t all = sizeof head + len;
    for (size_t sent = 0; sent < all;) {
        ssize_t n = write(WIRE_FD, frame + sent, all - sent);
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0)
            sent += (size_t)n;
    }
    return true;
}

static bool wanted(const struct gpu_backend *b, const char *name)
{
    return !name[0] || strcmp(name, "auto") == 0 || strcmp(name, b->name) == 0;
}

/* The first member that opens. All their reasons are in the error, and it is ERR_NOT_FOUND only if
 * each of them found nothing to work with. */
static int open_any(struct helper *h, struct wire_open *open, struct err *e)
{
    struct gpu_backend_config config = {
        .library = open->library[0] ? open->library : NULL,
        .program = open->program[0] ? open->program : NULL,
        .timeout_ms = open->timeout_ms,
        .skip = open->skip,
        .pulse = h->pulse,
    };
    enum err_code code = ERR_NOT_FOUND;
    auto_text struct text why = {0};

    if (FAILPOINT("gpu.helper.open"))
        return err_set(e, ERR_UNAVAILABLE, "failed on purpose");
    for (size_t i = 0; gpu_backends[i]; i++) {
        struct err one = {0};
        if (!wanted(gpu_backends[i], open->backend))
            continue;
        if (gpu_backends[i]->open(&config, &h->session, &one) == 0) {
            h->backend = gpu_backends[i];
            return 0;
        }
        if (one.code != ERR_NOT_FOUND)
            code = one.code;
        text_addf(&why, "%s%s", why.len ? "; " : "", one.text);
    }
    return err_set(e, code, "%s", text_get(&why));
}

static bool send_ready(struct helper *h)
{
    unsigned count = h->backend->count(h->session);
    size_t len = sizeof(struct wire_ready) + count * sizeof(struct gpu_info);
    auto_free struct wire_ready *ready = mem_alloc(1, len);

    snprintf(ready->backend, sizeof ready->backend, "%s", h->backend->name);
    h->backend->driver(h->session, &ready->driver);
    ready->count = count;
    for (unsigned i = 0; i < count; i++)
        if (h->backend->info(h->session, i, &ready->infos[i], NULL) < 0)
            gpu_info_clear(&ready->infos[i]);
    return send_frame(WIRE_READY, ready, len);
}

static bool send_failed(const struct err *why)
{
    struct wire_failed failed = {.code = (int32_t)why->code};
    gpu_copy_text(failed.text, sizeof failed.text, why->text);
    return send_frame(WIRE_FAILED, &failed, sizeof failed);
}

/* False: the socket is broken. WHY tells that the driver is gone. */
static bool sample_one(struct helper *h, uint32_t round, unsigned index, struct err *why)
{
    struct wire_device device = {.round = round, .index = index};
    struct err e = {0};
    if (FAILPOINT("gpu.helper.sample"))
        err_set(&e, ERR_INTERNAL, "failed on purpose");
    else
        h->backend->sample(h->session, index, &device.sample, &e);
    if (e.code) {
        if (e.code == ERR_UNAVAILABLE) {
            *why = e;
            return true;
        }
        gpu_sample_clear(&device.sample);
        device.code = (int32_t)e.code;
        gpu_copy_text(device.text, sizeof device.text, e.text);
    }
    size_t len = offsetof(struct wire_device, sample.processes) +
                 device.sample.process_count * sizeof(struct gpu_process);
    return send_frame(WIRE_DEVICE, &device, len);
}

static bool send_events(struct helper *h, uint32_t round)
{
    struct wire_events events = {.round = round};
    if (h->backend->events)
        events.count = h->backend->events(h->session, events.events, GPU_MAX_EVENTS);
    size_t len = offsetof(struct wire_events, events) + events.count * sizeof(struct gpu_event);
    return !events.count || send_frame(WIRE_EVENTS, &events, len);
}

/* False: it is over. */
static bool play_round(struct helper *h, uint32_t round)
{
    struct err why = {0};
    bool sent = true;

    if (h->backend->begin && h->backend->begin(h->session, &why) < 0)
        why.code = ERR_UNAVAILABLE;
    unsigned count = h->backend->count(h->session);
    for (unsigned i = 0; sent && !why.code && i < count; i++)
        sent = sample_one(h, round, i, &why);
    if (sent && !why.code)
        sent = send_events(h, round);

    struct wire_end end = {.round = round, .code = (int32_t)why.code};
    gpu_copy_text(end.text, sizeof end.text, why.text);
    return sent && send_frame(WIRE_END, &end, sizeof end) && !why.code;
}

/* A terminal's Ctrl-C reaches us, too, but when we end is our parent's business; and a driver's
 * library must not find descriptors that are not ours. */
static void set_up(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "reeve-gpu");
    signal(SIGINT, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    close_range(WIRE_PULSE_FD + 1, ~0u, 0);
}

int gpu_helper_main(void)
{
    struct helper h = {0};
    struct wire_open open;

    set_up();
    void *shared =
        mmap(NULL, sizeof(struct gpu_pulse), PROT_READ | PROT_WRITE, MAP_SHARED, WIRE_PULSE_FD, 0);
    if (shared == MAP_FAILED || !receive(WIRE_OPEN, &open, sizeof open)) {
        fputs("the GPU helper is started by the agent, not by hand\n", stderr);
        return 2;
    }
    close(WIRE_PULSE_FD);
    h.pulse = shared;

    struct err why = {0};
    if (open_any(&h, &open, &why) < 0)
        return send_failed(&why) ? 1 : 3;
    bool goes_on = send_ready(&h);
    struct wire_sample ask;
    while (goes_on && receive(WIRE_SAMPLE, &ask, sizeof ask))
        goes_on = play_round(&h, ask.round);
    gpu_pulse_beat(h.pulse, -1, "closing");
    h.backend->close(h.session);
    return 0;
}
