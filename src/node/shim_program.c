/* The shim as a program of its own: `reeve-agent --shim DIR` without what else an agent needs. */
#include "node/shim.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--shim") == 0)
        return shim_program_main(argv);
    fprintf(stderr, "usage: reeve-agent --shim DIR (started by reeve-agent itself)\n");
    return 2;
}
