#include "core/explain/explain.h"

#include "base/clock.h"
#include "core/fleet/where.h"
#include "core/place/place.h"

/*
 * One sentence under way, in the language of its reader. Both languages stand side by side where a
 * thing is said, as formats, so that the compiler holds both against what is filled in; the Korean
 * one names the places of its arguments where it has another order.
 */
struct say {
    const struct fleet_view *view;
    const struct explain_reader *reader;
    struct text *out;
};
#define KO(s)                ((s)->reader->language == LANGUAGE_KO)
#define IN(s, en, ko)        (KO(s) ? (ko) : (en))
#define SAY(s, en, ko)       text_add((s)->out, IN(s, en, ko))
#define SAYF(s, en, ko, ...) text_addf((s)->out, IN(s, en, ko), __VA_ARGS__)

/* A sentence that others made: of a node or its GPU. */
static void say_theirs(const struct say *s, const char *text)
{
    phrase_add(s->out, s->reader->language, text);
}

/*
 * The planner stops at the first node that serves; here we look for the node that is nearest to
 * serving, with the planner's own tests, and say what is missing on it. So the answer can only be
 * out of date, not wrong.
 */
struct nearest {
    const struct node *node;  /* NULL: no node can ever serve it as the fleet is */
    enum node_fit fit;        /* of that node */
    int free_devices;         /* there */
    const struct node *small; /* else: the one that comes nearest to being large enough */
    int small_able;
    const struct node *others; /* or one that runs another principal's jobs only */
    const struct node *apart;  /* or the one that only its labels and taints keep away */
    enum node_fit apart_fit;   /* NODE_NO_CLUSTER is the least near, NODE_TAINTED the most */
    int64_t nodes;             /* looked at */
};

static bool is_there(const struct node *n)
{
    return n->state == NODE_READY || n->state == NODE_UNKNOWN;
}

/* As the planner prefers them: one that fits, then the one with most devices free. */
static void look(const struct place_plan *p, const struct shape *s, struct nearest *ret)
{
    *ret = (struct nearest){.free_devices = -1, .small_able = -1};
    for (int64_t id = 1; id <= p->view->node_count; id++) {
        const struct node *n = fleet_node(p->view, id);
        if (!is_there(n))
            continue;
        ret->nodes++;
        int free_devices, able;
        enum node_fit fit = place_node_fit(p, s, n, &free_devices, &able);
        if (fit == NODE_TOO_SMALL) {
            if (able > ret->small_able) {
                ret->small = n;
                ret->small_able = able;
            }
        } else if (fit == NODE_OTHERS_ONLY) {
            ret->others = ret->others ? ret->others : n;
        } else if (node_fit_is_never(fit)) {
            /* In the order in which they are asked for. */
            if (!ret->apart || fit > ret->apart_fit) {
                ret->apart = n;
                ret->apart_fit = fit;
            }
        } else if (!ret->node || (fit == NODE_FITS && ret->fit != NODE_FITS) ||
                   (ret->fit != NODE_FITS && free_devices > ret->free_devices)) {
            ret->node = n;
            ret->fit = fit;
            ret->free_devices = free_devices;
        }
    }
}

static const struct device *next_device(const struct fleet_view *v, const struct node *n,
                                        const struct device *last)
{
    uint32_t id = last ? last->next_on_node : n->devices ? n->first_device : NO_ROW;
    return id == NO_ROW ? NULL : fleet_device(v, id);
}

static void say_needs(const struct say *s, const struct shape *shape)
{
    const char *more = "";
    SAY(s, "needs ", "");
    if (shape->gpus) {
        SAYF(s, "%u GPU%s", "GPU %1$u개%2$.0s", shape->gpus, shape->gpus == 1 ? "" : "s");
        if (shape->gpu_memory_mib)
            SAYF(s, " with %u MiB free", "(여유 메모리 %u MiB)", shape->gpu_memory_mib);
        more = IN(s, " and ", ", ");
    }
    if (shape->cpu_milli) {
        SAYF(s, "%s%g CPU cores", "%sCPU 코어 %g개", more, shape->cpu_milli / 1000.0);
        more = IN(s, " and ", ", ");
    }
    if (shape->memory_mib && (!(shape->flags & JOB_MEMORY_DEFAULT) || !*more))
        SAYF(s, "%s%u MiB of memory", "%s메모리 %u MiB", more, shape->memory_mib);
    SAY(s, "; ", " 필요; ");
}

