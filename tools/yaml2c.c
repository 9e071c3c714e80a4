/*
 * yaml2c IN.yaml NAME OUT.c OUT.h: a YAML document as JSON text inside a C file, so that a program
 * can carry it. Runs while building; needs nothing but src/base.
 *
 *     extern const char NAME[];         NUL-terminated JSON
 *     extern const size_t NAME_len;     without the NUL
 */
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

#include <errno.h>

/* Octal escapes always take three digits here, so that a digit behind one stays a digit. */
static void add_literal(struct text *out, const char *json)
{
    int column = 0;
    text_add(out, "    \"");
    for (const unsigned char *p = (const unsigned char *)json; *p; p++) {
        if (column >= 90) {
            text_add(out, "\"\n    \"");
            column = 0;
        }
        if (*p == '"' || *p == '\\' || *p == '?')
            column += 2, text_addf(out, "\\%c", *p);
        else if (*p < 0x20 || *p > 0x7e)
            column += 4, text_addf(out, "\\%03o", *p);
        else
            column += 1, text_add_char(out, (char)*p);
    }
    text_add(out, "\"");
}

static int write_text(const char *path, const struct text *t, struct err *e)
{
    auto_fclose FILE *f = fopen(path, "we");
    if (!f || fwrite(t->data, 1, t->len, f) != t->len || fflush(f) != 0)
        return err_sys(e, errno, "could not write file '%s'", path);
    /* cppcheck-suppress resourceLeak ; auto_fclose */
    return 0;
}

static int convert(char **argv, struct err *e)
{
    const char *in = argv[1], *name = argv[2];
    auto_free char *yaml = NULL;
    size_t len;
    auto_json json_t *tree = NULL;
    if (file_read(in, 8 << 20, &yaml, &len, e) < 0)
        return -1;
    if (yaml_parse(yaml, len, &tree, e) < 0)
        return err_wrap(e, "file '%s'", in);

    auto_free char *json = json_write(tree);
    auto_text struct text c = {0}, h = {0};
    text_addf(&c,
              "/* Made from %s. */\n#include <stddef.h>\n#include \"%s.h\"\n\nconst char %s[] =\n",
              strrchr(in, '/') ? strrchr(in, '/') + 1 : in, name, name);
    add_literal(&c, json);
    text_addf(&c, ";\nconst size_t %s_len = sizeof %s - 1;\n", name, name);
    text_addf(&h,
              "/* Made while building. */\n#include <stddef.h>\nextern const char %s[];\n"
              "extern const size_t %s_len;\n",
              name, name);
    if (write_text(argv[3], &c, e) < 0)
        return -1;
    return write_text(argv[4], &h, e);
}

int main(int argc, char **argv)
{
    struct err e = {0};
    if (argc != 5) {
        fprintf(stderr, "usage: yaml2c IN.yaml NAME OUT.c OUT.h\n");
        return 2;
    }
    if (convert(argv, &e) < 0) {
        fprintf(stderr, "yaml2c: %s\n", e.text);
        return err_exit(e.code);
    }
    return 0;
}
