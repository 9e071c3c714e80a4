/* Amounts and times: what is read is what a plain reading gives, within what a double holds; and
 * what an exec plug-in prints is credentials or an error that does not show them. */
#include "base/mem.h"
#include "kube/base64.h"
#include "kube/exec_plugin.h"
#include "kube/path.h"
#include "kube/quantity.h"
#include "kube/timestamp.h"

#include <assert.h>
#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static double factor_of(const char *suffix)
{
    static const struct {
        const char *suffix;
        double factor;
    } known[] = {{"", 1},        {"k", 1e3},     {"M", 1e6},     {"G", 1e9},
                 {"T", 1e12},    {"P", 1e15},    {"E", 1e18},    {"m", 1e-3},
                 {"u", 1e-6},    {"n", 1e-9},    {"Ki", 0x1p10}, {"Mi", 0x1p20},
                 {"Gi", 0x1p30}, {"Ti", 0x1p40}, {"Pi", 0x1p50}, {"Ei", 0x1p60}};
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (strcmp(suffix, known[i].suffix) == 0)
            return known[i].factor;
    return -1;
}

static void check_amount(const char *s, size_t len)
{
    int64_t amount;
    if (!kube_quantity(s, len, 1000, &amount))
        return;
    /* What strtod() reads as one number is the number with its exponent, if any. */
    char *end;
    double plain = strtod(s, &end), factor = factor_of(end);
    if (factor < 0 || strspn(s, "+-.0123456789eEinuKMGTPEk") != len)
        return;
    if (strcspn(s, ".eEinumkKMGTP") > 18) /* taken for too much, however small its unit */
        return;
    double want = fabs(plain) * factor * 1000, got = fabs((double)amount);
    if (want > 9.2e18)
        assert(got > 9.2e18);
    else
        assert(got >= want * (1 - 1e-12) && got <= want * (1 + 1e-12) + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_free char *s = mem_strndup((const char *)data, size);
    char buf[KUBE_TIME_SIZE];
    int64_t ms, again;
    size_t len = strlen(s);
    check_amount(s, len);
    if (kube_time((const char *)data, size, &ms)) {
        kube_time_format(ms, buf);
        assert(kube_time(buf, strlen(buf), &again));
        /* Offsets lead out of the years that can be written. */
        assert(again == ms || strncmp(buf, "1970", 4) == 0);
    }
    auto_free char *plain = kube_base64_decode((const char *)data, size, &len);
    assert(!plain || plain[len] == '\0');
    auto_text struct text path = {0};
    kube_path(&path, &(struct kube_resource_name){s, s, s}, s, s, s);
    assert(!strpbrk(text_get(&path), " \r\n?#\"<>") && !strstr(text_get(&path), "/../"));
    struct kube_exec_answer answer;
    struct err e = {0};
    if (kube_exec_answer_parse((const char *)data, size, "client.authentication.k8s.io/v1", &answer,
                               &e) == 0)
        kube_exec_answer_done(&answer);
    else
        assert(e.code && !strstr(e.text, "secret"));
    return 0;
}
