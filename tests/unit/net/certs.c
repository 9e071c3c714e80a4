#include "certs.h"

#include "base/file.h"
#include "base/mem.h"
#include "test.h"

#include <stdlib.h>

static void run(char *command)
{
    ck_assert_msg(system(command) == 0, "failed: %s", command);
    free(command);
}

void certs_renew(struct certs *c)
{
    const char *f = c->folder;
    run(mem_printf(
        "cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
        "-keyout ca.key -out ca.pem -days 2 -subj '/CN=test ca' 2>/dev/null",
        f));
    run(mem_printf("cd %s && openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
                   "-keyout key.new -out csr -subj /CN=localhost 2>/dev/null",
                   f));
    run(mem_printf("cd %s && printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\\n' >ext && "
                   "openssl x509 -req -in csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 "
                   "-extfile ext -out cert.new 2>/dev/null && mv key.new key.pem && "
                   "mv cert.new cert.pem",
                   f));
}

void certs_make(struct certs *c)
{
    strcpy(c->folder, "/tmp/test-certs-XXXXXX");
    CHECK(mkdtemp(c->folder));
    snprintf(c->ca, sizeof c->ca, "%s/ca.pem", c->folder);
    snprintf(c->certificate, sizeof c->certificate, "%s/cert.pem", c->folder);
    snprintf(c->key, sizeof c->key, "%s/key.pem", c->folder);
    certs_renew(c);
}

void certs_remove(struct certs *c)
{
    if (c->folder[0])
        file_remove_tree(c->folder, NULL);
}
