/* The helper as a program of its own: it links next to nothing, so that it stays small. */
#include "gpu/helper.h"

int main(void)
{
    return gpu_helper_main();
}
