#include "api/report.h"
#include "test.h"

static struct report_in in;

static int read_text(const char *text)
{
    auto_json json_t *object = NULL;
    if (json_parse(text, strlen(text), &object, &test_err) < 0)
        return -1;
    return report_read(object, &in, &test_err);
}

#define TOP "\"boot_id\": \"b\", \"data_id\": \"d\", \"seq\": 12"

TEST("a whole report is taken over")
{
    CHECK_OK(read_text(
        "{" TOP ", \"hello\": {\"version\": \"0.1.0\", \"features\": [], \"cpu_milli\": 4000,"
        "\"memory_mib\": 1000, \"isolation\": \"shared\"},"
        "\"host\": {\"busy\": true, \"cpu_pct\": 95, \"memory_pct\": 10},"
        "\"devices\": [{\"uuid\": \"GPU-1\", \"index\": 0, \"model\": \"m\", \"vendor\": "
        "\"nvidia\","
        "\"memory_mib\": 10240, \"health\": \"faulty\", \"busy\": false, \"foreign\": true,"
        "\"free_mib\": 5, \"gpu_pct\": 7, \"why\": \"XID 79\"}],"
        "\"attempts\": [{\"id\": \"00112233445566778899aabbccddeeff\", \"job\": 7, \"n\": 1,"
        "\"state\": \"ended\", \"outcome\": \"out-of-memory\", \"run_ms\": 5, \"signal\": 9}],"
        "\"progress\": [{\"job\": 7, \"n\": 1, \"done\": 3, \"total\": 12}]}"));
    const struct report *r = in.report;
    CHECK_INT(in.seq, 12);
    CHECK(r->is_hello && r->has_host && r->host_busy);
    CHECK_INT(r->isolation, ISOLATION_SHARED);
    CHECK_INT(r->device_count, 1);
    CHECK_INT(r->devices[0].health, DEVICE_FAULTY);
    CHECK_TEXT(r->devices[0].why, "XID 79");
    CHECK_INT(r->attempts[0].what, REPORT_ENDED);
    CHECK_INT(r->attempts[0].outcome, OUTCOME_OUT_OF_MEMORY);
    CHECK_INT(r->attempts[0].term_signal, 9);
    CHECK_INT(in.progress[0].value.total, 12);
    report_in_done(&in);
}

TEST("a report of a newer agent is taken without what we do not know")
{
    CHECK_OK(read_text("{" TOP ", \"news\": {\"x\": 1}}"));
    CHECK(!in.report->is_hello);
    report_in_done(&in);
}

TEST("nonsense is refused with the place")
{
    CHECK_FAILS(read_text("{\"boot_id\": \"b\", \"data_id\": \"d\"}"), ERR_INVALID, "'seq'");
    CHECK_FAILS(read_text("{" TOP ", \"devices\": [{\"uuid\": \"\"}]}"), ERR_INVALID, "devices[0]");
    CHECK_FAILS(read_text("{" TOP ", \"devices\": [{\"uuid\": \"g\", \"index\": 0,"
                          "\"memory_mib\": 1, \"health\": \"well\"}]}"),
                ERR_INVALID, "'health' cannot be 'well'");
    CHECK_FAILS(read_text("{" TOP ", \"attempts\": [{\"id\": \"zz112233445566778899aabbccddeeff\","
                          "\"job\": 7, \"n\": 1, \"state\": \"started\"}]}"),
                ERR_INVALID, "'id'");
    CHECK_FAILS(read_text("{" TOP ", \"attempts\": [{\"id\": \"00112233445566778899aabbccddeeff\","
                          "\"job\": 7, \"n\": 1, \"state\": \"ended\"}]}"),
                ERR_INVALID, "'outcome'");
    CHECK_FAILS(read_text("{" TOP ", \"hello\": {\"version\": \"1\", \"isolation\": \"vm\","
                          "\"cpu_milli\": 1, \"memory_mib\": 1}}"),
                ERR_INVALID, "isolation");
}

TEST("agents of our version are served, strangers and nonsense are not")
{
    CHECK_OK(report_check_version(REEVE_VERSION, &test_err));
    CHECK_OK(report_check_version(REEVE_VERSION "-rc1", &test_err));
    static const char *const others[] = {"",       "1",     "0.1",   "99.0.0",  "0.999.0",
                                         "-1.0.0", "a.b.c", "0.1.x", "0.1.0.0", NULL};
    for (const char *const *other = others; *other; other++) {
        CHECK_FAILS(report_check_version(*other, &test_err), ERR_UNPROCESSABLE, "not served");
        CHECK_TEXT(test_err.field, "version");
    }
}