static void say_holder(const struct say *s, const struct device *d)
{
    const struct attempt *a = fleet_attempt_at(s->view, d->attempt);
    const struct job *j = fleet_job_at(s->view, a->job_row);
    const struct principal *p = fleet_principal(s->view, j->principal);
    bool named = p && !s->reader->mask_users;
    SAYF(s, "used by job %lld", "작업 %lld", (long long)a->job);
    if (named)
        SAYF(s, " of %s", "(%s)", p->name);
    SAY(s, "", "에서 사용 중");
}

static void say_health(const struct say *s, const struct device *d)
{
    static const char *const korean[DEVICE_HEALTHS] = {"정상", "상태 알 수 없음", "고장", "없음"};
    long long number = (long long)d->number;
    const char *health = device_health_name(d->health);
    SAYF(s, "GPU %lld %s", "GPU %lld %s", number,
         KO(s) && d->health < DEVICE_HEALTHS ? korean[d->health] : health);
    if (d->why[0]) {
        text_add(s->out, " (");
        say_theirs(s, d->why);
        text_add(s->out, ")");
    }
}

/* What keeps one device from serving, as what "node a has"; "" when it does serve. */
static const char *say_device(const struct say *s, const struct place_plan *p,
                              const struct shape *shape, const struct device *d)
{
    long long number = (long long)d->number;
    switch (place_device_fit(p, shape, d)) {
    case FIT_TOO_SMALL:
        SAYF(s, "only %u MiB on GPU %lld", "GPU %2$lld 메모리가 %1$u MiB뿐", d->memory_mib, number);
        return "too-small";
    case FIT_UNHEALTHY:
        say_health(s, d);
        return "gpu-unhealthy";
    case FIT_TWIN:
        SAYF(s, "GPU %lld has the same UUID as one of node %s",
             "GPU %lld UUID가 노드 %s의 GPU와 같음", number,
             fleet_node(p->view, fleet_device(p->view, d->twin)->node)->name);
        return "gpu-twice";
    case FIT_HELD:
        SAYF(s, "%u MiB free on GPU %lld, ", "GPU %2$lld 여유 %1$u MiB, ", d->free_mib, number);
        say_holder(s, d);
        return "gpu-held";
    case FIT_BUSY:
        SAYF(s, "GPU %lld busy", "GPU %lld 사용 중", number);
        if (d->why[0]) {
            text_add(s->out, " (");
            say_theirs(s, d->why);
            text_add(s->out, ")");
        }
        return "gpu-busy";
    case FIT_NOT_FREE:
        SAYF(s, "%u MiB free on GPU %lld", "GPU %2$lld 여유 %1$u MiB", d->free_mib, number);
        if (d->foreign)
            SAY(s, ", used by processes that Reeve did not start",
                ", Reeve가 시작하지 않은 프로세스가 사용 중");
        return "gpu-busy";
    default:
        return "";
    }
}

/* What kubelet would not give, though nobody sees who has which. */
static uint32_t unseen_foreign(const struct fleet_view *v, const struct node *n)
{
    uint32_t seen = 0;
    for (const struct device *d = next_device(v, n, NULL); d; d = next_device(v, n, d))
        seen += d->foreign && d->attempt == NO_ROW && d->health != DEVICE_GONE;
    return n->foreign_gpus > seen ? n->foreign_gpus - seen : 0;
}

enum { DEVICES_SAID = 3 };

