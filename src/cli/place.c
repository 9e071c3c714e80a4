#include "cli/place.h"

#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

/* The folder that VARIABLE names, else UNDER_HOME in the home folder; NULL without a home. */
static char *home_folder(const char *variable, const char *under_home)
{
    const char *named = getenv(variable), *home = getenv("HOME");
    if (named && named[0] == '/')
        return mem_printf("%s/reeve", named);
    if (home && home[0] == '/')
        return mem_printf("%s/%s/reeve", home, under_home);
    return NULL;
}

int place_data(char **ret, struct err *e)
{
    *ret = geteuid() == 0 ? mem_strdup("/var/lib/reeve")
                          : home_folder("XDG_STATE_HOME", ".local/state");
    if (!*ret)
        return err_set(e, ERR_INVALID,
                       "there is no place for data: HOME is not set; name one with --data");
    return 0;
}

char *place_config(void)
{
    auto_free char *folder = home_folder("XDG_CONFIG_HOME", ".config");
    return folder ? mem_printf("%s/config.yaml", folder) : NULL;
}

bool place_socket_answers(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof at.sun_path)
        return false;
    strcpy(at.sun_path, path);
    auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at) == 0;
}

char *place_socket(void)
{
    auto_free char *data = NULL;
    const char *const system = "/var/lib/reeve";
    (void)place_data(&data, NULL);

    const char *const folders[] = {data ? data : system, system};
    const char *const names[] = {"reeved.sock", "demo/reeved.sock"};
    for (size_t i = 0; i < COUNT_OF(folders); i++)
        for (size_t k = 0; k < COUNT_OF(names); k++) {
            auto_free char *path = mem_printf("%s/%s", folders[i], names[k]);
            if (place_socket_answers(path))
                return TAKE(path);
        }
    return NULL;
}

/* The first of FOLDERS (relative to this program's own) that holds NAME, as an absolute path. */
static char *find_beside(const char *const *folders, const char *name, int mode)
{
    for (; *folders; folders++) {
        auto_free char *path = mem_printf("%s/%s/%s", file_program_folder(), *folders, name);
        if (access(path, mode) == 0)
            return realpath(path, NULL);
    }
    return NULL;
}

int place_program(const char *name, char **ret, struct err *e)
{
    static const char *const folders[] = {".",         "../libexec", "../libexec/reeve",
                                          "../reeved", "../agent",   NULL};
    *ret = find_beside(folders, name, X_OK);
    if (!*ret)
        return err_set(e, ERR_NOT_FOUND,
                       "program '%s' is not beside this one in '%s'; is the installation whole?",
                       name, file_program_folder());
    return 0;
}

char *place_simulator(void)
{
    static const char *const folders[] = {"../lib/reeve/sim", "../../sim", NULL};
    return find_beside(folders, "libnvidia-ml.so.1", R_OK);
}

int place_example(char **ret, char **ret_configs, struct err *e)
{
    static const char *const folders[] = {"../share/reeve/examples/proto-gcn",
                                          "../../examples/proto-gcn", NULL};
    auto_free char *program = find_beside(folders, "proto-gcn", X_OK);
    auto_free char *configs = find_beside(folders, "configs", R_OK);
    if (!program || !configs)
        return err_set(e, ERR_NOT_FOUND, "the example proto-gcn is not installed beside '%s'",
                       file_program_folder());
    *strrchr(program, '/') = '\0';
    *ret = TAKE(program);
    *ret_configs = TAKE(configs);
    return 0;
}
