/* Where things are: data, sockets, our other programs, the simulator, the example. */
#ifndef CLI_PLACE_H
#define CLI_PLACE_H

#include "base/err.h"

#include <stdbool.h>

/* /var/lib/reeve for root, else $XDG_STATE_HOME/reeve or ~/.local/state/reeve. */
int place_data(char **ret, struct err *e);
/* ~/.config/reeve/config.yaml, or under $XDG_CONFIG_HOME; NULL without a home. */
char *place_config(void);
/* The socket of a reeved that answers on this machine: the service, ours, the demo; NULL: none. */
char *place_socket(void);
/* True when somebody listens on the unix socket at PATH. */
bool place_socket_answers(const char *path);

/* "reeved", "reeve-agent": beside this program, in libexec, or in the build tree. */
int place_program(const char *name, char **ret, struct err *e);
/* The simulator of NVIDIA's library; NULL when it is not installed. */
char *place_simulator(void);
/* The folder of the example, which holds the program proto-gcn; *RET_CONFIGS the one of its
 * configurations. */
int place_example(char **ret, char **ret_configs, struct err *e);

#endif