static const char *say_devices(const struct say *s, const struct place_plan *p,
                               const struct shape *shape, const struct nearest *near)
{
    const struct node *n = near->node;
    const char *code = "";
    int said = 0, unsaid = 0;
    SAYF(s, "node %s has ", "노드 %s: ", n->name);
    if (near->free_devices)
        SAYF(s, "%d that would do, ", "조건에 맞는 GPU %d개, ", near->free_devices);
    for (const struct device *d = next_device(p->view, n, NULL); d;
         d = next_device(p->view, n, d)) {
        if (d->health == DEVICE_GONE && d->attempt == NO_ROW)
            continue;
        auto_text struct text one = {0};
        const struct say aside = {s->view, s->reader, &one};
        const char *why = say_device(&aside, p, shape, d);
        /* A GPU that is held will be free; that is the word for all. */
        if (*why && (!*code || strcmp(why, "gpu-held") == 0))
            code = why;
        if (*why && said < DEVICES_SAID) {
            text_addf(s->out, "%s%s", said ? "; " : "", text_get(&one));
            said++;
        } else if (*why) {
            unsaid++;
        }
    }
    if (unsaid)
        SAYF(s, "; and %d more in use", "; 그 외 %d개 사용 중", unsaid);
    uint32_t foreign = unseen_foreign(p->view, n);
    if (foreign) {
        SAYF(s, "%s%u GPU%s held by pods that Reeve did not start",
             "%1$sReeve가 시작하지 않은 파드가 GPU %2$u개 사용 중%3$.0s", said ? "; " : "", foreign,
             foreign == 1 ? "" : "s");
        if (!*code)
            code = "gpu-foreign";
    }
    return *code ? code : "gpu-held";
}

/* What others use too much of; both figures while a node that was busy must stay calm a little. */
static void say_busy_node(const struct say *s, const struct node *n)
{
    const struct policy *p = &s->view->policy;
    bool cpu = n->cpu_pct >= p->gate_cpu_pct, memory = n->memory_pct >= p->gate_memory_pct;
    bool calm = !cpu && !memory;
    SAYF(s, "node %s is busy: others use ", "노드 %s 사용량 많음: 다른 프로세스가 ", n->name);
    if (cpu || calm)
        SAYF(s, "%d %% of its CPU (limit %lld %%)", "CPU %d %%(한도 %lld %%)", n->cpu_pct,
             (long long)p->gate_cpu_pct);
    if (cpu == memory)
        SAY(s, " and ", ", ");
    if (memory || calm)
        SAYF(s, "%d %% of its memory (limit %lld %%)", "메모리 %d %%(한도 %lld %%)", n->memory_pct,
             (long long)p->gate_memory_pct);
    SAY(s, "", " 사용 중");
    if (calm)
        SAY(s, " now; a little more calm is waited for", "; 조금 더 안정되기를 기다림");
}

static bool is_reserved(const struct fleet_view *v, const struct shape *shape, const struct node *n)
{
    for (uint32_t i = 1; i < v->shapes.count; i++) {
        const struct shape *other = fleet_shape_at(v, i);
        if (other != shape && other->ready && other->reserved_node == (uint32_t)n->id)
            return true;
    }
    return false;
}

static const char *say_waits_for(const struct say *s, const struct place_plan *p,
                                 const struct shape *shape, const struct nearest *near)
{
    const struct node *n = near->node;
    switch (near->fit) {
    case NODE_NOT_HEARD:
        SAYF(s, "node %s is not heard", "노드 %s 응답 없음", n->name);
        return "node-unknown";
    case NODE_BUSY:
        if (n->busy == NODE_REFUSES) {
            SAYF(s, "node %s refused a start and is asked again in a few seconds",
                 "노드 %s에서 시작이 거부되어 몇 초 뒤 다시 확인", n->name);
            return "node-refused";
        }
        say_busy_node(s, n);
        return "node-busy";
    case NODE_CORDONED:
        SAYF(s, "node %s takes no new work", "노드 %s: 새 작업을 받지 않음", n->name);
        if (n->share_why[0]) {
            text_add(s->out, ": ");
            say_theirs(s, n->share_why);
        }
        return "node-cordoned";
    case NODE_NO_CPU:
        if (n->has_share && n->share_cpu_milli < n->cpu_milli) {
            SAYF(s,
                 "of the %g cores of node %s pods that Reeve did not start ask for %g, and jobs "
                 "have reserved %g",
                 "노드 %2$s의 코어 %1$g개 중 Reeve가 시작하지 않은 파드가 %3$g개를 요청하고 작업이 "
                 "%4$g개를 예약함",
                 n->cpu_milli / 1000.0, n->name, (n->cpu_milli - n->share_cpu_milli) / 1000.0,
                 n->cpu_milli_used / 1000.0);
            return "cpu-held";
        }
        SAYF(s, "jobs have reserved %g of the %g cores of node %s",
             "노드 %3$s의 코어 %2$g개 중 %1$g개를 작업이 예약함", n->cpu_milli_used / 1000.0,
             n->cpu_milli / 1000.0, n->name);
        return "cpu-held";
    case NODE_NO_MEMORY:
        if (n->has_share && n->share_memory_mib < n->memory_mib) {
            SAYF(s,
                 "of the %u MiB of node %s pods that Reeve did not start ask for %u, and jobs have "
                 "reserved %u",
                 "노드 %2$s의 메모리 %1$u MiB 중 Reeve가 시작하지 않은 파드가 %3$u MiB를 요청하고 "
                 "작업이 %4$u MiB를 예약함",
                 n->memory_mib, n->name, n->memory_mib - n->share_memory_mib, n->memory_mib_used);
            return "memory-held";
        }
        SAYF(s, "jobs have reserved %u of the %u MiB of node %s",
             "노드 %3$s의 메모리 %2$u MiB 중 %1$u MiB를 작업이 예약함", n->memory_mib_used,
             n->memory_mib, n->name);
        return "memory-held";
    case NODE_NO_DEVICES:
        return say_devices(s, p, shape, near);
    default: /* it fits: the next plan starts it, unless somebody in front needs the place */
        if (is_reserved(p->view, shape, n)) {
            SAYF(s, "node %s is kept for a job further in front",
                 "노드 %s: 앞 순서의 작업 몫으로 비워 둠", n->name);
            return "reserved";
        }
        SAYF(s, "node %s is free: it starts with the next plan",
             "노드 %s 비어 있음: 다음 배정에서 시작", n->name);
        return "next";
    }
}

