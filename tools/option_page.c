/*
 * Prints the man page of a program that is all options, in mdoc: compiled while building with
 * OPTIONS naming its table. The pages of `reeve` come from src/cli/man.c.
 */
#include "base/option.h"

#include <ctype.h>

extern const struct option_table OPTIONS;

int main(void)
{
    auto_text struct text out = {0};
    const struct option_table *t = &OPTIONS;
    text_add(&out, ".Dd November 24, 2026\n.Dt ");
    for (const char *p = t->program; *p; p++)
        text_add_char(&out, (char)toupper((unsigned char)*p));
    text_addf(&out,
              " 1\n.Os\n.Sh NAME\n.Nm %s\n.Nd %s\n.Sh SYNOPSIS\n.Nm\n.Op Ar options\n"
              ".Sh DESCRIPTION\nEach option can also stand in the environment or in a YAML file:\n"
              "a flag beats the environment, that beats the file, that beats the default.\n"
              ".Sh OPTIONS\n",
              t->program, t->summary);
    option_man(t, &out);
    text_add(&out, ".Sh SEE ALSO\n.Xr reeve 1 ,\n.Xr reeve-up 1\n");
    fwrite(out.data, 1, out.len, stdout);
    return 0;
}
