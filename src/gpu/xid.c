#include "gpu/xid.h"

#include "base/mem.h"

/* By code, so that it can be searched by halves; a test holds the order. */
/* clang-format off */
static const struct xid xids[] = {
    {8, XID_ERROR, XID_RESTART_JOB, "a channel timed out"},
    {11, XID_ERROR, XID_RESTART_JOB, "corrupt commands from the application"},
    {13, XID_ERROR, XID_RESTART_JOB, "the application broke a rule of the graphics engine"},
    {25, XID_ERROR, XID_RESTART_JOB, "illegal commands from the application"},
    {31, XID_ERROR, XID_RESTART_JOB, "the application touched memory that is not its own"},
    {32, XID_ERROR, XID_RESTART_JOB, "corrupt commands on their way to the GPU"},
    {37, XID_WARNING, XID_NONE, "firmware met a method it does not know"},
    {38, XID_WARNING, XID_NONE, "firmware watchdog ran out"},
    {39, XID_ERROR, XID_RESTART_JOB, "copy engine 0 failed"},
    {40, XID_ERROR, XID_RESTART_JOB, "copy engine 1 failed"},
    {41, XID_ERROR, XID_RESTART_JOB, "copy engine 2 failed"},
    {43, XID_ERROR, XID_NONE, "the application's channel was reset"},
    {44, XID_WARNING, XID_NONE, "fault while switching contexts"},
    {45, XID_WARNING, XID_NONE, "cleaned up after an earlier error"},
    {46, XID_CRITICAL, XID_RESET, "the GPU stopped working on a channel"},
    {48, XID_CRITICAL, XID_RESET, "uncorrectable memory error"},
    {54, XID_CRITICAL, XID_INSPECT, "auxiliary power is not connected"},
    {60, XID_ERROR, XID_RESTART_JOB, "video processor error"},
    {62, XID_CRITICAL, XID_RESET, "the power micro-controller halted"},
    {63, XID_WARNING, XID_NONE, "a memory row was marked for replacement"},
    {64, XID_CRITICAL, XID_RESET, "a memory row could not be replaced"},
    {66, XID_WARNING, XID_NONE, "driver accessed a register it may not"},
    {67, XID_WARNING, XID_NONE, "driver accessed something it may not"},
    {68, XID_ERROR, XID_RESTART_JOB, "video decoder 0 failed"},
    {69, XID_ERROR, XID_RESTART_JOB, "the application used a class wrongly"},
    {70, XID_ERROR, XID_RESTART_JOB, "copy engine 3 failed"},
    {71, XID_ERROR, XID_RESTART_JOB, "copy engine 4 failed"},
    {72, XID_ERROR, XID_RESTART_JOB, "copy engine 5 failed"},
    {74, XID_CRITICAL, XID_RESET, "NVLink error"},
    {75, XID_ERROR, XID_RESTART_JOB, "copy engine 6 failed"},
    {76, XID_ERROR, XID_RESTART_JOB, "copy engine 7 failed"},
    {77, XID_ERROR, XID_RESTART_JOB, "copy engine 8 failed"},
    {78, XID_WARNING, XID_UPDATE, "a virtual GPU did not start"},
    {79, XID_CRITICAL, XID_REBOOT, "the GPU has fallen off the bus"},
    {80, XID_ERROR, XID_RESTART_JOB, "data to the GPU arrived corrupted"},
    {82, XID_ERROR, XID_RESTART_JOB, "JPEG engine 0 failed"},
    {83, XID_ERROR, XID_RESTART_JOB, "video decoder 1 failed"},
    {84, XID_ERROR, XID_RESTART_JOB, "video decoder 2 failed"},
    {85, XID_ERROR, XID_RESTART_JOB, "copy engine 9 failed"},
    {86, XID_ERROR, XID_RESTART_JOB, "optical flow engine 0 failed"},
    {88, XID_ERROR, XID_RESTART_JOB, "video decoder 3 failed"},
    {89, XID_ERROR, XID_RESTART_JOB, "video decoder 4 failed"},
    {92, XID_WARNING, XID_NONE, "very many corrected memory errors"},
    {93, XID_WARNING, XID_NONE, "the information ROM is wearing out"},
    {94, XID_ERROR, XID_RESTART_JOB, "memory error, contained to one application"},
    {95, XID_CRITICAL, XID_RESET, "memory error, not contained"},
    {96, XID_ERROR, XID_RESTART_JOB, "video decoder 5 failed"},
    {97, XID_ERROR, XID_RESTART_JOB, "video decoder 6 failed"},
    {98, XID_ERROR, XID_RESTART_JOB, "video decoder 7 failed"},
    {99, XID_ERROR, XID_RESTART_JOB, "JPEG engine 1 failed"},
    {100, XID_ERROR, XID_RESTART_JOB, "JPEG engine 2 failed"},
    {101, XID_ERROR, XID_RESTART_JOB, "JPEG engine 3 failed"},
    {102, XID_ERROR, XID_RESTART_JOB, "JPEG engine 4 failed"},
    {103, XID_ERROR, XID_RESTART_JOB, "JPEG engine 5 failed"},
    {104, XID_ERROR, XID_RESTART_JOB, "JPEG engine 6 failed"},
    {105, XID_ERROR, XID_RESTART_JOB, "JPEG engine 7 failed"},
    {106, XID_INFO, XID_NONE, "test message"},
    {107, XID_INFO, XID_NONE, "silent test message"},
    {109, XID_CRITICAL, XID_RESET, "switching contexts took too long"},
    {110, XID_CRITICAL, XID_RESET, "security fault"},
    {119, XID_CRITICAL, XID_RESET, "the GPU's system processor does not answer"},
    {120, XID_CRITICAL, XID_RESET, "error of the GPU's system processor"},
    {121, XID_WARNING, XID_NONE, "error on the chip-to-chip link"},
    {126, XID_ERROR, XID_RESTART_JOB, "copy engine 10 failed"},
    {127, XID_ERROR, XID_RESTART_JOB, "copy engine 11 failed"},
    {128, XID_ERROR, XID_RESTART_JOB, "copy engine 12 failed"},
    {129, XID_ERROR, XID_RESTART_JOB, "copy engine 13 failed"},
    {130, XID_ERROR, XID_RESTART_JOB, "copy engine 14 failed"},
    {131, XID_ERROR, XID_RESTART_JOB, "copy engine 15 failed"},
    {132, XID_ERROR, XID_RESTART_JOB, "copy engine 16 failed"},
    {133, XID_ERROR, XID_RESTART_JOB, "copy engine 17 failed"},
    {134, XID_ERROR, XID_RESTART_JOB, "copy engine 18 failed"},
    {135, XID_ERROR, XID_RESTART_JOB, "copy engine 19 failed"},
    {136, XID_CRITICAL, XID_RESET, "a link could not be trained"},
    {137, XID_WARNING, XID_NONE, "NVLink access was refused"},
    {139, XID_ERROR, XID_RESTART_JOB, "optical flow engine 1 failed"},
    {140, XID_CRITICAL, XID_RESET, "an uncorrectable memory error escaped"},
    {141, XID_WARNING, XID_NONE, "fast path error of CUDA"},
    {142, XID_WARNING, XID_SUPPORT, "video encoder error"},
    {143, XID_CRITICAL, XID_RESET, "the GPU could not be initialised"},
    {144, XID_CRITICAL, XID_RESET, "NVLink error in SAW"},
    {145, XID_CRITICAL, XID_RESET, "NVLink error in RLW"},
    {146, XID_CRITICAL, XID_RESET, "NVLink error in TLW"},
    {147, XID_CRITICAL, XID_RESET, "NVLink error in TREX"},
    {148, XID_CRITICAL, XID_RESET, "NVLink error in NVLPW"},
    {149, XID_CRITICAL, XID_RESET, "NVLink error in NETIR"},
    {150, XID_CRITICAL, XID_RESET, "NVLink error in MSE"},
    {151, XID_CRITICAL, XID_REBOOT, "keys could not be rotated"},
    {152, XID_WARNING, XID_NONE, "deep learning accelerator: memory fault"},
    {153, XID_WARNING, XID_NONE, "deep learning accelerator: too slow"},
    {154, XID_WARNING, XID_NONE, "the driver asks for another recovery action"},
    {155, XID_CRITICAL, XID_RESET, "NVLink error that software defines"},
    {156, XID_CRITICAL, XID_RESET, "a resource was retired"},
    {157, XID_WARNING, XID_NONE, "a resource could not be retired"},
    {158, XID_CRITICAL, XID_RESET, "fatal time-out of the GPU"},
    {159, XID_WARNING, XID_NONE, "error on the coherent interconnect"},
    {160, XID_WARNING, XID_NONE, "a channel was retired"},
    {161, XID_WARNING, XID_NONE, "a channel could not be retired"},
    {162, XID_WARNING, XID_NONE, "power smoothing is back"},
    {163, XID_WARNING, XID_NONE, "power smoothing is off"},
    {164, XID_WARNING, XID_NONE, "power smoothing hardware is nearly worn out"},
    {165, XID_WARNING, XID_NONE, "power smoothing hardware is worn out"},
    {166, XID_WARNING, XID_NONE, "traffic before encryption was set up"},
    {167, XID_WARNING, XID_NONE, "fatal time-out on PCIe"},
    {168, XID_WARNING, XID_NONE, "less device memory can be used"},
    {169, XID_WARNING, XID_NONE, "the security micro-controller halted"},
    {170, XID_WARNING, XID_NONE, "interrupt in confidential mode"},
    {171, XID_WARNING, XID_NONE, "uncorrectable error in device memory"},
    {172, XID_WARNING, XID_NONE, "uncorrectable error in on-chip memory"},
};
/* clang-format on */

static int compare(const void *key, const void *row)
{
    int64_t code = *(const int64_t *)key, other = ((const struct xid *)row)->code;
    return (code > other) - (code < other);
}

const struct xid *xid_find(int64_t code)
{
    return bsearch(&code, xids, COUNT_OF(xids), sizeof *xids, compare);
}

enum xid_severity xid_severity(int64_t code)
{
    const struct xid *x = xid_find(code);
    return x ? x->severity : XID_CRITICAL;
}

const char *xid_meaning(int64_t code)
{
    const struct xid *x = xid_find(code);
    return x ? x->meaning : "an error that we do not know";
}

const char *xid_advice(int64_t code)
{
    static const char *const words[] = {
        [XID_NONE] = "",
        [XID_RESTART_JOB] = "start the job again",
        [XID_RESET] = "reset the GPU",
        [XID_REBOOT] = "reboot the node",
        [XID_INSPECT] = "check power and seating of the board",
        [XID_UPDATE] = "update driver or firmware",
        [XID_SUPPORT] = "ask NVIDIA's support",
    };
    const struct xid *x = xid_find(code);
    return x ? words[x->action] : "";
}