/* GPUs that are there. */
static int devices_of(const struct fleet_view *v, const struct node *n)
{
    int count = 0;
    for (const struct device *d = next_device(v, n, NULL); d; d = next_device(v, n, d))
        count += d->health != DEVICE_GONE;
    return count;
}

static uint32_t largest_mib(const struct fleet_view *v, const struct node *n)
{
    uint32_t largest = 0;
    for (const struct device *d = next_device(v, n, NULL); d; d = next_device(v, n, d))
        if (d->health != DEVICE_GONE && d->memory_mib > largest)
            largest = d->memory_mib;
    return largest;
}

static const char *say_others_only(const struct say *s, const struct node *n)
{
    const struct principal *owner = fleet_principal(s->view, n->only_principal);
    if (owner && !s->reader->mask_users)
        SAYF(s, "node %s has no isolation and runs jobs of %s only",
             "노드 %s: 격리가 없어 %s의 작업만 실행", n->name, owner->name);
    else
        SAYF(s, "node %s has no isolation and runs jobs of one other user only",
             "노드 %s: 격리가 없어 다른 한 사용자의 작업만 실행", n->name);
    return "other-user";
}

/* Nothing that ends or comes free will help: what keeps the job away from the nodes that there are.
 */
static const char *say_apart(const struct say *s, const struct shape *shape,
                             const struct nearest *near)
{
    const struct node *n = near->apart;
    const struct where *w = fleet_where(s->view, shape->where);
    int lacks = w ? node_lacks(s->view, n, w) : -1;
    switch (near->apart_fit) {
    case NODE_NO_CLUSTER:
        SAY(s, "it needs a node of a Kubernetes cluster, and there is none",
            "Kubernetes 클러스터의 노드가 필요한데 하나도 없음");
        return "no-cluster";
    case NODE_NO_MACHINE:
        SAY(s, "it has no image, so it runs on machines with an agent only, and there is none",
            "이미지가 없어 에이전트가 있는 컴퓨터에서만 실행되는데 하나도 없음");
        return "no-machine";
    case NODE_NO_LABEL: {
        const char *pair = w ? w->selector : "", *comma;
        for (; lacks > 0 && (comma = strchr(pair, ',')); lacks--)
            pair = comma + 1;
        SAYF(s, "no node that could do has all labels of its node selector; node %s lacks %.*s",
             "노드 선택 조건의 레이블을 모두 가진 노드가 없음; 노드 %s에는 %.*s 없음", n->name,
             (int)strcspn(pair, ","), pair);
        return "no-label";
    }
    default: {
        const struct node_taint *t = node_repels(s->view, n, w, shape->gpus);
        SAYF(s, "node %s has the taint %s, which the job does not tolerate",
             "노드 %s의 테인트 %s을(를) 작업이 허용하지 않음", n->name, t ? t->text : "");
        return "tainted";
    }
    }
}

