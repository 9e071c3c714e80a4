/* Any bytes are a scenario or an error with a sentence; what is taken can be played. */
#include "scenario.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = {0};
    struct scenario *s = NULL;
    if (scenario_read((const char *)data, size, "fuzz", "", &s, &e) < 0) {
        assert(e.code != ERR_NONE && e.text[0]);
        return 0;
    }
    for (size_t i = 0; i < s->device_count; i++) {
        double load = curve_at(&s->devices[i].load_pct, 1234.5);
        assert(load >= 0 && load <= 100);
        assert(curve_at(&s->devices[i].client.memory_mib, 0) >= 0);
    }
    for (size_t i = 0; i < s->fault_count; i++)
        assert(sim_fault_count(&s->faults[i], 0, 1 << 30) >= 0);
    scenario_free(s);
    return 0;
}
