/* Fields of jobs are spelled "gpu_memory" in the API, "gpuMemory" in Kubernetes. */
#include "operator/internal.h"

#include <ctype.h>

char *snake_of(const char *camel)
{
    struct text t = {0};
    for (; *camel; camel++) {
        if (isupper((unsigned char)*camel))
            text_add_char(&t, '_');
        text_add_char(&t, (char)tolower((unsigned char)*camel));
    }
    return text_take(&t);
}

char *camel_of(const char *snake)
{
    struct text t = {0};
    for (; *snake; snake++) {
        if (*snake == '_' && islower((unsigned char)snake[1]))
            text_add_char(&t, (char)toupper((unsigned char)*++snake));
        else
            text_add_char(&t, *snake);
    }
    return text_take(&t);
}