static const char *say_impossible(const struct say *s, const struct shape *shape,
                                  const struct nearest *near)
{
    if (near->others)
        return say_others_only(s, near->others);
    /* A node that is too small would not do even if it were let in. */
    if (near->apart && (!near->small || near->apart_fit > NODE_NO_MACHINE))
        return say_apart(s, shape, near);
    if (!near->small) {
        SAY(s, "no node is there", "노드가 없음");
        return "no-node";
    }
    const struct node *n = near->small;
    if (near->small_able >= shape->gpus)
        SAYF(s, "the nearest is node %s with %g cores and %u MiB of memory",
             "가장 가까운 노드 %s도 코어 %g개, 메모리 %u MiB", n->name, n->cpu_milli / 1000.0,
             n->memory_mib);
    else if (shape->gpu_memory_mib && devices_of(s->view, n) >= shape->gpus)
        SAYF(s, "no node has that: the largest GPU of node %s has %u MiB",
             "그런 노드가 없음: 노드 %s의 가장 큰 GPU도 %u MiB", n->name, largest_mib(s->view, n));
    else
        SAYF(s, "no node has that: node %s has %d GPU%s",
             "그런 노드가 없음: 노드 %1$s의 GPU는 %2$d개%3$.0s", n->name, devices_of(s->view, n),
             devices_of(s->view, n) == 1 ? "" : "s");
    return "impossible";
}

/* "held by NAME since T: why" */
static const char *say_held(const struct say *s, const struct hold *h)
{
    const struct principal *p = fleet_principal(s->view, h->actor);
    char since[CLOCK_TEXT_SIZE];
    SAYF(s, "held by %s since %s", "%2$s부터 %1$s 보류",
         p && !s->reader->mask_users ? p->name : IN(s, "an operator", "운영자"),
         clock_format(h->since_ms, since));
    if (h->why[0])
        text_addf(s->out, ": %s", h->why);
    return "held";
}

const char *explain_shape(const struct fleet_view *v, const struct shape *shape,
                          const struct explain_reader *reader, struct text *out)
{
    const struct say s = {v, reader, out};
    struct place_plan p;
    struct nearest near;
    place_plan_init(&p, v);
    look(&p, shape, &near);
    say_needs(&s, shape);
    const char *code =
        near.node ? say_waits_for(&s, &p, shape, &near) : say_impossible(&s, shape, &near);
    place_plan_done(&p);
    return code;
}

const char *explain_wait(const struct fleet_view *v, const struct job *j,
                         const struct explain_reader *reader, struct text *out)
{
    const struct say s = {v, reader, out};
    if (j->state != JOB_QUEUED)
        return "";
    if (j->hold)
        return say_held(&s, fleet_job_hold(v, j));
    if (j->pause_ms) {
        char when[CLOCK_TEXT_SIZE];
        SAYF(&s, "attempt %u was lost; it is tried again at %s", "시도 %u 유실; %s에 다시 시도",
             j->attempts, clock_format(job_due_ms(j), when));
        return "paused";
    }
    return explain_shape(v, fleet_shape_at(v, j->shape), reader, out);
}

const char *explain_choice(const struct fleet_view *v, const struct node *n, int64_t gpus)
{
    if (!n || v->node_count < 2)
        return NULL;
    return gpus >= devices_of(v, n)
               ? "it takes whole nodes: the emptiest of those that fitted, ties by name"
               : "it takes part of a node: the fullest of those that fitted, ties by name";
}

size_t explain_held_by(const struct fleet_view *v, const struct job *j, int64_t *ret, size_t most)
{
    if (j->state != JOB_QUEUED || j->hold || j->pause_ms)
        return 0;
    const struct shape *s = fleet_shape_at(v, j->shape);
    struct place_plan p;
    struct nearest near;
    size_t count = 0;
    place_plan_init(&p, v);
    look(&p, s, &near);
    if (near.node && near.fit == NODE_NO_DEVICES)
        for (const struct device *d = next_device(v, near.node, NULL); d && count < most;
             d = next_device(v, near.node, d))
            if (place_device_fit(&p, s, d) == FIT_HELD)
                ret[count++] = d->id;
    place_plan_done(&p);
    return count;
}
