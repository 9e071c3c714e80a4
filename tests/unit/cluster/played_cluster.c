/*
 * A cluster that is played, as a program, for system tests:
 *
 *     played_cluster FOLDER     writes FOLDER/kubeconfig, then plays until its input ends
 *
 * Two nodes with a GPU each. Kubelet is quick: a pod runs at once, for as many seconds as its
 * command says ("sleep N"), else for a moment. What it does with pods is told on its output:
 * "made NAME", "runs NAME", "ended NAME", "gone NAME".
 */
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "play.h"

#include <poll.h>
#include <signal.h>

enum { TURN_MS = 20, START_MS = 60, USUAL_RUN_MS = 200, END_MS = 60 };

struct pod {
    struct pod *next;
    char *name;
    int64_t made_ms, runs_ms, deleted_ms;
    bool has_ended, is_there;
};

struct err test_err;
static struct play play;
static struct pod *pods;

static struct pod *find_pod(const char *name)
{
    struct pod *p = pods;
    while (p && strcmp(p->name, name) != 0)
        p = p->next;
    if (!p) {
        p = mem_new(struct pod);
        p->name = mem_strdup(name);
        p->made_ms = clock_mono_ms();
        p->next = pods;
        pods = p;
        printf("made %s\n", name);
    }
    return p;
}

static const json_t *at(const json_t *object, const char *a, const char *b)
{
    return json_object_get(json_object_get(object, a), b);
}

static int64_t run_ms(const json_t *object)
{
    const json_t *main = json_array_get(at(object, "spec", "containers"), 0);
    const json_t *command = json_object_get(main, "command");
    const char *word = json_string_value(json_array_get(command, 0));
    const char *seconds = json_string_value(json_array_get(command, 1));
    return word && seconds && strcmp(word, "sleep") == 0 ? (int64_t)(atof(seconds) * 1000)
                                                         : USUAL_RUN_MS;
}

static void step(struct pod *p, const json_t *object)
{
    int64_t now = clock_mono_ms();
    if (at(object, "metadata", "deletionTimestamp") && !p->deleted_ms)
        p->deleted_ms = now;
    if (p->has_ended)
        return;
    if (p->deleted_ms && now - p->deleted_ms > END_MS) {
        play_ended(&play, p->name, 137);
    } else if (!p->runs_ms && now - p->made_ms > START_MS) {
        p->runs_ms = now;
        printf("runs %s\n", p->name);
        play_running(&play, p->name);
        return;
    } else if (p->runs_ms && now - p->runs_ms > run_ms(object)) {
        play_ended(&play, p->name, 0);
    } else {
        return;
    }
    p->has_ended = true;
    printf("ended %s\n", p->name);
}

static void turn(void)
{
    const char *key;
    json_t *object;
    pthread_mutex_lock(&play.lock);
    auto_json json_t *all = json_deep_copy(play.objects);
    pthread_mutex_unlock(&play.lock);
    for (struct pod *p = pods; p; p = p->next)
        p->is_there = false;
    json_object_foreach(all, key, object)
    {
        if (strncmp(key, "pods/jobs/", 10) != 0)
            continue;
        struct pod *p = find_pod(key + 10);
        p->is_there = true;
        step(p, object);
    }
    for (struct pod **link = &pods, *p; (p = *link);) {
        if (p->is_there) {
            link = &p->next;
            continue;
        }
        printf("gone %s\n", p->name);
        *link = p->next;
        free(p->name);
        free(p);
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    signal(SIGPIPE, SIG_IGN);
    play_open(&play);
    play_node(&play, "gpu-a", 1, "boot-a");
    play_node(&play, "gpu-b", 1, "boot-b");
    play.log = "2026-01-31T09:00:01.000000000Z it works\n";
    auto_free char *path = mem_printf("%s/kubeconfig", argv[1]);
    auto_free char *text = mem_printf(
        "{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: "
        "{cluster: "
        "k, user: u, namespace: jobs}}], clusters: [{name: k, cluster: {server: '%s'}}], users: "
        "[{name: u, user: {}}]}\n",
        play.f.url);
    CHECK_OK(file_replace(path, text, strlen(text), 0644, &test_err));
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    while (poll(&input, 1, TURN_MS) == 0)
        turn();
    return 0; /* connections and all go with the process */
}
